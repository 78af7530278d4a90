#!/usr/bin/env python3
"""Keeps the results of a run of tests/run.sh and prints them.

usage: summary.py log RESULTS STAGE TESTLOG       the results of `meson test`
       summary.py mutants RESULTS STAGE LOG CODE  those of mutants/run.sh
       summary.py one RESULTS STAGE NAME ok|fail|skip [REASON [LOG]]
       summary.py print RESULTS                   exit code 1 if any failed

RESULTS holds one JSON object a line. What is counted is cases where a program
tells of its cases ("ok NAME", "FAIL NAME…", "skipped NAME: reason", doctest's
closing line), else the program itself.
"""

import json
import re
import sys

DOCTEST = re.compile(r"test cases:\s*\d+ \|\s*(\d+) passed \|\s*(\d+) failed"
                     r"(?: \|\s*(\d+) skipped)?")
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
# A sanitizer that lost track says so and goes on: that counts as a failure.
LOST = "ASan is ignoring requested __asan_handle_no_return"


def count(result, text):
    """(passed, failed, reasons) of one program."""
    text = COLOUR.sub("", text)
    passed = len(re.findall(r"^ok \S", text, re.M))
    # A case tells each check of its own that failed.
    failed = len(set(re.findall(r"^FAIL (\w+)", text, re.M)))
    reasons = re.findall(r"^skipped\b:?\s*(.*)", text, re.M)
    for match in DOCTEST.finditer(text):
        passed += int(match.group(1))
        failed += int(match.group(2))
    if result == "SKIP" and not reasons:
        reasons = ["no reason given"]
    bad = result not in ("OK", "SKIP", "EXPECTEDFAIL") or LOST in text
    if bad:
        failed = max(failed, 1)
    elif not passed and not reasons:
        passed = 1
    return passed, failed if bad else 0, reasons


TOLD = 20  # lines of what a failed program said


def told(text):
    """What a failed program said of it: the lines that say so, then the last."""
    lines = COLOUR.sub("", text).strip().splitlines()
    rest = [line for line in lines[:-TOLD]
            if re.match(r"FAIL|.*(ERROR|WARNING: \w+Sanitizer)", line)]
    return rest[:TOLD] + lines[-TOLD:]


def append(results, entry):
    with open(results, "a") as file:
        file.write(json.dumps(entry) + "\n")


def add_log(results, stage, testlog):
    with open(testlog) as file:
        for line in file:
            test = json.loads(line)
            text = (test.get("stdout") or "") + (test.get("stderr") or "")
            passed, failed, reasons = count(test["result"], text)
            name = test["name"].split(":", 1)[-1].replace(" / ", "/")
            append(results, {
                "stage": stage, "name": name, "passed": passed,
                "failed": failed, "reasons": reasons,
                "how": test["result"] if failed else "",
                "told": told(text) if failed else []})


MUTANT = re.compile(r"^(\d\d-\S+)\s+(killed by .*|KILLED by .*|survives .*|"
                    r"SURVIVED.*|DOES NOT .*|does not .*)$", re.M)


def add_mutants(results, stage, log, code):
    """One killed mutant is one passed test. The control is none, unless it did
    not survive."""
    with open(log) as file:
        text = file.read()
    failed = 0
    for name, how in dict(MUTANT.findall(text)).items():
        good = how.startswith(("killed", "survives"))
        failed += not good
        append(results, {
            "stage": stage, "name": name, "passed": int(how[0] == "k"),
            "failed": int(not good), "how": how, "reasons": [], "note": how})
    if int(code) != 0 and not failed:
        last = (text.strip() or "it said nothing").splitlines()[-1]
        add_one(results, stage, "run", "fail", last)


def add_one(results, stage, name, result, reason="", log=None):
    text = open(log, errors="replace").read() if log else ""
    append(results, {
        "stage": stage, "name": name, "passed": int(result == "ok"),
        "failed": int(result == "fail"), "how": reason, "told": told(text),
        "reasons": [reason] if result == "skip" else []})


def print_all(results):
    with open(results) as file:
        entries = [json.loads(line) for line in file]
    stages = list(dict.fromkeys(entry["stage"] for entry in entries))

    def total(key, stage=None):
        return sum(len(e[key]) if key == "reasons" else e[key]
                   for e in entries if stage in (None, e["stage"]))

    print(f"\n{'':24}{'passed':>8}{'failed':>8}{'skipped':>9}")
    for stage in stages:
        print(f"{stage:24}{total('passed', stage):8}{total('failed', stage):8}"
              f"{total('reasons', stage):9}")
    for entry in entries:
        if entry.get("note") and not entry["failed"]:
            print(f"{entry['stage']}: {entry['name']}: {entry['note']}")
    # The same reason in many places is said once.
    where = {}
    for entry in entries:
        for reason in entry["reasons"]:
            where.setdefault(reason, []).append(
                f"{entry['stage']}/{entry['name']}")
    for reason, places in where.items():
        more = f" and {len(places) - 1} more" if len(places) > 1 else ""
        print(f"skipped: {places[0]}{more}: {reason}")
    # Last, where whoever sees only the end finds it.
    for entry in entries:
        if entry["failed"]:
            print(f"\nfailed: {entry['stage']}: {entry['name']}: {entry['how']}")
            for line in entry.get("told", []):
                print(f"    {line}")
    print(f"\n{total('passed')} passed, {total('failed')} failed, "
          f"{total('reasons')} skipped")
    return total("failed") > 0 or total("passed") == 0


def main(action, *arguments):
    if action == "log":
        return add_log(*arguments)
    if action == "mutants":
        return add_mutants(*arguments)
    if action == "one":
        return add_one(*arguments)
    return print_all(*arguments)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
