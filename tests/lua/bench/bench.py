#!/usr/bin/env python3
"""thrum for Lua beside Lua's coroutines, and beside a pthread with a lua_State of
its own per job and a queue behind a mutex (what Lua Lanes does).

usage: bench.py BUILD [--runs N] [--lua 5.4,5.3,5.1,jit]

Each run is a fresh process; sides alternate. Prints medians with their range and
ratios of medians, ns per operation; of another Lua than 5.4 the figures alone.

What no message can do without: "Lua: call" and "Lua: table" are what a loop of Lua
takes for a call of a method in C and for making the table, "C: message" the same
channel used from C, and "peer: C message" the queue of the peer used from C.

A gap is how long one who wants a turn every 0.1 ms waits for the next beside a loop.
Threads that sleep as long at a time, one on each CPU, run meanwhile: "plain thread"
is the longest that they were kept waiting, and "without those" the longest gap less
what of it lies in such times. The last line says what other programs took of the
machine meanwhile: from a few per cent on the subjects with two procs measure those.
"""

import argparse
import json
import os
import pathlib
import resource
import statistics
import subprocess

HERE = pathlib.Path(__file__).parent

# name, procs, environment
THRUM = [
    ("coroutine resume+yield", 1, {}),
    ("go yield", 1, {}),
    ("go spawn", 1, {}),
    ("spawn", 1, {"N": "20000"}),
    ("spawn globals", 1, {"N": "20000"}),
    ("Lua: call", 1, {}),
    ("Lua: table", 1, {}),
    ("message integer", 2, {}),
    ("message integer, no buffer", 2, {}),
    ("message table", 2, {}),
    ("compute 1", 2, {}),
    ("compute 2", 2, {}),
]
PEER = [("spawn", 2000), ("message integer", 200000),
        ("message integer, no buffer", 20000), ("message table", 100000),
        ("compute 1", 1), ("compute 2", 2)]


def run(command, **env):
    done = subprocess.run(command, env={**os.environ, **env}, check=True,
                          capture_output=True, text=True)
    return done.stdout


def spans(text):
    """Lines "from to" as pairs."""
    pairs = (line.split() for line in text.splitlines())
    return [(float(begin), float(end)) for begin, end in pairs]


def longest(all_):
    return max((end - begin for begin, end in all_), default=0)


def outside(span, others):
    """How much of a span is in none of the others."""
    begin, end = span
    left = 0
    for other_begin, other_end in sorted(others):
        left += max(0, min(other_begin, end) - begin)
        begin = max(begin, min(other_end, end))
    return left + end - begin


def gaps(programs, kind, subject, **env):
    """Name -> ns, of one run."""
    peer = programs / "bench/lua_bench_peer"
    with subprocess.Popen([peer, "sleepers", "1500"], text=True,
                          stdout=subprocess.PIPE) as sleepers:
        all_ = spans(run([programs / f"lua_runner_{kind}", HERE, "bench.lua", "2"],
                         SUBJECT=subject, **env))
        late, _ = sleepers.communicate()
    begin, end = all_[0][0], all_[-1][1]
    late = [span for span in spans(late) if span[1] > begin and span[0] < end]
    lengths = sorted(b - a for a, b in all_)
    return {subject: lengths[-1],
            subject + ", 99 %": lengths[int(len(lengths) * 0.99)],
            subject + ", plain thread": longest(late),
            subject + ", without those": max(outside(s, late) for s in all_)}


def cpu_seconds():
    """Of all CPUs, busy or not; of those, busy; and busy for what run() began."""
    with open("/proc/stat") as stat:
        ticks = [int(n) for n in stat.readline().split()[1:9]]
    hz = os.sysconf("SC_CLK_TCK")
    ours = resource.getrusage(resource.RUSAGE_CHILDREN)
    idle = ticks[3] + ticks[4]
    return (sum(ticks) / hz, (sum(ticks) - idle) / hz,
            ours.ru_utime + ours.ru_stime)


def one_round(build, kind):
    """Name -> ns."""
    programs = build / "tests/lua"
    found = {}
    for name, procs, env in THRUM:
        found[name] = float(run(
            [programs / f"lua_runner_{kind}", HERE, "bench.lua", str(procs)],
            SUBJECT=name, **env))
    found |= gaps(programs, kind, "gap isolated")
    if kind != "jit":  # it has no preemption
        found |= gaps(programs, kind, "gap hooked", SLICE="0.001")
    if kind == "5.4":
        found["C: message"] = json.loads(run(
            [build / "tests/bench/bench_buffered", "--procs", "2", "--cap", "64",
             "--n", "2000000"]))["ns_per_op"]
        for name, n in [*PEER, ("C message", 1000000)]:
            found["peer: " + name] = float(
                run([programs / "bench/lua_bench_peer", name, str(n)]))
    return found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--lua", default="5.4")
    options = parser.parse_args()
    for kind in options.lua.split(","):
        before = cpu_seconds()
        rounds = [one_round(options.build, kind) for _ in range(options.runs)]
        total, busy, ours = (b - a for a, b in zip(before, cpu_seconds()))
        medians = {name: statistics.median(r[name] for r in rounds)
                   for name in rounds[0]}
        print("Lua", kind)
        for name, median in medians.items():
            all_ = [r[name] for r in rounds]
            print(f"{name:32} {median:14.0f} ns   ({min(all_):.0f} to {max(all_):.0f})")
        for name, _ in PEER if kind == "5.4" else []:
            ratio = medians["peer: " + name] / medians[name]
            print(f"{'peer / thrum: ' + name:32} {ratio:14.1f}")
        for who in ("", "peer: ") if kind == "5.4" else ("",):
            twice = 2 * medians[who + "compute 1"] / medians[who + "compute 2"]
            print(f"{who + 'two states / one':32} {twice:14.2f} times the work")
        print(f"{'others took':32} {100 * (busy - ours) / total:14.1f} % of the CPUs")


if __name__ == "__main__":
    main()
