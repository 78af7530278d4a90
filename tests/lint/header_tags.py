#!/usr/bin/env python3
"""The header is the reference: every declaration says who may call it.

usage: header_tags.py TOP

Each THRUM_API declaration of the C headers stands below a comment with the
tags Threads, Parks, Signal-safe, Errors and Since. One comment covers the
declarations that follow it up to a blank line. Every error that a comment
promises must exist.
"""

import pathlib
import re
import sys

from common import finish

TAGS = ("Threads", "Parks", "Signal-safe", "Errors", "Since")
VALUES = {
    "Threads": r"any|in-G|host|owner",
    "Parks": r"no|yes|deadline",
    "Signal-safe": r"yes|no",
    "Since": r"\d+\.\d+",
}
COMMENT = re.compile(r"/\*.*?\*/", re.S)
NAME = re.compile(r"\b(thrum_\w+)\s*(?:\(|;)")


def declarations(text):
    """Yields (line, name, comment) for each THRUM_API declaration."""
    comment, at = "", 0
    pieces = re.compile(
        r"(?P<blank>\n[ \t]*\n)|(?P<comment>/\*.*?\*/)|"
        r"(?P<api>^[ \t]*THRUM_API\b[^;]*;)", re.S | re.M)
    while True:
        match = pieces.search(text, at)
        if not match:
            return
        at = match.end()
        if match.lastgroup == "blank":
            comment = ""
            at -= 1  # the newline may begin the next blank line
        elif match.lastgroup == "comment":
            # A note at the end of a line belongs to that line alone.
            start = text.rfind("\n", 0, match.start()) + 1
            if not text[start:match.start()].strip():
                comment = match.group(0)
        else:
            body = COMMENT.sub(" ", match.group(0))
            name = NAME.search(body)
            line = text.count("\n", 0, match.start("api")) + 1
            yield line, name.group(1) if name else "?", comment


def check(top):
    problems, count = [], 0
    folder = pathlib.Path(top) / "capi" / "include" / "thrum"
    headers = sorted(folder.glob("*.h"))
    defined = set()
    for path in headers:
        defined |= set(re.findall(r"#define\s+(THRUM_E\w+)\s+\(-",
                                  path.read_text()))
    for path in headers:
        text = path.read_text()
        for line, name, comment in declarations(text):
            count += 1
            where = f"{path.name}:{line}: {name}"
            for tag in TAGS:
                if not re.search(rf"\b{tag}:", comment):
                    problems.append(f"{where}: no {tag}: tag")
            for tag, values in VALUES.items():
                said = re.search(rf"\b{tag}:\s*(\S+)", comment)
                if said and not re.fullmatch(values, said.group(1).rstrip(",.;")):
                    problems.append(f"{where}: {tag}: {said.group(1)}")
        for match in re.finditer(r"\bTHRUM_E[A-Z0-9]+\b", text):
            if match.group(0) not in defined:
                line = text.count("\n", 0, match.start()) + 1
                problems.append(
                    f"{path.name}:{line}: {match.group(0)} is not defined")
    if headers and not count:
        problems.append("no THRUM_API declaration found")
    return problems, f"{count} declarations"


if __name__ == "__main__":
    finish("header_tags", *check(sys.argv[1]))
