#!/usr/bin/env python3
"""bindings/bpf on a process whose events are known: what tools outside count is what
thrum itself has counted, exactly.

usage: bpf.py LIBRARY EVENTS RUNNER
"""

import json
import multiprocessing
import os
import pathlib
import re
import subprocess
import sys

from common import Cases, expect, need, run, skip

PROBES = ("spawn ready run park yield exit block unblock timer net_block "
          "net_ready").split()


class Events:
    """The process, and what it answers."""

    def __init__(self, program, cpus=None):
        self.child = subprocess.Popen(
            [program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            preexec_fn=lambda: cpus and os.sched_setaffinity(0, cpus))
        expect(self.child.stdout.readline() == "ready\n", "no process")

    def ask(self, what):
        self.child.stdin.write(what + "\n")
        self.child.stdin.flush()
        return self.child.stdout.readline()

    def end(self):
        self.child.stdin.close()
        expect(self.child.wait(60) == 0, "it ended with", self.child.returncode)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.kill()
        self.child.wait()


def counted(text):
    """The last that was printed of each count: (name, tag) -> number."""
    return {(name, int(tag)): int(n)
            for name, tag, n in re.findall(r"^@(\w+)\[(\d+)\]: (\d+)$", text, re.M)}


def counts(bpf, program):
    with Events(program) as events:
        probed = bpf.library_of(events.child.pid)
        text = bpf.script("counts", probed)
        text += ("interval:ms:100 { " +
                 " ".join(f"print(@{p});" for p in PROBES) + " }\n")
        tool = subprocess.Popen(
            ["bpftrace", "-B", "line", "-p", str(events.child.pid), "-e", text],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        # All probes are there once each has been seen in the first runtime.
        said, missing = "", set(PROBES)
        while missing:
            events.ask("warm")
            line = tool.stdout.readline()
            expect(line, "bpftrace has ended:", said)
            said += line
            missing -= {name for name, _ in counted(line)}
        own = json.loads(events.ask("go"))
        events.end()
        seen = counted(said + tool.communicate(timeout=120)[0])
    tags = {tag for _, tag in seen}
    expect(len(tags - {0}) == 2, "tags:", tags)
    tag = max(tags)

    def of(name):
        return seen.get((name, tag), 0)

    for name, want in (("run", own["run"]), ("park", own["park"]),
                       ("spawn", own["gs"]), ("exit", own["gs"]),
                       ("block", own["blocks"]), ("unblock", own["blocks"]),
                       ("timer", own["sleeps"]), ("ended", own["run"]),
                       ("run_in_run", 0), ("end_without_run", 0)):
        expect(of(name) == want, name, "seen", of(name), "counted", want, seen)
    expect(of("park") + of("yield") + of("exit") == of("run"), seen)
    expect(0 < of("net_block") <= own["reads"], seen)


def compute(cpus):
    os.sched_setaffinity(0, cpus)
    while True:
        pass


def while_it_runs(tool, events, what):
    """Asks for more until the tool has ended; what the tool said."""
    while tool.poll() is None:
        events.ask(what)
    text = tool.communicate()[0]
    expect(tool.returncode == 0, "the script ended with", tool.returncode, text)
    return text


def start(runner, name, events):
    return subprocess.Popen(
        [sys.executable, runner, name, str(events.child.pid), "1"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def life(runner, program):
    """A rival on the one CPU: the kernel takes it from Gs that compute."""
    cpu = {min(os.sched_getaffinity(0))}
    rival = multiprocessing.Process(target=compute, args=(cpu,), daemon=True)
    rival.start()
    try:
        with Events(program, cpu) as events:
            text = while_it_runs(start(runner, "life", events), events, "spin")
            events.end()
    finally:
        rival.kill()
    found = {name: int(n) for name, n in
             re.findall(r"^@(\w+): (\d+)$", text, re.M)}
    expect(found.get("preemptions", 0) > 0, text)
    expect(0 < found["preempted_ns"] < found["ran_ns"], text)
    expect("@preempted_by_g[" in text, text)


def delays(runner, program):
    with Events(program) as events:
        text = while_it_runs(start(runner, "delays", events), events, "warm")
        events.end()
    rows = dict(re.findall(r"^(\S.*?) {2,}(\d+) +\d+ +\d+ +\d+$", text, re.M))
    for kind in ("chan_recv", "sleep", "mutex", "join", "spawn", "yield",
                 "net event to run", "wait for net event", "timer lateness",
                 "declared blocking"):
        expect(int(rows.get(kind, 0)) > 0, f"no {kind}:", text)


def main(library, program, runner):
    need("bpftrace")
    text, code = run("bpftrace", "-e",
                     f"usdt:{library}:thrum:run {{ }} BEGIN {{ exit(); }}")
    if code:
        skip("BPF is not permitted here: " + " ".join(text.split())[-200:])
    sys.path.insert(0, str(pathlib.Path(runner).parent))
    import thrum_bpf
    cases = Cases()
    cases.case("counts_are_equal_and_every_run_ends", counts, thrum_bpf, program)
    cases.case("life_joined_with_the_kernel", life, runner, program)
    cases.case("delay_table", delays, runner, program)
    cases.end()


if __name__ == "__main__":
    main(*sys.argv[1:])
