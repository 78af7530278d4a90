#!/usr/bin/env python3
"""Counts the process-wide variables and the static constructors.

usage: globals.py ALLOWED ARCHIVE...

Reads the symbol tables of the archives' objects. A mutable variable must stand
in ALLOWED (one demangled name a line, then # and its reason), and a name there
must exist. Code that runs at load time is never allowed.
"""

import re
import subprocess
import sys

from common import finish

LOAD_TIME = (".init_array", ".fini_array", ".ctors", ".dtors", ".preinit_array")


def is_mutable(section):
    if section.startswith(".data.rel.ro"):
        return False
    return section.startswith((".probes", ".data", ".bss", ".tdata", ".tbss", "*COM*"))


def read_allowed(path):
    with open(path) as file:
        lines = (line.split("#")[0].strip() for line in file)
        return {line for line in lines if line}


def check(allowed_path, archives):
    allowed = read_allowed(allowed_path)
    problems, seen = [], set()
    for archive in archives:
        table = subprocess.run(["objdump", "-tC", archive], check=True,
                               capture_output=True, text=True).stdout
        member = archive
        for line in table.splitlines():
            head = re.match(r"(\S+):\s+file format", line)
            if head:
                member = head.group(1)
            entry = re.match(
                r"[0-9a-f]{8,} (.{7}) (\S+)\s+([0-9a-f]+)\s+"
                r"(?:\.hidden |\.internal |\.protected )?(.+)$", line)
            if not entry:
                continue
            kind, section, size, name = entry.groups()
            # "d": a section or debugging symbol; "f": a file name.
            if kind.endswith(("f", "F")) or kind[5] == "d":
                continue
            if is_mutable(section) and int(size, 16) > 0:
                seen.add(name)
                if name not in allowed:
                    problems.append(f"{member}: {name} in {section}")
        sections = subprocess.run(["objdump", "-h", archive], check=True,
                                  capture_output=True, text=True).stdout
        member = archive
        for line in sections.splitlines():
            head = re.match(r"(\S+):\s+file format", line)
            if head:
                member = head.group(1)
            entry = re.match(r"\s*\d+ (\S+)\s+([0-9a-f]+)\s", line)
            if entry and entry.group(1).startswith(LOAD_TIME):
                if int(entry.group(2), 16) > 0:
                    problems.append(f"{member}: runs code at load time")
    for name in sorted(allowed - seen):
        problems.append(f"{allowed_path}: {name} does not exist")
    return problems, f"{len(seen)} variables"


if __name__ == "__main__":
    finish("globals", *check(sys.argv[1], sys.argv[2:]))
