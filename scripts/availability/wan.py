"""Network namespaces as places, and the only way between them: a process that holds one end of
every place's link and passes packets on late, or loses them. No link leads out of the namespaces.

Every place has two addresses: 127.99.N.1, which counts as loopback, so that a group without
certificates may use it, and 10.99.N.1, which does not."""

import ctypes
import fcntl
import heapq
import multiprocessing
import os
import random
import select
import struct
import subprocess
import time

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000


def enter(namespace):
    """Moves this thread, and what it starts, into a namespace."""
    with open(f"/var/run/netns/{namespace}") as file:
        if LIBC.setns(file.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"the namespace {namespace} cannot be entered")


class inside:
    """What is opened within belongs to the namespace."""

    def __init__(self, namespace):
        self.namespace = namespace

    def __enter__(self):
        self.before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        enter(self.namespace)

    def __exit__(self, *_):
        LIBC.setns(self.before, CLONE_NEWNET)
        os.close(self.before)


def missing():
    """Why this machine cannot do it, or None."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if not os.path.exists("/dev/net/tun"):
        return "there is no /dev/net/tun"
    if subprocess.run(["ip", "netns", "list"], capture_output=True).returncode != 0:
        return "there is no 'ip netns'"
    return None


class Wan:
    """Places 0..n-1, connected."""

    def __init__(self, n, prefix="evr"):
        self.names = [f"{prefix}{os.getpid()}x{i}" for i in range(n)]
        links = [self._place(i) for i in range(n)]
        self.control, theirs = multiprocessing.Pipe()
        self.process = multiprocessing.Process(target=_carry, args=(links, theirs), daemon=True)
        self.process.start()
        for link in links:
            os.close(link)

    def _place(self, i):
        name = self.names[i]
        subprocess.run(["ip", "netns", "add", name], check=True)
        with inside(name):
            link = os.open("/dev/net/tun", os.O_RDWR)
            fcntl.ioctl(link, TUNSETIFF, struct.pack("16sH22x", b"wan0", IFF_TUN | IFF_NO_PI))
            for setting in ("all", "default", "wan0"):
                with open(f"/proc/sys/net/ipv4/conf/{setting}/route_localnet", "w") as file:
                    file.write("1")
            for step in (
                "link set lo up",
                "link set wan0 mtu 1400 txqueuelen 2000 up",
                # Loopback addresses of other places are not here.
                "route del local 127.0.0.0/8 dev lo table local",
                f"route add local 127.99.{i}.0/24 dev lo table local src 127.0.0.1",
                f"addr add 127.99.{i}.1/32 dev wan0",
                f"addr add 10.99.{i}.1/32 dev wan0",
                f"route add 127.99.0.0/16 dev wan0 src 127.99.{i}.1",
                f"route add 10.99.0.0/16 dev wan0 src 10.99.{i}.1",
            ):
                subprocess.run(["ip", *step.split()], check=True)
        return link

    def set(self, sources, targets, **quality):
        """Sets delay (ms, one way), jitter (ms), loss (0 to 1), rate (kB/s) or cut of the ways from
        each of `sources` to each of `targets`."""
        self.control.send((list(sources), list(targets), quality))
        self.control.recv()

    def heal(self):
        every = range(len(self.names))
        self.set(every, every, cut=False, loss=0.0, jitter=0.0, rate=0.0)

    def isolate(self, place):
        others = [i for i in range(len(self.names)) if i != place]
        self.set([place], others, cut=True)
        self.set(others, [place], cut=True)

    def close(self):
        self.process.terminate()
        self.process.join()
        for name in self.names:
            subprocess.run(["ip", "netns", "del", name], check=False)


class _Way:
    def __init__(self):
        self.delay = self.jitter = self.loss = self.rate = 0.0
        self.cut = False
        self.free = self.last = 0.0

    def due(self, now, size):
        """When a packet arrives, None where it is lost."""
        if self.cut or (self.loss and random.random() < self.loss):
            return None
        start = now
        if self.rate:
            self.free = max(self.free, now) + size / (self.rate * 1000)
            start = self.free
            if start > now + 2:  # a queue of two seconds is full
                return None
        late = (self.delay + random.random() * self.jitter) / 1000
        self.last = max(self.last, start + late)  # a way keeps the order
        return self.last


def _carry(links, control):
    os.nice(-10)
    n = len(links)
    ways = [[_Way() for _ in range(n)] for _ in range(n)]
    queue, count = [], 0
    poll = select.epoll()
    by_fd = {link: i for i, link in enumerate(links)}
    for link in links:
        os.set_blocking(link, False)
        poll.register(link, select.EPOLLIN)
    poll.register(control.fileno(), select.EPOLLIN)
    while True:
        wait = max(0.0, queue[0][0] - time.monotonic()) if queue else -1
        for fd, _ in poll.poll(wait):
            if fd == control.fileno():
                try:
                    sources, targets, quality = control.recv()
                except EOFError:
                    return
                for s in sources:
                    for t in targets:
                        if s != t:
                            for key, value in quality.items():
                                setattr(ways[s][t], key, value)
                control.send(True)
                continue
            source = by_fd[fd]
            for _ in range(64):
                try:
                    packet = os.read(fd, 65536)
                except BlockingIOError:
                    break
                if len(packet) < 20 or packet[0] >> 4 != 4 or packet[17] != 99:
                    continue
                target = packet[18]
                if target >= n:
                    continue
                due = ways[source][target].due(time.monotonic(), len(packet))
                if due is not None:
                    count += 1
                    heapq.heappush(queue, (due, count, target, packet))
        now = time.monotonic()
        while queue and queue[0][0] <= now:
            _, _, target, packet = heapq.heappop(queue)
            try:
                os.write(links[target], packet)
            except OSError:
                pass  # as a full queue would
