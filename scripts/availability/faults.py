"""What is done to a group while clients read and write. Each takes the run, does its harm, undoes
it, and says what it did."""

import json
import random
import signal
import time


class Run:
    """What a fault is given: the group, who writes and who leads."""

    def __init__(self, group, hold):
        self.group, self.wan, self.hold = group, group.wan, hold
        self.primary, self.leader = group.primary()
        self.others = [s for s in group.servers if s.place != self.primary.place]
        self.notes, self.gaps = [], []

    def of_region(self):
        return [s for s in self.group.servers if s.region == self.primary.region]

    def wait(self):
        time.sleep(self.hold)

    def operate(self, *words):
        """An operation that must succeed, with the gap it says it caused."""
        code, text = self.group.command(*words, "--json")
        if code != 0:
            raise RuntimeError(f"{' '.join(words)} failed with {code}: {text}")
        report = json.loads(text)
        self.notes.append(f"{' '.join(words)}: {text}")
        if report.get("gap_ms") is not None:
            self.gaps.append(report["gap_ms"] / 1000)

    def another(self):
        able = [s for s in self.group.servers if s is not self.primary and s.kind == "data"]
        return random.choice(able)


def calm(run):
    """nothing happens"""
    run.wait()


def kill(run):
    """kill -9 of the region that writes; started again"""
    victims = run.of_region() if len({s.region for s in run.group.servers}) > 1 else [run.primary]
    for server in victims:
        server.kill()
    run.wait()
    for server in victims:
        server.start()


def isolate(run):
    """the region that writes is cut off from everybody"""
    run.wan.isolate(run.primary.place)
    run.wait()
    run.wan.heal()


def split(run):
    """the region that writes is cut off from the other regions, not from clients"""
    places = {s.place for s in run.others}
    run.wan.set([run.primary.place], places, cut=True)
    run.wan.set(places, [run.primary.place], cut=True)
    run.wait()
    run.wan.heal()


def mute(run):
    """the region that writes hears, and nobody hears it"""
    run.wan.set([run.primary.place], range(len(run.wan.names)), cut=True)
    run.wait()
    run.wan.heal()


def deaf(run):
    """the region that writes is heard, and hears nobody"""
    run.wan.set(range(len(run.wan.names)), [run.primary.place], cut=True)
    run.wait()
    run.wan.heal()


def bridge(run):
    """the region that writes and one other lose each other; the third sees both"""
    other = run.another().place
    run.wan.set([run.primary.place], [other], cut=True)
    run.wan.set([other], [run.primary.place], cut=True)
    run.wait()
    run.wan.heal()


def bystander(run):
    """a region that does not write is cut off"""
    run.wan.isolate(run.another().place)
    run.wait()
    run.wan.heal()


def loss(run):
    """2 % of packets are lost everywhere, with 20 ms jitter"""
    every = range(len(run.wan.names))
    run.wan.set(every, every, loss=0.02, jitter=20.0)
    run.wait()
    run.wan.heal()


def flap(run):
    """the way to the region that writes fails and returns every one to three seconds"""
    end = time.monotonic() + run.hold * 2
    while time.monotonic() < end:
        run.wan.isolate(run.primary.place)
        time.sleep(random.uniform(0.3, 1.5))
        run.wan.heal()
        time.sleep(random.uniform(0.7, 1.5))


def pause(run):
    """the writing server is stopped (SIGSTOP) and goes on"""
    run.primary.signal(signal.SIGSTOP)
    run.wait()
    run.primary.signal(signal.SIGCONT)


def failover(run):
    """planned: failover to another region, then failback"""
    run.operate("failover", "--to", run.another().region)
    time.sleep(2)
    run.operate("failback")


def drain(run):
    """planned: the writing server is drained, and takes work again"""
    run.operate("drain", run.primary.name)
    time.sleep(2)
    run.operate("drain", run.primary.name, "--end")


def drill(run):
    """evercube drill: the region that writes dies for three seconds"""
    target = run.primary.region if len(run.of_region()) < len(run.group.servers) else run.primary.name
    run.operate("drill", "--kill", target)


def rolling(run):
    """every server in turn: drained, stopped, started on its folder"""
    for server in run.group.servers:
        run.operate("drain", server.name)
        server.kill()
        server.start()
        run.group.wait_ready()


def upgrade(run):
    """a group of the release before (--earlier): every server in turn drained, stopped, started as this one"""
    rolling(run)


def crash(run):
    """kill -9 of every server at once; all are started again"""
    for server in run.group.servers:
        server.kill()
    time.sleep(1)
    for server in run.group.servers:
        server.start()


BOUNDED = {"any": 0.5, "bounded:2s": 0.5}
OF_A_SESSION = {"session": 2.0, "adomd": 2.0}
AFTER_KILL = {**BOUNDED, **OF_A_SESSION, "write": 3.0}
AFTER_SPLIT = {**BOUNDED, **OF_A_SESSION, "write": 4.0}
PLANNED = {**BOUNDED, "session": 0.5, "adomd": 0.5, "strong": 0.5, "command": 0.5}

# The longest pause allowed by level, in seconds; no failed read, nothing lost and nothing wrong
# is asked of every one.
ALL = {
    "calm": (calm, {}),
    "kill": (kill, AFTER_KILL),
    "isolate": (isolate, AFTER_SPLIT),
    "split": (split, AFTER_SPLIT),
    "mute": (mute, AFTER_SPLIT),
    "deaf": (deaf, AFTER_SPLIT),
    "bridge": (bridge, AFTER_SPLIT),
    "bystander": (bystander, {**BOUNDED, **OF_A_SESSION}),
    "loss": (loss, {**OF_A_SESSION, "write": 4.0}),
    "flap": (flap, {}),
    "pause": (pause, AFTER_SPLIT),
    "failover": (failover, PLANNED),
    "drain": (drain, PLANNED),
    "drill": (drill, AFTER_KILL),
    "rolling": (rolling, BOUNDED),
    "upgrade": (upgrade, BOUNDED),
    "crash": (crash, {}),
}
SHORT = ["kill", "isolate", "split", "mute", "deaf", "failover"]
IN_ONE_REGION = {"kill": {**BOUNDED, "session": 1.0, "adomd": 1.0, "write": 1.0}}
