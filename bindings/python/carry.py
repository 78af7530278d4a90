#!/usr/bin/env python3
"""The shared libraries that the wheel must carry: one line each, its SONAME and its
path.

usage: carry.py NAME... -- COMPILER...      names as of -lNAME
"""

import os
import re
import subprocess
import sys


def main():
    split = sys.argv.index("--")
    names, compiler = sys.argv[1:split], sys.argv[split + 1:]
    for name in names:
        found = subprocess.run(
            [*compiler, f"-print-file-name=lib{name}.so"], check=True,
            capture_output=True, text=True).stdout.strip()
        if not os.path.isabs(found):
            continue  # linked statically
        path = os.path.realpath(found)
        header = subprocess.run(["objdump", "-p", path], check=True,
                                capture_output=True, text=True).stdout
        soname = re.search(r"SONAME\s+(\S+)", header)
        if soname:
            print(soname[1], path)


if __name__ == "__main__":
    main()
