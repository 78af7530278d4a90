#!/usr/bin/env python3
"""bindings/gdb on a live process and on a core, with and without symbols.

usage: gdb.py LIBRARY CROWD SCRIPT
"""

import pathlib
import re
import resource
import subprocess
import sys

from common import Cases, Skip, expect, need, run, scratch, skip, stripped

MEMBERS = 1000
DEEPEST = 5  # member i sits i % 5 calls deep


class Stacks:
    """Where the functions of the crowd lie, from its symbols and its last words."""

    def __init__(self, crowd, ready):
        sizes = {}
        for line in run("nm", "-S", crowd)[0].splitlines():
            parts = line.split()
            if len(parts) == 4:
                sizes[parts[3]] = (int(parts[0], 16), int(parts[1], 16))
        leaf = int(ready.split()[1], 16)
        base = leaf - sizes["crowd_leaf"][0]
        self.ranges = {name: (base + at, base + at + size)
                       for name, (at, size) in sizes.items()
                       if name.startswith("crowd_")}

    def path(self, pcs):
        """The crowd's functions among them, innermost first."""
        names = []
        for pc in pcs:
            names += [name for name, (low, high) in self.ranges.items()
                      if low < pc <= high]
        return names


def gdb(gdb_path, script, *arguments):
    text, code = run(gdb_path, "-batch", "-nx", "-iex", "set auto-load off",
                     "-iex", "set debuginfod enabled off", "-x", script,
                     *arguments)
    expect(code == 0, "gdb ended with", code, text[-2000:])
    return text


def check_list(text, members):
    for i in range(members):
        found = re.search(rf"^ *2:(\d+) +waiting +chan_recv +member {i} +\S", text,
                          re.M)
        expect(found, f"member {i} is not in the list:", text[-3000:])
    expect(re.search(r"1:\d+ +runnable +unborn +has not begun", text),
           "the unborn one is not said to be:", text[-3000:])
    expect(re.search(r" blocking +blocking +blocker ", text), "no blocker")
    expect(re.search(r" running +hog ", text), "no hog")
    sleeper = re.search(r" waiting +chan_recv +sleeper +(.*)", text)
    expect(sleeper and "__" not in sleeper.group(1), "no sleeper")


def check_stacks(text, stacks, members):
    expect("corrupt stack" not in text, "gdb doubts a stack", text[-3000:])
    seen = 0
    for part in re.split(r"^G (?=\S+ \")", text, flags=re.M)[1:]:
        name = re.match(r'\S+ "(.*?)"', part).group(1)
        pcs = [int(pc, 16)
               for pc in re.findall(r"^#\d+ +(0x[0-9a-f]+) in", part, re.M)]
        if name.startswith("member "):
            i = int(name.split()[1])
            want = (["crowd_leaf"] + ["crowd_call"] * (i % DEEPEST + 1)
                    + ["crowd_member"])
            expect(stacks.path(pcs) == want, name, "has", stacks.path(pcs), part)
            seen += 1
        elif name == "unborn":
            expect("has not begun" in part, part)
        elif name == "blocker":
            expect("crowd_blocks" in stacks.path(pcs), part)
    expect(seen == members, seen, "stacks of", members)


def kernels_core(folder, environment):
    """A core of a crowd that dies, as this machine makes one."""
    pattern = pathlib.Path("/proc/sys/kernel/core_pattern").read_text().strip()
    if pattern.startswith("|") or "/" in pattern:
        raise Skip(f"cores go elsewhere here: {pattern}")
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    if hard != resource.RLIM_INFINITY:
        raise Skip("cores are limited here")

    def unlimit():
        resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))

    text, _ = run(str(folder / "debug_crowd"), str(MEMBERS), "abort",
                  cwd=folder, env=environment, preexec_fn=unlimit)
    cores = [p for p in folder.iterdir() if p.name.startswith("core")]
    if not cores:
        raise Skip("this machine writes no cores")
    return text, cores[0]


def on_a_core(tool, script, crowd, folder, environment):
    ready, core = kernels_core(folder, environment)
    stacks = Stacks(crowd, ready)
    program = str(folder / "debug_crowd")
    where = ["-iex", f"set solib-search-path {folder}"]
    check_list(gdb(tool, script, *where, "-ex", "info gs", program, str(core)),
               MEMBERS)
    check_stacks(gdb(tool, script, *where, "-ex", "g all bt", program, str(core)),
                 stacks, MEMBERS)


def on_a_process(tool, script, crowd, members=40):
    child = subprocess.Popen([crowd, str(members), "wait"], text=True,
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        stacks = Stacks(crowd, child.stdout.readline())
        attach = ["-p", str(child.pid)]
        text, _ = run(tool, "-batch", "-nx", *attach)
        if "ptrace: Operation not permitted" in text:
            raise Skip("ptrace is not permitted here")
        text = gdb(tool, script, "-ex", "info gs", "-ex", "g all bt", *attach)
        check_list(text, members)
        check_stacks(text, stacks, members)
        slot = re.search(r"2:(\d+) .* member 3 ", text).group(1)
        text = gdb(tool, script, "-ex", f"g 2:{slot}", "-ex", "up", "-ex", "bt",
                   "-ex", "g off", "-ex", "echo back\\n", "-ex", "bt", *attach)
        selected, back = text.split("back\n")
        expect("crowd_leaf" in selected and "crowd_member" in selected, selected)
        expect("crowd_leaf" not in back and " main " in back, back)
        text, code = run(tool, "-batch", "-nx", "-x", script, "-ex", "g 9:1 bt",
                         *attach)
        expect("is not alive" in text, text)
        # Nobody has changed anything: it ends as it would have.
        child.stdin.close()
        expect(child.wait(60) == 0, "the process ended with", child.returncode)
    finally:
        child.kill()
        child.wait()


def main(library, crowd, script):
    tool = need("gdb")
    need("strip")
    if "python works" not in run(tool, "-batch", "-nx", "-ex",
                                 "python print('python ' + 'works')")[0]:
        skip("this gdb has no Python")
    cases = Cases()
    with scratch() as name:
        folder = pathlib.Path(name)
        environment = stripped(folder, library, crowd)
        cases.case("gs_on_a_core_of_a_stripped_program", on_a_core, tool, script,
                   crowd, folder, environment)
    cases.case("gs_of_a_live_process", on_a_process, tool, script, crowd)
    cases.end()


if __name__ == "__main__":
    main(*sys.argv[1:])
