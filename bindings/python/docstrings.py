#!/usr/bin/env python3
"""Docstrings of the flat layer: the comments of the headers, for SWIG.

usage: docstrings.py OUT DEPFILE HEADER...
"""

import re
import sys

# A comment and the declarations that stand right below it share it.
BLOCK = re.compile(r"/\*((?:[^*]|\*(?!/))*)\*/\n((?:THRUM_API[^;]*;\n)+)")
NAME = re.compile(r"\b(thrum_\w+)\(")


def text_of(comment):
    lines = [re.sub(r"^ ?\*? ?", "", line).rstrip()
             for line in comment.splitlines()]
    return "\n".join(lines).strip()


def main():
    out, depfile, headers = sys.argv[1], sys.argv[2], sys.argv[3:]
    with open(depfile, "w", encoding="utf-8") as to:
        to.write(f"{out}: {' '.join(headers)}\n")
    with open(out, "w", encoding="utf-8") as to:
        for header in headers:
            with open(header, encoding="utf-8") as file:
                source = file.read()
            for comment, declarations in BLOCK.findall(source):
                text = text_of(comment).replace("\\", "\\\\").replace('"', '\\"')
                for declaration in declarations.split(";"):
                    name = NAME.search(declaration)
                    if name:
                        to.write(f'%feature("docstring") {name[1]} "{text}";\n')


if __name__ == "__main__":
    main()
