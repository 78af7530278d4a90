#!/usr/bin/env python3
"""The library's USDT notes: every event of the list has its probe, all with four
arguments and one semaphore.

usage: usdt.py LIBRARY EVENTS.DEF
"""

import pathlib
import re
import subprocess
import sys


def check(library, listed):
    notes = subprocess.run(["readelf", "-n", library], check=True,
                           capture_output=True, text=True).stdout
    found = re.findall(
        r"Provider: thrum\s+Name: (\w+)\s+Location: (\w+), Base: \w+, "
        r"Semaphore: (\w+)\s+Arguments: ([^\n]*)", notes)
    wanted = set(re.findall(r"^THRUM_EVENT\((\w+),", listed, re.M))
    names = {name for name, _, _, _ in found}
    problems = [f"no probe thrum:{name}" for name in sorted(wanted - names)]
    problems += [f"a probe of no event: {name}" for name in sorted(names - wanted)]
    if len({semaphore for _, _, semaphore, _ in found}) != 1 or any(
            int(semaphore, 16) == 0 for _, _, semaphore, _ in found):
        problems.append("not one semaphore for all probes")
    problems += [f"{name}: arguments {arguments}"
                 for name, _, _, arguments in found
                 if not re.fullmatch(r"8@\S+ 8@\S+ -8@\S+ -8@\S+", arguments)]
    return problems, len(found)


if __name__ == "__main__":
    bad, sites = check(sys.argv[1], pathlib.Path(sys.argv[2]).read_text())
    for line in bad:
        print(line)
    print(f"usdt: {sites} sites, {len(bad) or 'no'} problem(s)")
    sys.exit(1 if bad else 0)
