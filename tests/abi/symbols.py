#!/usr/bin/env python3
"""The dynamic symbols: only thrum_*, just those of the header, as agreed.

usage: symbols.py LIBRARY HEADER_DIR GOLDEN
"""

import re
import sys

from common import compare, public_headers, run, strip_comments


def exported(library):
    names = []
    for line in run("nm", "-D", "--defined-only", library).splitlines():
        _, kind, name = line.split(maxsplit=2)
        # The version node itself is an absolute symbol.
        if kind != "A":
            names.append(name)
    return sorted(names)


def declared(folder):
    names = set()
    for path in public_headers(folder):
        text = strip_comments(path.read_text())
        for body in re.findall(r"^\s*THRUM_API\b([^;]*);", text, re.M):
            found = re.search(r"\b(thrum_\w+)\s*(?:\(|$)", body)
            if found:
                names.add(found.group(1))
    return names


def main(library, folder, golden):
    names = exported(library)
    bare = {name.split("@")[0] for name in names}
    bad = [f"{name}: not a public name" for name in sorted(bare)
           if not re.fullmatch(r"thrum_\w+", name)]
    promised = declared(folder)
    bad += [f"{name}: declared but not exported"
            for name in sorted(promised - bare)]
    bad += [f"{name}: exported but in no header"
            for name in sorted(bare - promised)]
    for problem in bad:
        print(problem)
    return compare(golden, names, "symbols") or bool(bad)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
