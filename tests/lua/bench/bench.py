#!/usr/bin/env python3
"""thrum for Lua beside Lua's coroutines, and beside a pthread with a lua_State of
its own per job and a queue behind a mutex (what Lua Lanes does).

usage: bench.py BUILD [--runs N]

Each run is a fresh process; sides alternate. Prints medians with their range and
ratios of medians. ns per operation; "gap" is the longest time that one which wants
a turn every 0.1 ms has to wait beside a loop, the bound of a run of 0.5 s; beside it
"machine: pause", the longest that two threads which only look at the clock for as long
are kept from it. "Lua: call" and "Lua: table" are what a loop of Lua takes for a call
of a method in C and for making the table: no message takes less. The last line says
what other programs took of the machine meanwhile: from a few per cent on the subjects
with two procs measure those.
"""

import argparse
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
    ("gap isolated", 2, {}),
    ("gap hooked", 2, {"SLICE": "0.001"}),
    ("gap hooked, 99 %", 2, {"SLICE": "0.001"}),
]
PEER = [("spawn", 2000), ("message integer", 200000),
        ("message integer, no buffer", 20000), ("message table", 100000)]


def run(command, **env):
    done = subprocess.run(command, env={**os.environ, **env}, check=True,
                          capture_output=True, text=True)
    return float(done.stdout)


def cpu_seconds():
    """Of all CPUs, busy or not; of those, busy; and busy for what run() began."""
    with open("/proc/stat") as stat:
        ticks = [int(n) for n in stat.readline().split()[1:9]]
    hz = os.sysconf("SC_CLK_TCK")
    ours = resource.getrusage(resource.RUSAGE_CHILDREN)
    idle = ticks[3] + ticks[4]
    return (sum(ticks) / hz, (sum(ticks) - idle) / hz,
            ours.ru_utime + ours.ru_stime)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--runs", type=int, default=7)
    options = parser.parse_args()
    programs = options.build / "tests/lua"
    found = {}
    before = cpu_seconds()
    for _ in range(options.runs):
        for name, procs, env in THRUM:
            found.setdefault(name, []).append(run(
                [programs / "lua_runner_5.4", HERE, "bench.lua", str(procs)],
                SUBJECT=name, **env))
        for name, n in PEER:
            found.setdefault("peer: " + name, []).append(
                run([programs / "bench/lua_bench_peer", name, str(n)]))
        found.setdefault("machine: pause", []).append(
            run([programs / "bench/lua_bench_peer", "pause", "500"]))
    total, busy, ours = (b - a for a, b in zip(before, cpu_seconds()))
    medians = {name: statistics.median(all_) for name, all_ in found.items()}
    for name, all_ in found.items():
        print(f"{name:32} {medians[name]:14.0f} ns   "
              f"({min(all_):.0f} to {max(all_):.0f})")
    for name, _ in PEER:
        ratio = medians["peer: " + name] / medians[name]
        print(f"{'peer / thrum: ' + name:32} {ratio:14.1f}")
    print(f"{'two states / one':32} "
          f"{2 * medians['compute 1'] / medians['compute 2']:14.2f} times the work")
    print(f"{'others took':32} {100 * (busy - ours) / total:14.1f} % of the CPUs")


if __name__ == "__main__":
    main()
