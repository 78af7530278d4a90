"""What the lints share: files of the tree, C text without comments, reports."""

import pathlib
import re
import sys

CODE = (".c", ".h", ".cpp", ".hpp", ".def", ".S")
RUST = "bindings/rust"
# Written by a program, which has a check of its own.
GENERATED = "bindings/rust/thrum-sys/src/ffi.rs"


def code_files(top, *folders):
    """All C, C++ and assembly files below the given folders, sorted."""
    top = pathlib.Path(top)
    return sorted(p for folder in folders for p in (top / folder).rglob("*")
                  if p.suffix in CODE and p.is_file())


def rust_files(top):
    """All files of the crates that people write, sorted."""
    top = pathlib.Path(top)
    return sorted(p for p in (top / RUST).rglob("*.rs")
                  if "target" not in p.parts and p != top / GENERATED)


_TOKEN = re.compile(
    r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
# 'a is a lifetime there, and a string may go over lines.
_RUST_TOKEN = re.compile(
    r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\])*"|' + r"'(?:\\[^']+|[^'\\\n])'", re.S)


def strip_comments(text, keep_strings=True, rust=False):
    """Text with comments (and strings) blanked; line numbers stay."""
    def blank(match):
        found = match.group(0)
        if found[0] in "\"'" and keep_strings:
            return found
        return re.sub(r"[^\n]", " ", found)
    return (_RUST_TOKEN if rust else _TOKEN).sub(blank, text)


def finish(name, problems, seen):
    """Prints the problems and ends with the exit code of the check."""
    for problem in problems:
        print(problem)
    if problems:
        print(f"{name}: {len(problems)} problem(s) in {seen}")
        sys.exit(1)
    print(f"{name}: {seen}, no problem")
    sys.exit(0)
