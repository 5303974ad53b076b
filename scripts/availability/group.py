"""The servers of a group and its gateway, each in its place, started from the built binary."""

import http.client
import json
import os
import signal
import subprocess
import time

from wan import enter, inside

CLIENT, PEER, GATEWAY = 8400, 8500, 8399


def ask(namespace, door, address, method, path, body=None, timeout=10):
    """One request from a place; status and body."""
    connection = door.connect(address, timeout)
    try:
        with inside(namespace):
            connection.connect()
        connection.request(method, path, body, door.headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


class Server:
    def __init__(self, group, name, region, place, kind, n):
        self.group, self.name, self.region, self.place, self.kind = group, name, region, place, kind
        self.client = f"{group.door.network}.{place}.1:{CLIENT + n}"
        self.peer = f"{group.door.network}.{place}.1:{PEER + n}"
        self.process = None

    def start(self, binary=None):
        # Told to join whoever was there first; one that knows its group does not ask.
        first = self.group.servers[0]
        words = ["serve", "--name", self.name, "--region", self.region,
                 "--kind", self.kind, "--listen", self.client, "--peer-listen", self.peer,
                 "--data", os.path.join(self.group.folder, self.name), *self.group.lock(self.place)]
        if first is not self:
            words += ["--join", first.peer, *self.group.join_words()]
        self.process = self.group.spawn(self.place, self.name, words, binary)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def signal(self, number):
        self.process.send_signal(number)


class Group:
    def __init__(self, wan, binary, folder, servers, users, door):
        """`servers`: (name, region, place, kind). `users`: the place of the gateway and of clients."""
        self.wan, self.binary, self.folder, self.users, self.door = wan, binary, folder, users, door
        self.servers = []
        for n, (name, region, place, kind) in enumerate(servers):
            self.servers.append(Server(self, name, region, place, kind, n))
        self.gateway_address = f"{door.network}.{users}.1:{GATEWAY}"
        self.gateway = None

    def spawn(self, place, name, words, binary=None):
        namespace = self.wan.names[place]
        log = open(os.path.join(self.folder, f"{name}.log"), "ab")
        kept = {k: v for k, v in os.environ.items()
                if not k.startswith("EVERCUBE_") or k == "EVERCUBE_LOG"}
        return subprocess.Popen([binary or self.binary, *words], stdout=log, stderr=log,
                                cwd=self.folder, env=kept, start_new_session=True,
                                preexec_fn=lambda: enter(namespace))

    def start(self, binary=None):
        """`binary`: that of the servers, where it is another one."""
        # The gateway first: it waits for servers.
        urls = ",".join(f"{self.door.scheme}://{s.client}" for s in self.servers)
        words = ["gateway", "--listen", self.gateway_address, "--servers", urls]
        if self.door.authority:
            certificate, key = self.door.certificate(self.users)
            words += ["--ca", self.door.authority, "--tls-certificate", certificate, "--tls-key", key]
        self.gateway = self.spawn(self.users, "gateway", words)
        self.servers[0].start(binary)
        if self.door.authority:
            self.make_tokens()
        for server in self.servers[1:]:
            server.start(binary)
        self.wait_ready()

    def lock(self, place):
        """How a server lets clients in."""
        if not self.door.authority:
            return ["--no-auth"]
        certificate, key = self.door.certificate(place)
        return ["--tls-certificate", certificate, "--tls-key", key, "--source-dir", self.folder]

    def join_words(self):
        return ["--join-token-file", os.path.join(self.folder, "join")] if self.door.authority else []

    def make_tokens(self):
        """One for clients, one for the servers that join, made with the first administrator's password."""
        password = os.path.join(self.folder, self.servers[0].name, "admin-password")
        deadline = time.monotonic() + 60
        while not os.path.exists(password):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{password} is not made")
            time.sleep(0.1)
        signed_in = ["--user", "admin", "--password-file", password]
        code, text = self.command("token", "add", "regions", "--for-user", "admin", *signed_in)
        if code != 0:
            raise RuntimeError(f"no token for clients: {text}")
        self.door.take_token(text.split()[-1])
        code, text = self.command("join-token", "create", "--uses", str(len(self.servers)))
        if code != 0:
            raise RuntimeError(f"no token for servers: {text}")
        with open(os.path.join(self.folder, "join"), "w") as file:
            file.write(text.splitlines()[0].strip() + "\n")

    def stop(self):
        for process in [self.gateway, *(s.process for s in self.servers)]:
            if process and process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
                process.wait()

    def ask(self, address, method, path, body=None, timeout=60):
        """A request from the users' place."""
        return ask(self.wan.names[self.users], self.door, address, method, path, body, timeout=timeout)

    def status(self):
        """The group as a server sees it that has a leader; None where none answers."""
        for server in self.servers:
            try:
                code, body = self.ask(server.client, "GET", "/api/v1/status", timeout=3)
                status = json.loads(body) if code == 200 else {}
                if status.get("leader") and status.get("quorum"):
                    return status
            except (OSError, http.client.HTTPException, ValueError):
                continue
        return None

    def wait_ready(self, limit=60):
        """Waits until every server is ready and one of them writes."""
        deadline = time.monotonic() + limit
        status = None
        while time.monotonic() < deadline:
            status = self.status()
            if status and not status.get("degraded"):
                states = {s["name"]: s["state"] for s in status["servers"]}
                if len(states) == len(self.servers) and set(states.values()) == {"ready"}:
                    return status
            time.sleep(0.2)
        raise TimeoutError(f"the group is not whole after {limit} s: {status}")

    def server(self, name):
        return next(s for s in self.servers if s.name == name)

    def primary(self):
        """The server that writes, and the leader of the consensus."""
        status = self.wait_ready()
        writes = [s["name"] for s in status["servers"]
                  if any(d["primary"] for d in s["databases"])]
        return self.server(writes[0] if writes else status["leader"]), self.server(status["leader"])

    def command(self, *words, timeout=120):
        """A command of the binary, given at the users' place through the gateway."""
        server = f"{self.door.scheme}://{self.gateway_address}"
        done = subprocess.run([self.binary, *words, "--server", server, *self.door.words()],
                              capture_output=True, text=True, timeout=timeout, cwd=self.folder,
                              preexec_fn=lambda: enter(self.wan.names[self.users]))
        return done.returncode, (done.stdout + done.stderr).strip()
