#!/usr/bin/env python3
"""The list of events and its table: each event once, and the table as the list says.

usage: events.py TOP        UPDATE_GOLDEN=1: writes the table

Reads core/probe/events.def and core/probe/README.md, between the lines that begin
with "| event" and the next empty one.
"""

import os
import pathlib
import re
import sys

from common import finish

EVENT = re.compile(r'^THRUM_EVENT\((\w+), (\d+), "([^"]*)", "([^"]*)",\s*'
                   r'"([^"]*)"\)$', re.M)
HEAD = "| event | number | G | arg | what happens |\n| --- | --- | --- | --- | --- |\n"


def table_of(events):
    return HEAD + "".join(
        f"| `{name}` | {number} | {g} | {arg} | {text} |\n"
        for name, number, g, arg, text in events)


def check(top):
    source = top / "core/probe/events.def"
    if not source.exists():
        return [], "no list"
    text = source.read_text()
    events = EVENT.findall(text)
    problems = []
    if len(events) != len(re.findall(r"^THRUM_EVENT\(", text, re.M)):
        problems.append("events.def: an event that this lint cannot read")
    for column, what in ((0, "name"), (1, "number")):
        values = [event[column] for event in events]
        problems += [f"events.def: {what} {value} twice"
                     for value in sorted(set(values)) if values.count(value) > 1]
    readme = top / "core/probe/README.md"
    page = readme.read_text() if readme.exists() else ""
    table = re.search(r"^\| event .*?\n(?=\n|\Z)", page, re.M | re.S)
    wanted = table_of(events)
    if not table:
        problems.append("core/probe/README.md: no table of events")
    elif table.group() != wanted:
        if os.environ.get("UPDATE_GOLDEN"):
            readme.write_text(page.replace(table.group(), wanted))
        else:
            problems.append("core/probe/README.md: the table is not that of "
                            "events.def (UPDATE_GOLDEN=1 writes it)")
    return problems, f"{len(events)} events"


if __name__ == "__main__":
    finish("events", *check(pathlib.Path(sys.argv[1])))
