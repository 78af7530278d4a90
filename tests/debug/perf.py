#!/usr/bin/env python3
"""perf's and bpftrace's user stacks cross a green stack from end to end, by frame
pointers and by unwind tables, and end there.

usage: perf.py LIBRARY STACKS
"""

import os
import pathlib
import re
import subprocess
import sys

from common import Cases, Skip, expect, need, run, scratch, skip

GUEST = ["stacks_leaf", "stacks_middle", "stacks_guest", "thrum_guest"]
# Frames of the core itself are in unwind tables alone.
WHOLE = {"fp": GUEST, "dwarf,8192": GUEST + ["thrum::g_main", "thrum_entry"]}


def judge(stacks, whole):
    """Of those that begin in the leaf nearly all are as they are: a sample may come
    before a function has made its frame."""
    ours = [stack for stack in stacks if stack[:1] == GUEST[:1]]
    right = [stack for stack in ours if stack == whole]
    expect(ours, "no sample")
    expect(len(right) >= 0.9 * len(ours), len(right), "of", len(ours), "are whole:",
           next((s for s in ours if s != whole), ""))


def by_perf(tool, program, how):
    with scratch() as folder:
        data = str(pathlib.Path(folder, "perf.data"))
        text, code = run(tool, "record", "-q", "-e", "cpu-clock", "-F", "200",
                         "--call-graph", how, "-o", data, program, "2")
        if code and not os.path.exists(data):
            raise Skip("perf may not sample here: " + " ".join(text.split())[-200:])
        text, _ = run(tool, "script", "-i", data, "-F", "ip,sym")
    stacks = [[line.split(None, 1)[1].strip() for line in part.splitlines()
               if len(line.split()) > 1]
              for part in re.split(r"\n\s*\n", text)]
    judge(stacks, WHOLE[how])


def by_bpftrace(program):
    tool = need("bpftrace")
    if run(tool, "-e", "BEGIN { exit(); }")[1]:
        raise Skip("BPF is not permitted here")
    child = subprocess.Popen([program, "20"], stdout=subprocess.PIPE, text=True)
    try:
        child.stdout.readline()
        # While the process lives its names are known.
        text, code = run(
            tool, "-p", str(child.pid), "-e",
            f"profile:hz:199 /pid == {child.pid}/ {{ @[ustack] = count(); }} "
            "interval:s:2 { exit(); }")
    finally:
        child.kill()
        child.wait()
    expect(code == 0, text[-1000:])
    stacks = []
    for part, n in re.findall(r"@\[\n(.*?)\]: (\d+)", text, re.S):
        names = [line.strip().rsplit("+", 1)[0] for line in part.splitlines()]
        stacks += [names] * int(n)
    judge(stacks, GUEST)


def main(_, program):
    tool = need("perf")
    if run(tool, "--version")[1]:
        skip("perf does not run here")
    cases = Cases()
    for how in WHOLE:
        cases.case("perf_" + how.split(",", maxsplit=1)[0], by_perf, tool, program,
                   how)
    cases.case("bpftrace_ustack", by_bpftrace, program)
    cases.end()


if __name__ == "__main__":
    main(*sys.argv[1:])
