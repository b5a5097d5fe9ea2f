"""A server as a process: started, asked, measured, stopped."""

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from servers import SERVERS, Place
from works import (PACED, PACED_RATE, PROBE_AFTER, PROBE_BEFORE, ZONE, ask, is_right, last_name,
                   message)

FIRST_PORT = 5301
START_SECONDS, RELOAD_SECONDS = 600, 120
# The share of a core below which a server counts as idle.
QUIET = 0.02
TICK = 1_000_000_000 // os.sysconf("SC_CLK_TCK")


class Failed(Exception):
    """A server did not do what was expected of it."""


class Process:
    """A running server, pinned to a core."""

    def __init__(self, name, size, context, wrapper=()):
        directory = context.directory / name
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        self.name, self.context = name, context
        self.place = Place(directory, FIRST_PORT + list(SERVERS).index(name), size,
                           context.directory / "country.mmdb", context.programs)
        argv = [*wrapper, *SERVERS[name].start(self.place)]
        argv = ["taskset", "-c", str(context.server_core), *map(str, argv)]
        self.log = directory / "log"
        began = time.monotonic()
        with open(self.log, "w") as log:
            # A session of its own, by which its other processes are found.
            self.child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                          start_new_session=True)
        context.put_first(self.child.pid)
        try:
            self.await_first_answer(began + START_SECONDS)
        except BaseException:
            self.stop()
            raise
        self.start_seconds = time.monotonic() - began
        self.start_cpu = self.cpu()[1] / 1e9

    def await_first_answer(self, deadline):
        name, addresses = last_name(self.place.size)
        query = message(name)
        while self.name == "echo" or not is_right(ask(self.place.port, query), 0, addresses):
            if self.name == "echo" and ask(self.place.port, query):
                return
            if self.child.poll() is not None or time.monotonic() > deadline:
                raise Failed(f"{self.name} did not start: {self.log.read_text()[-2000:]}")
            time.sleep(0.002)

    def settle(self, works, queries, seconds=60):
        """Waits until every work is answered right: health checks take their time."""
        if self.name == "echo":
            return
        deadline = time.monotonic() + seconds
        for work in works:
            for query, rcode, addresses in queries[work][:20]:
                while not is_right(reply := ask(self.place.port, query), rcode, addresses):
                    if time.monotonic() > deadline:
                        raise Failed(f"{self.name}, {work}: {reply} is not one of {addresses}")
                    time.sleep(0.1)

    def quieten(self, seconds=120):
        """Waits until it has nothing to do, as after a start it may go on in the background."""
        deadline = time.monotonic() + seconds
        while True:
            before = self.cpu()[2]
            time.sleep(0.5)
            if self.cpu()[2] - before < 0.5e9 * QUIET:
                return
            if time.monotonic() > deadline:
                raise Failed(f"{self.name} is busy {seconds} s after its start, without a query")

    def directories(self):
        """Those of its processes in /proc."""
        found = []
        for path in Path("/proc").glob("[0-9]*"):
            try:
                fields = (path / "stat").read_text().rsplit(")", 1)[1].split()
                if int(fields[3]) == self.child.pid:
                    found.append(path)
            except (OSError, IndexError):
                pass
        return found

    def cpu(self):
        """CPU time so far in ns: in user mode, in all, and that of the threads that still run."""
        user = total = running = 0
        for path in self.directories():
            fields = (path / "stat").read_text().rsplit(")", 1)[1].split()
            user += int(fields[11]) * TICK
            total += (int(fields[11]) + int(fields[12])) * TICK
            for task in path.glob("task/*/schedstat"):
                running += int(task.read_text().split()[0])
        return user, total, running

    def memory(self):
        """Resident memory in MB, what its processes share counted once."""
        kib = 0
        for path in self.directories():
            for line in (path / "smaps_rollup").read_text().splitlines():
                kib += int(line.split()[1]) if line.startswith("Pss:") else 0
        return kib * 1024 / 1e6

    def measure(self, work, seconds):
        """Loads it for some seconds."""
        options = {"tcp": ["--tcp", "--links", 20, "--window", 10],
                   PACED: ["--rate", PACED_RATE]}.get(work, [])
        before = self.cpu()
        result = self.blast(work, ["--seconds", seconds, *options])
        after = self.cpu()
        replies = max(result["replies"], 1)
        user, total, running = (b - a for a, b in zip(before, after))
        # The time of running threads is exact, the other is in ticks. PowerDNS has
        # a thread for each TCP connection, which ends with it.
        cpu = running if abs(running - total) < 3 * TICK else total
        result.update(cpu_us=cpu / replies / 1e3, user_us=user / replies / 1e3)
        return result

    def blast(self, work, options):
        with self.start_blast(work, options) as load:
            return self.end_blast(work, load)

    def start_blast(self, work, options):
        argv = ["taskset", "-c", self.context.load_core, self.context.programs["bench-blast"],
                f"127.0.0.1:{self.place.port}", self.context.query_file(work), *options,
                *(["--any"] if self.name == "echo" else [])]
        load = subprocess.Popen([str(a) for a in argv], stdin=subprocess.DEVNULL, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                start_new_session=True)
        self.context.put_first(load.pid)
        return load

    def end_blast(self, work, load):
        out, errors = load.communicate()
        if load.returncode:
            raise Failed(f"{self.name}, {work}: the load ended early: {errors.strip()}")
        return json.loads(out)

    def switch(self, work, seconds):
        """Changes an address again and again under full load: how often, and what went wrong."""
        switches = 0
        with self.start_blast(work, ["--seconds", seconds]) as load:
            while load.poll() is None:
                self.change((PROBE_AFTER, PROBE_BEFORE)[switches % 2])
                switches += 1
            result = self.end_blast(work, load)
        return {**result, "switches": switches}

    def change(self, address):
        """Changes the address of a name, and says after how many seconds it is answered."""
        probe = message(f"probe.{ZONE}")
        SERVERS[self.name].change(self.place, address)
        began = time.monotonic()
        command = SERVERS[self.name].reload(self.place, self.child.pid)
        subprocess.run([str(a) for a in command], capture_output=True, check=True)
        while not is_right(ask(self.place.port, probe), 0, [address]):
            if time.monotonic() > began + RELOAD_SECONDS:
                raise Failed(f"{self.name} did not reload")
            time.sleep(0.002)
        return time.monotonic() - began

    def stop(self):
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.child.pid, number)
                self.child.wait(10)
                return
            except ProcessLookupError:
                return
            except subprocess.TimeoutExpired:
                pass


def instructions(name, size, works, context, queries):
    """Instructions in user mode for each query, by Callgrind."""
    counted = 20_000
    # Callgrind counts each octet that a `rep stosb` writes as an instruction.
    plain = "glibc.cpu.x86_rep_{}_threshold=1000000000"
    wrapper = ["env", f"GLIBC_TUNABLES={plain.format('stosb')}:{plain.format('movsb')}",
               "valgrind", "-q", "--tool=callgrind", "--instr-atstart=no",
               f"--callgrind-out-file={context.directory}/callgrind.{name}"]
    found = {}
    for work in works:
        # A process for each work: Callgrind writes its total at the end.
        process = Process(name, size, context, wrapper)
        try:
            process.settle([work], queries)
            process.blast(work, ["--count", 1000, "--seconds", 60])
            control = lambda state: subprocess.run(
                ["callgrind_control", "-i", state, str(process.child.pid)],
                capture_output=True, check=True)
            control("on")
            replies = process.blast(work, ["--count", counted, "--seconds", 120])["replies"]
            control("off")
        finally:
            process.stop()
        total = 0
        for path in context.directory.glob(f"callgrind.{name}*"):
            lines = path.read_text().splitlines()
            total += sum(int(line.split()[1]) for line in lines if line.startswith("totals:"))
            path.unlink()
        found[work] = total / replies
    return found
