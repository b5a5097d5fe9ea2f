"""Tables of what was measured, and how far it is from the goals."""

from statistics import median

from works import PACED

OURS, CEILING, PEER = "watershed", "echo", "gdnsd"

# CPU for each query, at most so many times that of another in the same round.
CPU_GOALS = {
    "weighted": {PEER: 1.00, CEILING: 1.10},
    "geo": {PEER: 1.00, CEILING: 1.10},
    "failover": {PEER: 1.00, CEILING: 1.10},
    "tree": {PEER: 1.00, CEILING: 1.10},
    "policies 100k": {PEER: 0.85, CEILING: 1.15},
    "nx": {CEILING: 1.05},
    "nx 100k": {CEILING: 1.10},
}
# Of our own code for each query, in µs.
USER_GOAL, USER_GOAL_100K = 0.4, 0.6


class Rows:
    """What was measured, by work and server."""

    def __init__(self, rows):
        self.by = {}
        for row in rows:
            rounds = self.by.setdefault(row["work"], {}).setdefault(row["server"], {})
            rounds[row["round"]] = row

    def works(self):
        return list(self.by)

    def servers(self):
        found = {}
        for servers in self.by.values():
            found.update(dict.fromkeys(servers))
        return list(found)

    def median(self, work, server, figure):
        rounds = self.by[work].get(server)
        return median(row[figure] for row in rounds.values()) if rounds else None

    def user_us(self, work, server):
        """Of all rounds together: the kernel samples it, too rarely for a single one."""
        rows = self.by[work].get(server, {}).values()
        replies = sum(row["replies"] for row in rows)
        return sum(row["user_us"] * row["replies"] for row in rows) / replies if replies else None

    def ratio(self, work, server, other, figure="cpu_us"):
        """Median of the ratios within a round, which the machine's moods do not touch."""
        own, others = self.by[work].get(server, {}), self.by[work].get(other, {})
        pairs = [own[i][figure] / others[i][figure] for i in own if i in others]
        return median(pairs) if pairs else None


def report(result):
    """All tables as Markdown, and the line that names the worst."""
    rows = Rows(result["rows"])
    works, servers = rows.works(), rows.servers()
    machine = result["machine"]
    loads = [row["load"] for row in result["rows"]]
    parts = [
        f"{machine['date']}; {machine['processor']}, {machine['cores']} cores, kernel "
        f"{machine['kernel']}; load average {min(loads):.1f} to {max(loads):.1f}. "
        f"{result['rounds']} rounds of {result['seconds']} s; medians. "
        + ", ".join(result["versions"]) + "." if loads else "Nothing was measured."]

    def by_work(title, cell):
        parts.append(table(title, ["server", *works], [
            [server, *(cell(work, server) for work in works)] for server in servers]))

    by_work("CPU per query over the echo, same round",
            lambda w, s: number(rows.ratio(w, s, CEILING)))
    by_work("CPU per query over gdnsd, same round", lambda w, s: number(rows.ratio(w, s, PEER)))
    by_work("CPU per query, µs", lambda w, s: number(rows.median(w, s, "cpu_us")))
    by_work("CPU per query in user mode, µs", lambda w, s: number(rows.user_us(w, s)))
    by_work("Thousand queries a second", lambda w, s: number(rows.median(w, s, "qps"), 1e-3, 0))
    by_work("Latency, µs: half of all, 99 %", lambda w, s: " / ".join(
        number(rows.median(w, s, figure), 1, 0) for figure in ("p50_us", "p99_us")))
    notes = "\n".join(f"* {name}: {about}" for name, about in result["about"].items() if about)
    parts += [sizes(result), instructions(result), notes, goals_table(goals(result, rows))]
    if result["failed"]:
        parts.append("Wrong, missing or misweighted answers:\n\n"
                     + "\n".join(f"* {line}" for line in result["failed"]))
    return "\n\n".join(part for part in parts if part) + "\n", worst(goals(result, rows))


def table(title, head, lines):
    rule = ["---", *("---:" for _ in head[1:])]
    body = "\n".join(f"| {' | '.join(line)} |" for line in (head, rule, *lines))
    return f"### {title}\n\n{body}"


def number(value, factor=1, digits=2):
    return "–" if value is None else f"{value * factor:.{digits}f}"


def sizes(result):
    figures = {"start_s": "start, s", "start_cpu_s": "start, s of CPU",
               "memory_mb": "memory, MB", "reload_s": "reload, s"}
    columns = [(size, figure) for size, servers in result["sizes"].items() for figure in figures
               if any(figure in found for found in servers.values())]
    names = dict.fromkeys(name for servers in result["sizes"].values() for name in servers)
    lines = [[name, *(number(result["sizes"][size].get(name, {}).get(figure), 1,
                             0 if figure == "memory_mb" else 2) for size, figure in columns)]
             for name in names]
    return table("Start, memory and reload", ["server", *(
        f"{size}: {figures[figure]}" for size, figure in columns)], lines)


def instructions(result):
    counted = result["instructions"]
    if not counted:
        return ""
    works = list(dict.fromkeys(work for found in counted.values() for work in found))
    return table("Instructions per query in user mode, by Callgrind", ["server", *works], [
        [name, *(number(found.get(work), 1, 0) for work in works)]
        for name, found in counted.items()])


def goals(result, rows):
    """What was measured of that which has a goal: (what, value, goal)."""
    found = []
    for work in rows.works():
        for other, goal in CPU_GOALS.get(work, {}).items():
            found.append((f"{work}: CPU over {other}", rows.ratio(work, OURS, other), goal))
        # Of the other works, the transport is not our own, or mostly idle.
        if work not in ("tcp", PACED):
            goal = USER_GOAL_100K if "100k" in work else USER_GOAL
            found.append((f"{work}: µs in user mode", rows.user_us(work, OURS), goal))
    # Memory and start have goals for a node of a fleet: bench/run has those, of
    # bench-start. Here a directory of manifests is served, which is another thing.
    if switching := result.get("switching"):
        bad = switching["wrong"] + switching["lost"]
        found.append((f"wrong or lost in {switching['switches']} changes at full load", bad, 0))
    return [(what, value, goal) for what, value, goal in found if value is not None]


def times(value, goal):
    """How many times the goal it is; to miss a goal of none is worse than all else."""
    return value / goal if goal else 1 if value == 0 else float("inf")


def goals_table(found):
    return table("Goals", ["what", "measured", "goal", "measured / goal", ""], [
        [what, number(value), number(goal), number(times(value, goal)),
         "reached" if value <= goal else "missed"] for what, value, goal in found]) if found else ""


def worst(found):
    if not found:
        return "Nothing with a goal was measured."
    what, value, goal = max(found, key=lambda one: times(*one[1:]))
    missed = sum(value > goal for _, value, goal in found)
    return (f"Worst against its goal: {what}, {value:.2f} where the goal is {goal:.2f} "
            f"({times(value, goal):.2f} times that); {missed} of {len(found)} goals are missed.")
