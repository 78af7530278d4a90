#!/usr/bin/env python3
"""The format check: clang-format 14; in the library, braces always.

usage: format.py [--fix] TOP [FILE...]

--fix rewrites the files (all of them, or those named) instead.
"""

import pathlib
import re
import shutil
import subprocess
import sys

from common import code_files, finish, strip_comments

FOLDERS = ("core", "capi", "bindings", "tests", "examples")
BRACED = ("core", "capi", "bindings")
FORMATTED = (".c", ".h", ".cpp", ".hpp")
HEAD = re.compile(r"^\s*(?:\}\s*)?(?:else\s+)?(if|for|while|switch)\b")


def find_formatter():
    """Version 14 only: others break lines elsewhere."""
    for name in ("clang-format-14", "clang-format"):
        path = shutil.which(name)
        if path:
            said = subprocess.run([path, "--version"], capture_output=True,
                                  text=True, check=True).stdout
            if re.search(r"version 14\.", said):
                return path
    return None


def missing_braces(text):
    """Line numbers of control statements whose body has no braces."""
    lines = strip_comments(text, keep_strings=False).splitlines()
    found, number = [], 0
    while number < len(lines):
        line, first = lines[number], number + 1
        if re.match(r"^\s*(?:\}\s*)?else\s*$", line):
            found.append(first)
        if HEAD.match(line) and not line.lstrip().startswith("#"):
            # The statement's head ends where its parentheses close.
            depth, tail, started = 0, "", False
            while number < len(lines):
                for at, char in enumerate(lines[number]):
                    depth += (char == "(") - (char == ")")
                    started = started or char == "("
                    if started and depth == 0:
                        tail = lines[number][at + 1:].strip(" \\")
                        break
                if started and depth == 0:
                    break
                number += 1
            loop_end = line.lstrip().startswith("} while")
            if not tail.startswith("{") and not loop_end:
                # An empty loop body may be a lone semicolon.
                if not (tail == ";" and "while" in line):
                    found.append(first)
        number += 1
    return found


def chosen_files(top, names, folders=FOLDERS):
    chosen = [p for p in code_files(top, *folders) if p.suffix in FORMATTED]
    if names:
        wanted = {pathlib.Path(name).resolve() for name in names}
        chosen = [p for p in chosen if p.resolve() in wanted]
    return chosen


def main(arguments):
    fix = "--fix" in arguments
    top, *names = [a for a in arguments if a != "--fix"]
    files = chosen_files(top, names)
    problems = []
    library = set(chosen_files(top, names, BRACED))
    for path in files:
        if path in library:
            for number in missing_braces(path.read_text()):
                problems.append(f"{path}:{number}: no braces")
    formatter = find_formatter()
    if formatter and files:
        mode = ["-i"] if fix else ["--dry-run", "-Werror"]
        done = subprocess.run(
            [formatter, "--style=file", *mode, *map(str, files)],
            capture_output=True, text=True, check=False)
        heads = [line for line in done.stderr.splitlines()
                 if "error:" in line]
        places = sorted({line.split(":")[0] for line in heads})
        for place in places:
            count = sum(line.startswith(place + ":") for line in heads)
            problems.append(f"{place}: {count} place(s) not in format; "
                            "tests/lint/format.py --fix TOP")
        if done.returncode and not places:
            problems.append(done.stderr.strip())
    elif not problems and not formatter:
        print("skipped: clang-format 14 is not installed")
        sys.exit(77)
    finish("format", problems, f"{len(files)} files")


if __name__ == "__main__":
    main(sys.argv[1:])
