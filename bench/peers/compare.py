"""Runs the same work on every server, in rounds, and prints tables.

Called by `run`, which installs and builds what is needed.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

import report
from measure import Failed, Process, instructions
from servers import SERVERS
from works import (HOSTS_100K, HOSTS_10K, PACED, POLICIES_100K, PROBE_AFTER, SMALL, WEIGHTS,
                   queries, read_networks, serve_health_checks, write_queries)

SIZES = {size.name: size for size in (SMALL, HOSTS_10K, HOSTS_100K, POLICIES_100K)}
CALLGRIND = ("echo", "watershed", "gdnsd")
# What a share of the answers may be off, whatever their number; and by chance,
# in standard deviations.
SHARE_TOLERANCE, DEVIATIONS = 0.002, 5


class Context:
    """What all measurements have in common."""

    def __init__(self, args):
        self.directory = args.directory
        self.server_core, self.load_core = args.cores
        self.first = args.first
        self.programs = dict(p.split("=", 1) for p in args.program)

    def query_file(self, work):
        return self.directory / f"queries-{work.replace(' ', '-')}"

    def put_first(self, pid):
        """Gives a session more of its core than others get, where --first asks for it."""
        if self.first:
            # Between sessions it is not `nice` that counts, but this.
            Path(f"/proc/{pid}/autogroup").write_text("-15")


def main():
    args = arguments()
    context = Context(args)
    os.sched_setaffinity(0, {context.load_core})
    subprocess.run([context.programs["bench-countries"], context.directory], check=True)
    networks = read_networks(context.directory / "networks.txt")
    serve_health_checks()
    result = {"machine": machine(), "versions": versions(context), "rounds": args.rounds,
              "seconds": args.seconds, "about": {n: SERVERS[n].about for n in args.servers},
              "rows": [], "sizes": {}, "instructions": {}, "failed": []}
    sizes = [s for s in SIZES.values() if s.name in args.sizes]
    try:
        for size in sizes:
            run(size, networks, context, args, result)
    except Failed as failure:
        result["failed"].append(str(failure))
    result["goals"] = [{"what": what, "measured": value, "goal": goal}
                       for what, value, goal in report.goals(result, report.Rows(result["rows"]))]
    args.results.mkdir(parents=True, exist_ok=True)
    (args.results / "peers.json").write_text(json.dumps(result, indent=1) + "\n")
    text, last_line = report.report(result)
    (args.results / "peers.md").write_text(f"{text}\n{last_line}\n")
    print(f"\n{text}\n{last_line}")
    sys.exit(1 if result["failed"] else 0)


def run(size, networks, context, args, result):
    """All that is to be done at one size."""
    works = [w for w in size.works if not args.works or w in args.works]
    asked = {w: queries(w, size, networks) for w in works}
    for work, every in asked.items():
        write_queries(context.query_file(work), every)
    compare(size, asked, context, args, result)
    if args.callgrind and size is SMALL:
        for name in (n for n in CALLGRIND if n in args.servers):
            note(f"{name} under Callgrind ...")
            counted = [w for w in mine(name, works) if w not in (PACED, "tcp")]
            result["instructions"][name] = instructions(name, size, counted, context, asked)


def compare(size, asked, context, args, result):
    """All servers at one size: start, rounds of all works, memory, reload."""
    running = []
    sizes = result["sizes"].setdefault(size.name, {})
    try:
        for name in (n for n in args.servers if set(asked) & set(SERVERS[n].works)):
            note(f"{size.name}: starting {name} ...")
            process = start(name, size, context, args.starts, sizes)
            running.append(process)
        for process in running:
            process.settle(mine(process.name, asked), asked)
            process.quieten()
        for number in range(args.rounds):
            for work in asked:
                # Nobody always comes after the same one.
                order = running[number % len(running):] + running[:number % len(running)]
                for process in (p for p in order if work in SERVERS[p.name].works):
                    row = process.measure(work, args.seconds)
                    row.update(server=process.name, size=size.name, work=work, round=number,
                               load=os.getloadavg()[0])
                    result["rows"].append(row)
                    check(row, result["failed"])
                    note(f"round {number + 1}, {work}: {process.name} {row['qps']:.0f} q/s, "
                         f"{row['cpu_us']:.2f} µs CPU, p50 {row['p50_us']:.0f} µs, "
                         f"wrong {row['wrong']}, lost {row['lost']}")
        for process in running:
            sizes[process.name]["memory_mb"] = process.memory()
        for process in running:
            if size is HOSTS_100K and SERVERS[process.name].reload:
                sizes[process.name]["reload_s"] = process.change(PROBE_AFTER)
            if "geo" in asked and process.name == report.OURS:
                result["switching"] = switching = process.switch("geo", 3 * args.seconds)
                note(f"{switching['switches']} switches under load: {switching['replies']} "
                     f"replies, {switching['wrong']} wrong, {switching['lost']} lost")
    finally:
        for process in running:
            process.stop()


def mine(name, works):
    """The works that a server can do."""
    return [w for w in works if w in SERVERS[name].works]


def start(name, size, context, starts, sizes):
    """Starts it several times, and leaves the last one running."""
    processes = []
    for left in reversed(range(starts if size is not SMALL else 1)):
        processes.append(Process(name, size, context))
        if left:
            processes[-1].stop()
    sizes[name] = {"start_s": statistics.median(p.start_seconds for p in processes),
                   "start_cpu_s": statistics.median(p.start_cpu for p in processes)}
    return processes[-1]


def check(row, failed):
    """Notes answers that are wrong or missing, and shares that miss the weights."""
    what = f"{row['server']}, {row['work']}, round {row['round'] + 1}"
    if row["wrong"] or row["lost"] or not row["replies"]:
        failed.append(f"{what}: {row['replies']} replies, {row['wrong']} wrong, {row['lost']} lost"
                      + (f", the first wrong one {row['first_wrong']}" if row["wrong"] else ""))
    if row["work"].split()[0] in ("weighted", "policies") and row["server"] != "echo":
        right = max(sum(row["shares"]), 1)
        for weight, share in zip(WEIGHTS.values(), row["shares"]):
            due = weight / sum(WEIGHTS.values())
            chance = DEVIATIONS * (due * (1 - due) / right) ** 0.5
            if abs(share / right - due) > max(SHARE_TOLERANCE, chance):
                failed.append(f"{what}: weight {weight} got {share / right:.1%} of the answers")


def machine():
    names = [line.split(":", 1)[1].strip() for line in
             Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return {"processor": names[0] if names else platform.machine(), "cores": os.cpu_count(),
            "kernel": platform.release(), "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())}


def versions(context):
    packages = ("gdnsd", "knot", "nsd", "bind9", "pdns-server")
    listed = subprocess.run(["dpkg-query", "-W", "-f", "${Package} ${Version}\n", *packages],
                            capture_output=True, text=True, check=False).stdout
    own = subprocess.run([context.programs["watershed"], "--version"], capture_output=True,
                         text=True, check=True).stdout
    core = subprocess.run([context.programs["coredns"], "-version"], capture_output=True,
                          text=True, check=True).stdout
    return [own.strip(), *listed.splitlines(), core.splitlines()[0]]


def note(text):
    print(text, file=sys.stderr, flush=True)


def arguments():
    words = lambda text: text.split(",")
    parser = argparse.ArgumentParser(description="Compares Watershed with other DNS servers.")
    parser.add_argument("--directory", type=Path, required=True, help="for files while it runs")
    parser.add_argument("--results", type=Path, required=True, help="for peers.json and peers.md")
    parser.add_argument("--program", action="append", required=True, metavar="NAME=PATH")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--starts", type=int, default=3, help="starts at large sizes")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measurement")
    parser.add_argument("--servers", type=words, default=list(SERVERS), help="comma between")
    parser.add_argument("--sizes", type=words, default=list(SIZES), help="comma between")
    parser.add_argument("--works", type=words, default=[], help="comma between; all by default")
    parser.add_argument("--cores", type=lambda text: [int(c) for c in text.split(",")],
                        default=[0, 1], help="of the server and of the load")
    parser.add_argument("--first", action="store_true",
                        help="take the cores from others on a busy machine")
    parser.add_argument("--callgrind", action="store_true", help="count instructions, too")
    args = parser.parse_args()
    for chosen, known in ((args.servers, SERVERS), (args.sizes, SIZES)):
        if unknown := set(chosen) - set(known):
            parser.error(f"unknown: {', '.join(unknown)}; known: {', '.join(known)}")
    return args


if __name__ == "__main__":
    main()
