#!/usr/bin/env python3
"""The guide from end to end, on this machine alone: nginx, visitors, three nodes, a shipper and two groups; with kills, a rotation, a
standstill and a replay. Prints what it does, and fails unless every click arrives once per group, the counts are those of the log,
each session is in order, and the replay is exact. `make guide` runs it.

    run.py PATH-OF-HIGHWATER
"""

import collections
import glob
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
PARTITIONS = 6
WITHIN = 60  # seconds that anything may take


def need_client():
    """Runs this program again in a virtual environment that has the Kafka client, unless it is there."""
    try:
        import confluent_kafka  # noqa: F401
    except ImportError:
        venv = os.path.join(os.path.expanduser("~"), ".cache/highwater/guide")
        python = os.path.join(venv, "bin/python")
        if os.path.realpath(sys.prefix) == os.path.realpath(venv):
            raise
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "-r", os.path.join(HERE, "requirements.txt")], check=True)
        os.execv(python, [python, *sys.argv])


class Guide:
    """What runs, on a loopback address of this process's own."""

    def __init__(self, binary, directory):
        self.binary, self.directory = binary, directory
        pid = os.getpid()
        self.host = f"127.2.{pid >> 8 & 255}.{max(pid & 255, 1)}"
        self.ports = self.free_ports(10)
        self.web = f"{self.host}:{self.ports[9]}"
        self.bootstrap = ",".join(f"{self.host}:{self.ports[3 * n]}" for n in range(3))
        self.log = os.path.join(directory, "web", "access.log")
        self.archive = os.path.join(directory, "archive")
        self.processes = {}

    def free_ports(self, count):
        sockets = [socket.create_server((self.host, 0)) for _ in range(count)]
        ports = [one.getsockname()[1] for one in sockets]
        for one in sockets:
            one.close()
        return ports

    def start(self, name, *command):
        output = open(os.path.join(self.directory, f"{name}.out"), "ab")
        self.processes[name] = subprocess.Popen(command, stdout=output, stderr=output, stdin=subprocess.DEVNULL)

    def stop(self, name, how=signal.SIGTERM):
        process = self.processes.pop(name)
        process.send_signal(how)
        process.wait(WITHIN)

    def stop_all(self):
        for name in reversed(list(self.processes)):
            self.stop(name, signal.SIGKILL if name.startswith("node") else signal.SIGTERM)

    def start_node(self, n):
        home = os.path.join(self.directory, f"node{n}")
        os.makedirs(home, exist_ok=True)
        client, controller, http = self.ports[3 * n - 3:3 * n]
        voters = ",".join(f"{id}@{self.host}:{self.ports[3 * id - 2]}" for id in (1, 2, 3))
        properties = {
            "process.roles": "broker,controller", "node.id": n, "controller.quorum.voters": voters,
            "listeners": f"PLAINTEXT://{self.host}:{client},CONTROLLER://{self.host}:{controller}",
            "controller.listener.names": "CONTROLLER", "highwater.http.listener": f"{self.host}:{http}",
            "log.dirs": os.path.join(home, "data"), "group.initial.rebalance.delay.ms": 0,
        }
        path = os.path.join(home, "server.properties")
        with open(path, "w") as file:
            file.writelines(f"{key}={value}\n" for key, value in properties.items())
        self.start(f"node{n}", self.binary, "server", "--config", path)

    def start_web(self):
        prefix = os.path.dirname(self.log)
        os.makedirs(prefix)
        os.chmod(self.directory, 0o755)  # nginx's worker is a user of its own
        config = os.path.join(prefix, "nginx.conf")
        with open(os.path.join(HERE, "nginx.conf")) as template, open(config, "w") as file:
            file.write(template.read().replace("127.0.0.1:8080", self.web))
        nginx = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
        self.start("nginx", nginx, "-e", "stderr", "-p", prefix, "-c", config)

    def program(self, name, *arguments, run_as=None):
        self.start(run_as or name, sys.executable, os.path.join(HERE, f"{name}.py"), self.bootstrap, *arguments)

    def ship(self):
        self.program("ship", "clicks", self.log)

    def count(self, instance):
        self.program("counts", "clicks", "counts", run_as=f"counts-{instance}")

    def archivist(self):
        self.program("archive", "clicks", self.archive)

    def visit(self, sessions, requests, seed):
        subprocess.run([sys.executable, os.path.join(HERE, "visit.py"), self.web, str(sessions), str(requests), str(seed)],
                       check=True, timeout=WITHIN)

    def highwater(self, *arguments):
        return subprocess.run([self.binary, *arguments, "--bootstrap-server", self.bootstrap], check=True, timeout=WITHIN,
                              capture_output=True, text=True).stdout

    def ready(self, n):
        with urllib.request.urlopen(f"http://{self.host}:{self.ports[3 * n - 1]}/readyz", timeout=5) as answer:
            return answer.status == 200

    def lag_by_command(self, group):
        """Sum over the partitions of what `highwater group describe` tells."""
        def lags(value):
            if isinstance(value, dict) and "partition" in value:
                return value.get("lag") or 0
            inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
            return sum(map(lags, inner))
        return lags(json.loads(self.highwater("group", "describe", group, "--json")))

    def lag_by_metrics(self, group):
        """Sum over the nodes: a group's lag is told by the node that coordinates it."""
        total = 0
        for n in (1, 2, 3):
            with urllib.request.urlopen(f"http://{self.host}:{self.ports[3 * n - 1]}/metrics", timeout=5) as answer:
                for line in answer.read().decode().splitlines():
                    if line.startswith("kafka_consumergroup_lag{") and f'group="{group}"' in line and 'topic="clicks"' in line:
                        total += float(line.rsplit(" ", 1)[1])
        return int(total)

    def forget(self, group):
        """Sets a group that has no members back to the beginning, as an operator might who is not sure what it has done."""
        self.highwater("group", "reset-offsets", group, "--topic", "clicks", "--to-earliest", "--execute")

    def logged(self):
        """All lines of the log, rotated files first: what everything is compared with."""
        lines = []
        for name in sorted(glob.glob(self.log + "*"), key=lambda name: (name == self.log, name)):
            with open(name) as file:
                lines += file.read().splitlines()
        return lines

    def archived(self):
        """{partition: lines} of the archive's files, in their order."""
        found = {}
        for partition in range(PARTITIONS):
            path = os.path.join(self.archive, f"clicks-{partition}.log")
            with open(path) as file:
                found[partition] = [line.split("\t", 1) for line in file.read().splitlines()]
        return {partition: [line for _, line in lines] for partition, lines in found.items()}


def eventually(what, look, wanted=True):
    deadline = time.monotonic() + WITHIN
    while True:
        try:
            seen = look()
        except Exception as error:  # not there yet
            seen = error
        if seen == wanted:
            return
        if time.monotonic() > deadline:
            sys.exit(f"FAILED  {what}: {seen!r}, and not {wanted!r} within {WITHIN} s")
        time.sleep(0.2)


def check(what, holds, detail=""):
    if not holds:
        sys.exit(f"FAILED  {what} {detail}")
    print(f"ok      {what}", flush=True)


def caught_up(guide):
    """Every line is shipped, read and committed by both groups."""
    def behind():
        archived = sum(len(one) for one in guide.archived().values())
        return len(guide.logged()) - archived, guide.lag_by_command("counts"), guide.lag_by_command("archive")
    eventually("both groups catch up: lines that are not archived, lags", behind, (0, 0, 0))


def run(guide):
    from counts import minute_of, read_counts

    print("== three nodes, a web server, topics")
    for n in (1, 2, 3):
        guide.start_node(n)
    guide.start_web()
    os.makedirs(guide.archive)
    for n in (1, 2, 3):
        eventually(f"node {n} is ready", lambda: guide.ready(n))
    guide.highwater("topic", "create", "clicks", "--partitions", str(PARTITIONS), "--replication-factor", "3",
                    "--config", "min.insync.replicas=2", "--config", "retention.ms=604800000", "--config", "segment.ms=86400000")
    guide.highwater("topic", "create", "counts", "--partitions", str(PARTITIONS), "--replication-factor", "3",
                    "--config", "min.insync.replicas=2", "--config", "cleanup.policy=compact,delete",
                    "--config", "retention.ms=7776000000", "--config", "min.cleanable.dirty.ratio=0.2")

    print("== visitors come; the shipper and both groups work")
    guide.ship()
    guide.count(1)
    guide.count(2)
    guide.archivist()
    guide.visit(40, 40, seed=1)
    caught_up(guide)
    check(f"{len(guide.logged())} clicks shipped, counted and archived", True)

    print("== everything is killed once while visitors come, and the log is rotated")
    visitors = subprocess.Popen([sys.executable, os.path.join(HERE, "visit.py"), guide.web, "40", "60", "2"])
    for name in ("ship", "counts-1", "archive"):
        guide.stop(name, signal.SIGKILL)
    os.rename(guide.log, guide.log + ".1")
    guide.processes["nginx"].send_signal(signal.SIGUSR1)
    guide.stop("node2", signal.SIGKILL)
    time.sleep(1)  # as a supervisor waits before it starts a process again
    guide.ship()
    guide.count(1)
    guide.archivist()
    guide.start_node(2)
    eventually("node 2 is back", lambda: guide.ready(2))
    check("visitors got their pages", visitors.wait(WITHIN) == 0)
    guide.visit(40, 20, seed=3)
    caught_up(guide)
    check("the log was rotated, and is shipped on", os.path.getsize(guide.log) > 0 and os.path.getsize(guide.log + ".1") > 0)

    print("== the counting stands still, and lag shows it")
    guide.stop("counts-1")
    guide.stop("counts-2")
    pause_ms = round(json.loads(guide.logged()[-1])["time"] * 1000) + 1
    time.sleep(0.01)
    guide.visit(20, 10, seed=4)
    eventually("200 clicks of lag by command", lambda: guide.lag_by_command("counts"), 200)
    eventually("200 clicks of lag by metrics", lambda: guide.lag_by_metrics("counts"), 200)
    print(guide.highwater("group", "describe", "counts"))
    check("`highwater group describe` and kafka_consumergroup_lag tell of 200 clicks", True)
    guide.stop("archive")
    for group in ("counts", "archive"):
        guide.forget(group)
    guide.archivist()
    guide.count(1)
    caught_up(guide)
    eventually("no lag by metrics", lambda: guide.lag_by_metrics("counts"), 0)
    check("and of none once it goes on, after both groups were set back to the beginning", True)

    print("== what came of it")
    logged, archived = guide.logged(), guide.archived()
    check(f"each of {len(logged)} lines is in the archive once",
          sorted(logged) == sorted(line for lines in archived.values() for line in lines))

    clicks = [json.loads(line) for line in logged]
    expected = collections.Counter((minute_of(round(click["time"] * 1000)), click["path"]) for click in clicks)
    counted = collections.Counter()
    for keys in read_counts(guide.bootstrap, "counts", range(PARTITIONS)).values():
        for key, (count, _) in keys.items():
            counted[tuple(key.split(" ", 1))] += count
    check(f"{len(counted)} counts of pages per minute are those of the log", counted == expected, f"{counted - expected} {expected - counted}")

    def by_session(lines):
        sessions = collections.defaultdict(list)
        for line in lines:
            click = json.loads(line)
            sessions[click["session"]].append(click["id"])
        return sessions
    read = {}
    for lines in archived.values():
        for session, ids in by_session(lines).items():
            check_once = session not in read
            read[session] = ids
            if not check_once:
                sys.exit(f"FAILED  session {session} is in two partitions")
    check(f"each of {len(read)} sessions is in one partition, in its order", read == by_session(logged))

    print("== replay from a time")
    for name, time_ms in (("the standstill", pause_ms), ("the middle", round(clicks[len(clicks) // 2]["time"] * 1000))):
        replayed = subprocess.run([sys.executable, os.path.join(HERE, "replay.py"), guide.bootstrap, "clicks", str(time_ms)],
                                  check=True, timeout=WITHIN, capture_output=True, text=True).stdout.splitlines()
        after = [line for line, click in zip(logged, clicks) if round(click["time"] * 1000) >= time_ms]
        check(f"{len(replayed)} lines from {name} on, no other", sorted(replayed) == sorted(after), f"expected {len(after)}")
        replayed = guide.highwater("consume", "clicks", "--from-time", str(time_ms), "--exit").splitlines()
        check("and the same by `highwater consume --from-time`", sorted(replayed) == sorted(after), f"{len(replayed)}, expected {len(after)}")


def main():
    need_client()
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # what was started ends with us
    with tempfile.TemporaryDirectory(prefix="highwater-guide-") as directory:
        guide = Guide(os.path.abspath(sys.argv[1]), directory)
        try:
            run(guide)
        except BaseException:
            for path in glob.glob(os.path.join(directory, "*.out")):
                with open(path, errors="replace") as file:
                    print(f"--- {os.path.basename(path)}", *file.read().splitlines()[-8:], sep="\n", file=sys.stderr)
            raise
        finally:
            guide.stop_all()


if __name__ == "__main__":
    main()
