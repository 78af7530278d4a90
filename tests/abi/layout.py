#!/usr/bin/env python3
"""Sizes and offsets of the public structs, measured by a C program.

usage: layout.py HEADER_DIR GOLDEN -- CC...

The program is compiled, never run (so that it also works for another CPU): each
fact is an array whose size is read back from the object's symbol table.
"""

import pathlib
import re
import sys
import tempfile

from common import compare, public_headers, run, strip_comments

STRUCT = re.compile(r"struct\s+(thrum_\w+)\s*\{([^}]*)\}")


def fields(body):
    """Names of the members of a struct without nested ones."""
    names = []
    for member in body.split(";"):
        pointer = re.search(r"\(\s*\*\s*(\w+)\s*\)\s*\(", member)
        if pointer:
            names.append(pointer.group(1))
            continue
        for part in member.split(","):
            name = re.search(r"(\w+)\s*(?:\[[^\]]*\])?\s*$", part.strip())
            if name:
                names.append(name.group(1))
    return names


def facts(folder):
    """Yields (label, C expressions) in header order."""
    for path in public_headers(folder):
        for name, body in STRUCT.findall(strip_comments(path.read_text())):
            kind = f"struct {name}"
            yield (f"{name}: size {{}} align {{}}", f"sizeof({kind})",
                   f"offsetof(struct {{char c; {kind} s;}}, s)")
            for field in fields(body):
                yield (f"{name}.{field}: at {{}} size {{}}",
                       f"offsetof({kind}, {field})",
                       f"sizeof((({kind}*)0)->{field})")


def main(folder, golden, compiler):
    measured = list(facts(folder))
    includes = "".join(f"#include <thrum/{path.name}>\n"
                       for path in public_headers(folder))
    # One more than the value, because an array of no element isn't C.
    arrays = "".join(
        f"char a{n}[({first}) + 1] = {{1}};\nchar b{n}[({second}) + 1] = {{1}};\n"
        for n, (_, first, second) in enumerate(measured))
    with tempfile.TemporaryDirectory() as scratch:
        source = pathlib.Path(scratch, "layout.c")
        source.write_text(f"#include <stddef.h>\n{includes}{arrays}")
        out = str(source.with_suffix(".o"))
        run(*compiler, "-std=c99", "-w", "-I", folder, "-c", str(source),
            "-o", out)
        sizes = {}
        for line in run("nm", "-S", out).splitlines():
            part = line.split()
            if len(part) == 4:
                sizes[part[3]] = int(part[1], 16) - 1
    lines = [label.format(sizes[f"a{n}"], sizes[f"b{n}"])
             for n, (label, _, _) in enumerate(measured)]
    return compare(golden, lines, "layout")


if __name__ == "__main__":
    split = sys.argv.index("--")
    sys.exit(main(*sys.argv[1:split], sys.argv[split + 1:]))
