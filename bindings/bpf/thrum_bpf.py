#!/usr/bin/env python3
"""Runs one of the scripts beside this file on a process until it ends, or Ctrl-C.

usage: thrum_bpf.py counts|life|delays PID [SECONDS]

Needs bpftrace and the right to use BPF (root). delays prints a table: how many, and
P50, P90 and P99 as the upper bounds of their power of two.
"""
# SPDX-License-Identifier: MIT

import ctypes
import json
import os
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
KINDS = {100: "spawn", 101: "yield", 102: "net event to run",
         103: "wait for net event", 104: "timer lateness",
         105: "declared blocking", 106: "kernel: not on a CPU"}


def library_of(pid):
    """The file that has the probes: the shared library, else the program."""
    with open(f"/proc/{pid}/maps", encoding="utf-8") as maps:
        files = dict.fromkeys(line.split(None, 5)[5].strip() for line in maps
                              if "x" in line.split()[1] and "/" in line)
    files = sorted(files, key=lambda path: "thrum" not in os.path.basename(path))
    for path in files:
        try:
            with open(f"/proc/{pid}/root{path}", "rb") as file:
                data = file.read()
        except OSError:
            continue
        if b"stapsdt\0" in data and b"thrum\0net_ready\0" in data:
            return f"/proc/{pid}/root{path}"
    sys.exit(f"process {pid} has no probes of thrum")


class Debug(ctypes.Structure):
    _fields_ = [("magic", ctypes.c_char * 16), ("size", ctypes.c_uint32),
                ("count", ctypes.c_uint32), ("facts", ctypes.c_void_p),
                ("runtimes", ctypes.c_void_p), ("states", ctypes.c_char_p),
                ("reasons", ctypes.c_char_p)]


def reasons(library):
    """Names of the wait reasons, from the library's table for debuggers."""
    try:
        table = Debug.in_dll(ctypes.CDLL(library), "thrum_debug_table")
    except (OSError, ValueError):
        return []
    return table.reasons.decode().split()


def percentile(buckets, share):
    total = sum(b["count"] for b in buckets)
    seen = 0
    for b in buckets:
        seen += b["count"]
        if seen >= share * total:
            return b.get("max", b["min"]) + 1
    return 0


def table(delays, names):
    print(f"{'ns, at most':24} {'count':>9} {'P50':>12} {'P90':>12} {'P99':>12}")
    for kind in sorted(delays, key=int):
        number, buckets = int(kind), delays[kind]
        name = KINDS.get(number) or (
            names[number] if number < len(names) else f"reason {number}")
        count = sum(b["count"] for b in buckets)
        values = " ".join(f"{percentile(buckets, p):>12}"
                          for p in (0.5, 0.9, 0.99))
        print(f"{name:24} {count:>9} {values}")


def script(name, library):
    return (HERE / f"{name}.bt").read_text().replace("LIB", library)


def start(name, pid, seconds=None, form="text", out=None):
    """bpftrace on the script; its text goes to `out`."""
    library = library_of(pid)
    text = script(name, library)
    if seconds:
        text += f"interval:s:{seconds} {{ exit(); }}\n"
    with tempfile.NamedTemporaryFile("w", suffix=".bt", delete=False) as file:
        file.write(text)
    # As many Gs as wait at a time.
    environment = dict(os.environ, BPFTRACE_MAP_KEYS_MAX="65536")
    return library, subprocess.Popen(
        ["bpftrace", "-B", "line", "-p", str(pid), "-f", form, file.name], stdout=out,
        env=environment, text=True)


def main(name, pid, seconds=None):
    if name != "delays":
        sys.exit(start(name, pid, seconds)[1].wait())
    library, run = start(name, pid, seconds, "json", subprocess.PIPE)
    try:
        text = run.communicate()[0]
    except KeyboardInterrupt:
        text = run.communicate()[0]
    for line in text.splitlines():
        try:
            found = json.loads(line)
        except ValueError:
            continue
        if found.get("type") == "hist" and "@delay" in found["data"]:
            table(found["data"]["@delay"], reasons(library))
    sys.exit(run.returncode)


if __name__ == "__main__":
    if not 3 <= len(sys.argv) <= 4 or sys.argv[1] not in ("counts", "life",
                                                          "delays"):
        sys.exit(__doc__.strip())
    main(sys.argv[1], int(sys.argv[2]), *sys.argv[3:])
