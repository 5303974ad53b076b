"""Clients that do not try again: readers at every level and writers, through the gateway, and what
their answers must have been."""

import http.client
import json
import multiprocessing
import os
import re
import subprocess
import threading
import time
import uuid

from wan import enter

LEVELS = ["any", "bounded:2s", "session", "strong"]
TABLES = ["A", "B"]
ROWS = 2000
DATABASE = "Regions"
URN = "urn:schemas-microsoft-com:xml-analysis"
QUERY = "EVALUATE ROW(" + ", ".join(
    f'"n{t}", COUNTROWS({t}), "lo{t}", MIN({t}[v]), "hi{t}", MAX({t}[v]), "sum{t}", SUM({t}[v])'
    for t in TABLES) + ")"


def write_source(folder, table, value):
    """All rows of a table's source hold one value; a mixture would be torn."""
    path = os.path.join(folder, f"{table}.csv")
    with open(path + ".new", "w") as file:
        file.write("row,v\n" + "".join(f"{i},{value}\n" for i in range(ROWS)))
    os.rename(path + ".new", path)


def model(folder):
    def table(name):
        path = os.path.join(folder, f"{name}.csv")
        m = (f'let s = Csv.Document(File.Contents("{path}"), [Delimiter=","]), '
             'h = Table.PromoteHeaders(s), '
             't = Table.TransformColumnTypes(h, {{"row", Int64.Type}, {"v", Int64.Type}}) in t')
        columns = [{"name": c, "dataType": "int64", "sourceColumn": c} for c in ("row", "v")]
        source = {"type": "m", "expression": m}
        return {"name": name, "columns": columns,
                "partitions": [{"name": name, "mode": "import", "source": source}]}
    return {"name": DATABASE, "compatibilityLevel": 1600,
            "model": {"tables": [table(t) for t in TABLES]}}


def envelope(header):
    return (f'<Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/"><Header>{header}</Header>'
            f'<Body><Execute xmlns="{URN}"><Command><Statement>{QUERY}</Statement></Command>'
            f"<Properties><PropertyList><Catalog>{DATABASE}</Catalog><Format>Tabular</Format>"
            "</PropertyList></Properties></Execute></Body></Envelope>")


def adomd_missing(folder):
    """Why ADOMD.NET cannot read, or None."""
    if not folder:
        return "no folder with ADOMD.NET is named (--adomd)"
    needed = ["venv/bin/python", "lib-core/Microsoft.AnalysisServices.AdomdClient.dll", "dotnet",
              "runtimeconfig.json"]
    lacking = [name for name in needed if not os.path.exists(os.path.join(folder, name))]
    return f"{folder} lacks {', '.join(lacking)}" if lacking else None


class Load:
    """Runs in processes of its own, at the users' place, until stopped."""

    def __init__(self, namespace, gateway, folder, door, readers=2, writes=True, adomd=None):
        self.adomd = None
        if adomd:
            program = os.path.join(os.path.dirname(os.path.abspath(__file__)), "adomd.py")
            words = [os.path.join(adomd, "venv", "bin", "python"), program, adomd,
                     f"http://{gateway}/xmla", DATABASE, QUERY]
            self.lines = os.path.join(folder, "adomd.jsonl")
            self.adomd = subprocess.Popen(words, stdout=open(self.lines, "w"),
                                          stderr=open(os.path.join(folder, "adomd.log"), "w"),
                                          preexec_fn=lambda: enter(namespace))
        self.stopping = multiprocessing.Event()
        self.mine, theirs = multiprocessing.Pipe()
        work = (namespace, (gateway, door), folder, readers, writes, self.stopping, theirs)
        self.process = multiprocessing.Process(target=_run, args=work, daemon=True)
        self.process.start()

    def wait_for_adomd(self, limit=60):
        """Waits until ADOMD.NET, which takes seconds to start, has read once."""
        deadline = time.monotonic() + limit
        while self.adomd and not os.path.getsize(self.lines):
            if self.adomd.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("ADOMD.NET does not start; see adomd.log")
            time.sleep(0.1)

    def end(self):
        """All that was asked: dictionaries with who, start, end, and answer or error."""
        self.stopping.set()
        if not self.mine.poll(120):
            self.process.kill()
            raise TimeoutError("clients got no answer for two minutes")
        events = self.mine.recv()
        self.process.join()
        if self.adomd:
            self.adomd.kill()
            self.adomd.wait()
            with open(self.lines) as lines:
                events += [json.loads(line) for line in lines if line.endswith("\n")]
        return events


def _run(namespace, gateway, folder, readers, writes, stopping, result):
    enter(namespace)
    events = []
    threads = [threading.Thread(target=_read, args=(gateway, level, f"{level} {i}", stopping, events))
               for level in LEVELS for i in range(readers)]
    if writes:
        threads.append(threading.Thread(target=_write, args=(gateway, folder, stopping, events)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    result.send(events)


def _open(gateway):
    address, door = gateway
    return door.connect(address, 60)


def _read(gateway, level, who, stopping, events):
    connection, session, cookie = _open(gateway), None, None
    while not stopping.is_set():
        header, headers = "", {"Content-Type": "text/xml", **gateway[1].headers}
        if level == "session":
            header = (f'<Session xmlns="{URN}" SessionId="{session}"/>' if session
                      else f'<BeginSession xmlns="{URN}"/>')
            if cookie:
                headers["Cookie"] = cookie
        event = {"who": who, "level": level, "start": time.monotonic()}
        try:
            connection.request("POST", f"/xmla?read={level}", envelope(header), headers)
            answer = connection.getresponse()
            text = answer.read().decode()
            found = re.search(r'SessionId="([^"]+)"', text)
            session = found.group(1) if found else session
            for value in answer.headers.get_all("Set-Cookie") or []:
                cookie = value.split(";")[0]
            rows = re.search(r"<row>(.*)</row>", text, re.DOTALL)
            if answer.status != 200 or not rows:
                event["error"] = f"{answer.status}: {text[:300]}"
            else:
                event["values"] = [int(v) for v in re.findall(r">(-?\d+)<", rows.group(1))]
                event["version"] = int(answer.headers["x-evercube-version"])
        except (OSError, http.client.HTTPException) as error:
            event["error"] = repr(error)
            connection.close()
        event["end"] = time.monotonic()
        events.append(event)
        stopping.wait(0.02)


def _write(gateway, folder, stopping, events):
    """Refreshes the tables in turn, each from a source that says the next number every time."""
    connection = _open(gateway)
    values = {table: _last(folder, table) for table in TABLES}
    while not stopping.is_set():
        for table in TABLES:
            values[table] += 1
            write_source(folder, table, values[table])
            event = {"who": "writer", "level": "write", "table": table, "value": values[table],
                     "start": time.monotonic(), "asked": 0}
            _refresh(connection, event, gateway[1].headers)
            event["end"] = time.monotonic()
            events.append(event)
            stopping.wait(0.05)


def _refresh(connection, event, signed):
    """One refresh; an unknown outcome is settled by asking under the same request id, and counted."""
    body = json.dumps({"objects": [{"table": event["table"]}]})
    headers = {"Content-Type": "application/json", "X-Evercube-Request-Id": uuid.uuid4().hex, **signed}
    deadline = time.monotonic() + 90
    while "version" not in event and time.monotonic() < deadline:
        event["asked"] += 1
        try:
            connection.request("POST", f"/api/v1/databases/{DATABASE}/refresh", body, headers)
            answer = connection.getresponse()
            text = answer.read().decode()
            if answer.status == 200:
                event["version"] = json.loads(text)["seq"]
            else:
                event["error"] = f"{answer.status}: {text[:300]}"
                time.sleep(0.05)
        except (OSError, http.client.HTTPException, ValueError) as error:
            event["error"] = repr(error)
            connection.close()


def _last(folder, table):
    with open(os.path.join(folder, f"{table}.csv")) as file:
        file.readline()
        return int(file.readline().split(",")[1])


def judge(events):
    """What was wrong, as sentences; empty where all was right."""
    wrong = []
    reads = [e for e in events if "values" in e]
    writes = [e for e in events if e["level"] == "write" and "version" in e]
    by_version = {}
    for read in reads:
        values = read["values"]
        state = []
        for k in range(len(TABLES)):
            n, lo, hi, total = values[4 * k:4 * k + 4]
            if n != ROWS or lo != hi or total != n * lo:
                wrong.append(f"torn: {read}")
            state.append(lo)
        read["state"] = state
        if read["version"] is not None and by_version.setdefault(read["version"], state) != state:
            wrong.append(f"two answers from version {read['version']}: {by_version[read['version']]} and {state}")
    seen = sorted(by_version.items())
    for (v, a), (w, b) in zip(seen, seen[1:]):
        if any(x > y for x, y in zip(a, b)):
            wrong.append(f"version {w} is older than {v}: {b} after {a}")
    for k, table in enumerate(TABLES):
        acknowledged = sorted((e["end"], e["value"]) for e in writes if e["table"] == table)
        begun = {e["value"]: e["start"] for e in events if e.get("table") == table}
        session = {}
        for read in sorted(reads, key=lambda e: e["start"]):
            value = read["state"][k]
            if begun.get(value, 0) > read["end"]:
                wrong.append(f"read before it was written: {read}")
            behind = {"strong": 0.0, "bounded:2s": 2.0}.get(read["level"])
            if behind is not None:
                due = [v for at, v in acknowledged if at <= read["start"] - behind]
                if due and value < due[-1]:
                    wrong.append(f"stale by more than {behind} s: {table} was {due[-1]}: {read}")
            if read["level"] in ("session", "adomd"):
                if value < session.get(read["who"], 0):
                    wrong.append(f"a session went back: {read}")
                session[read["who"]] = value
        for write in writes:
            if write["table"] == table:
                state = by_version.get(write["version"])
                if state and state[k] != write["value"]:
                    wrong.append(f"version {write['version']} holds {state}, not {write}")
    return wrong


def longest_pauses(events):
    """Per level, the longest time in which one client got no answer: from one to the next."""
    longest = {}
    by_client = {}
    for event in sorted(events, key=lambda e: e["end"]):
        by_client.setdefault(event["who"], []).append(event)
    for own in by_client.values():
        last = own[0]["start"]
        for event in own:
            if "version" in event:
                level = event["level"]
                if event["end"] - last > longest.get(level, (0, 0))[0]:
                    longest[level] = (event["end"] - last, last)
                last = event["end"]
    return longest


def failures(events):
    return [e for e in events if e["level"] != "write" and "error" in e]


def lost(group, events):
    """Acknowledged writes that a strong read at some server does not see afterwards."""
    newest = {}
    for event in events:
        if event["level"] == "write" and "version" in event:
            newest[event["table"]] = max(newest.get(event["table"], 0), event["value"])
    missing = []
    for server in group.servers:
        status, text = group.ask(server.client, "POST", "/xmla?read=strong", envelope(""))
        rows = re.search(r"<row>(.*)</row>", text, re.DOTALL)
        if status != 200 or not rows:
            missing.append(f"{server.name} does not answer: {status} {text[:200]}")
            continue
        values = [int(v) for v in re.findall(r">(-?\d+)<", rows.group(1))]
        for k, table in enumerate(TABLES):
            if values[4 * k + 1] < newest.get(table, 0):
                missing.append(f"{server.name} holds {values} and {newest} was acknowledged")
    return missing
