"""The rows of the TCP echo: thrum's server beside those of its peers, each
driven by echo_load, which starts the server it measures.

SPDX-License-Identifier: MIT
"""

import os
import pathlib
import shlex
import shutil
import statistics
import sys

from builds import build_thrum, build_tokio
from runs import Side, figure, say, spread, summary

SYSCALLS = pathlib.Path(__file__).with_name("syscalls.py")
CPUS = sorted(os.sched_getaffinity(0))


# ---- rows --------------------------------------------------------------------


class Figure:
    """A column: its key in the JSON, its title, its width."""

    alone = False  # every server has it

    def __init__(self, key, title, width):
        self.key, self.title, self.width = key, title, width


class Bound:
    """What a figure of thrum's, divided by that of the peer `than`, must come
    to: at least or at most so much. than None: the figure itself."""

    def __init__(self, key, than, least=None, most=None):
        self.key, self.than, self.least, self.most = key, than, least, most

    def __str__(self):
        return (f">={self.least:g}" if self.most is None else
                f"<={self.most:g}")

    def holds(self, value):
        return value >= self.least if self.most is None else value <= self.most


LOAD = [Figure("requests_per_s", "requests/s", 25),
        Figure("p50_us", "p50 us", 21), Figure("p99_us", "p99 us", 27),
        Figure("p999_us", "p99.9 us", 27),
        Figure("server_us", "server CPU us", 18)]
CALLS = [Figure(name, name.replace("_per_request", ""), 19) for name in (
    "read_per_request", "write_per_request", "epoll_ctl_per_request",
    "epoll_wait_per_request", "futex_per_request", "other_per_request")]


class Row:
    program = "echo"

    def __init__(self, name, subject, args, peers, bounds, metrics):
        self.name, self.subject, self.args = name, subject, args.split()
        self.metrics, self.bounds = metrics, bounds
        self.variants = {kind: [[]] for kind in ("thrum", *peers)}

    def reason(self):
        """Why the row can't be measured here, or None."""
        if "--cpu" in self.args and len(CPUS) < 2:
            return "server and client need a CPU each"
        if self.subject == "echo_syscalls" and not shutil.which("strace"):
            return "no strace (the package has the same name)"
        return None

    def conclude(self, contenders):
        """The table of the row, as plain data: servers, then verdicts."""
        best = best_of(contenders)
        lines = [{"server": kind, "label": one.label,
                  "failed": failures(contenders, kind), "others": others(one),
                  "figures": {metric.key: summary([one], metric.key)
                              for metric in self.metrics}}
                 for kind, one in best.items()]
        thrum = next((x for x in lines if x["server"] == "thrum"), None)
        for line in lines[:]:
            lines += compare(self, thrum, line) if thrum else []
        return lines

    def show(self, lines, _several):
        title(self)
        for line in lines:
            if "server" in line:
                show_server(self, line)
        than = dict.fromkeys(x["than"] for x in lines if "than" in x)
        for peer in than:
            show_ratios(self, peer, [x for x in lines
                                     if x.get("than", self) == peer])

    def missed(self, lines):
        return [f"{self.name} {line['metric']}" +
                (f" beside {line['than']}" if line["than"] else "")
                for line in lines if line.get("verdict") == "MISS"]


def pinned(name, conns, peers, bounds, more="", subject="echo", metrics=LOAD):
    return Row(name, subject, f"--procs 1 --conns {conns} --server-cpu "
               f"{CPUS[0]} --cpu {CPUS[-1]} --warm-ms 1000 {more}", peers,
               bounds, metrics)


def free(name, conns, peers, bounds, more="", subject="echo", metrics=LOAD):
    return Row(name, subject, f"--procs 2 --conns {conns} --warm-ms 1000 {more}",
               peers, bounds, metrics)


def no_worse(key, than):
    """Go beside itself differs by as much, see NO_WORSE of `run`."""
    return Bound(key, than, most=1.05)


ALL = ("go", "epoll", "libuv", "tokio_current", "tokio")
WITH_PS = ("go", "epoll", "tokio")
FREE = [Bound("requests_per_s", "go", least=1.05),
        Bound("requests_per_s", "tokio", least=0.95)]
FEW_CALLS = [Bound("read_per_request", None, most=1.01),
             Bound("write_per_request", None, most=1.01),
             Bound("epoll_ctl_per_request", None, most=0.02)]
ROWS = [
    pinned("echo_64", 64, ALL, [
        Bound("requests_per_s", "go", least=1.08),
        Bound("requests_per_s", "epoll", least=0.93),
        Bound("server_us", "go", most=0.92),
        Bound("server_us", "epoll", most=1.08), no_worse("p99_us", "go")]),
    pinned("echo_1000", 1000, ALL, [
        Bound("requests_per_s", "go", least=1.18),
        Bound("requests_per_s", "epoll", least=0.92),
        no_worse("p99_us", "go")]),
    pinned("echo_10k", 10000, ALL, []),
    free("echo_64_2p", 64, WITH_PS, FREE),
    free("echo_1000_2p", 1000, WITH_PS, FREE),
    pinned("echo_hogs", 64, ("go",), [no_worse("p99_us", "go")], "--hogs 2"),
    free("echo_hogs_2p", 64, ("go",), [no_worse("p99_us", "go")], "--hogs 2"),
    pinned("echo_syscalls", 64, ALL, FEW_CALLS, subject="echo_syscalls",
           metrics=CALLS),
    free("echo_syscalls_2p", 64, WITH_PS, FEW_CALLS, subject="echo_syscalls",
         metrics=CALLS),
]


# ---- the servers -------------------------------------------------------------


def driven(load, kind, version, server):
    """A side whose every run is the load with this server."""
    own = load + ["--server", shlex.join(map(str, server))]
    return Side(kind, version, lambda subject: own if subject == "echo" else
                [sys.executable, str(SYSCALLS), *own])


def gather(options, sides):
    """Sides for the rows here, made of those of `run` and the other peers."""
    built, error = build_thrum(options, ["echo_load"])
    if error:
        say(f"the load does not build:\n{error}")
        return []
    load = built.command("echo_load")
    found = [driven(load, side.kind, side.version, side.command("echo"))
             for side in sides]
    if options.only == "thrum":
        return found
    for peer in ("epoll", "libuv"):
        built, error = build_thrum(options, [f"echo_{peer}"])
        if error:
            skipped(peer, error)
        else:
            found.append(driven(load, peer, "", built.command(f"echo_{peer}")))
    binary, version, error = build_tokio(options)
    if error:
        skipped("tokio", error)
        return found
    return found + [
        driven(load, "tokio_current", version, [binary, "--current", 1]),
        driven(load, "tokio", version, [binary])]


def skipped(what, reason):
    print(f"{what}: skipped: {reason.strip().splitlines()[-1]}")


# ---- verdicts ----------------------------------------------------------------


def best_of(contenders):
    """{kind: contender}: of several Gos the one that serves the most."""
    best = {}
    for one in contenders:
        rates = one.values("requests_per_s")
        rate = statistics.median(rates) if rates else -1
        if rate >= best.get(one.side.kind, (-2,))[0]:
            best[one.side.kind] = rate, one
    return {kind: one for kind, (_, one) in best.items()}


def failures(contenders, kind):
    those = [one for one in contenders if one.side.kind == kind]
    bad = sum(len(one.failures()) for one in those)
    return f"{bad}/{sum(len(one.runs) for one in those)}" if bad else ""


def others(one):
    noise = [run["others"] for run in one.runs if "others" in run]
    return statistics.median(noise) if noise else None


def compare(row, thrum, line):
    """Verdicts on thrum's figures, or on their ratios to those of a peer."""
    than = None if line is thrum else line["server"]
    if than and row.metrics is CALLS:
        return []  # counts near nothing have no ratio
    found = []
    for metric in row.metrics:
        own, other = thrum["figures"][metric.key], line["figures"][metric.key]
        bound = next((b for b in row.bounds if
                      (b.key, b.than) == (metric.key, than)), None)
        if not own or not other or (than is None and not bound):
            continue
        value = own["median"] / (other["median"] if than else 1)
        verdict = "" if not bound or thrum["failed"] or line["failed"] else \
            "ok" if bound.holds(value) else "MISS"
        found.append({"metric": metric.key, "than": than, "value": value,
                      "bound": str(bound) if bound else "",
                      "verdict": verdict})
    return found


# ---- printing ----------------------------------------------------------------


def put(row, first, second, cells, last=""):
    texts = [f"{cell:>{metric.width}}" for metric, cell
             in zip(row.metrics, cells)]
    print(f"{first:<16} {second:<21} {' '.join(texts)}  {last}".rstrip(),
          flush=True)


def title(row):
    print()
    put(row, "row", "server", [m.title for m in row.metrics], "others")


def show_server(row, line):
    label = line["label"]
    if line["server"] not in label:
        label = f"{line['server']} {label}"
    noise = "" if line["others"] is None else f"{line['others']:.0%}"
    if line["failed"]:
        noise += f"  FAILED {line['failed']}"
    put(row, row.name, label,
        [spread(line["figures"][m.key]) for m in row.metrics], noise)


def show_ratios(row, peer, lines):
    cells = {x["metric"]: f"{figure(x['value'])} {x['bound']} {x['verdict']}"
             .strip() for x in lines}
    put(row, "", f"thrum / {peer}" if peer else "thrum's bounds",
        [cells.get(m.key, "") for m in row.metrics])
