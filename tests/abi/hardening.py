#!/usr/bin/env python3
"""Reads back from the libraries what the build asked for.

usage: hardening.py SHARED STATIC
"""

import re
import sys

from common import run

# A dlopened library must fit into the spare static TLS of a running process.
TLS_LIMIT = 64


def main(shared, static):
    dynamic = run("readelf", "-dW", shared)
    segments = run("readelf", "-lW", shared)
    needed = re.findall(r"NEEDED.*\[(.*)\]", dynamic)
    tls = re.search(r"^\s*TLS\s+\S+ \S+ \S+ \S+ (0x\S+)", segments, re.M)
    tls_size = int(tls.group(1), 16) if tls else 0
    stack = re.search(r"^\s*GNU_STACK.*?(\bR[W E]*)\s+0x", segments, re.M)
    writable_code = re.search(r"^\s*LOAD.* RWE ", segments, re.M)
    names = run("nm", "-g", "--defined-only", static).splitlines()
    outside = [line for line in names
               if re.search(r" [A-Za-z] (?!thrum_)", line)]
    checks = [
        ("soname is libthrum.so.0", "[libthrum.so.0]" in dynamic),
        ("no libstdc++ needed", not any("stdc++" in n for n in needed)),
        ("BIND_NOW", "BIND_NOW" in dynamic or "Flags: NOW" in dynamic),
        ("never unloaded (NODELETE)", "NODELETE" in dynamic),
        ("no TEXTREL", "TEXTREL" not in dynamic),
        ("no RPATH", "RPATH" not in dynamic and "RUNPATH" not in dynamic),
        ("RELRO", "GNU_RELRO" in segments),
        ("stack not executable",
         bool(stack) and stack.group(1).strip() == "RW"),
        ("no segment is writable code", not writable_code),
        (f"static TLS {tls_size} <= {TLS_LIMIT}", tls_size <= TLS_LIMIT),
        ("static archive shows only thrum_*", not outside),
    ]
    for text, good in checks:
        print(("ok    " if good else "FAIL  ") + text)
    for name in outside[:10]:
        print("      " + name)
    print("needed: " + " ".join(needed))
    return not all(good for _, good in checks)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
