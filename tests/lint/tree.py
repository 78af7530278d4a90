#!/usr/bin/env python3
"""The house stays small: top entries, file sizes, file heads.

usage: tree.py TOP
"""

import pathlib
import subprocess
import sys

from common import code_files, finish, rust_files

TOP = {
    "README.md", "meson.build", "meson_options.txt", "LICENSE", "CHANGELOG.md",
    "capi", "core", "bindings", "tests", "examples", "subprojects",
}
# Not part of the house: what git ignores.
LOCAL = {"build"}
SIZE = 500
# A public header is a reference, mostly prose.
PUBLIC, PUBLIC_SIZE = "capi/include/", 900


def top_entries(top):
    """Tracked and untracked entries at the top, less what git ignores."""
    listed = subprocess.run(
        ["git", "-C", str(top), "ls-files", "-co", "--exclude-standard"],
        capture_output=True, text=True, check=False)
    if listed.returncode == 0 and listed.stdout:
        return {line.split("/")[0] for line in listed.stdout.splitlines()}
    return {p.name for p in pathlib.Path(top).iterdir()} - LOCAL


def check(top):
    top = pathlib.Path(top)
    problems = [
        f"{entry}: no room for it at the top"
        for entry in sorted(top_entries(top))
        if entry not in TOP and not entry.startswith(".")]
    files = code_files(top, "core", "capi", "bindings") + rust_files(top)
    for path in files:
        name = path.relative_to(top).as_posix()
        text = path.read_text()
        lines = text.count("\n")
        limit = PUBLIC_SIZE if name.startswith(PUBLIC) else SIZE
        if lines > limit:
            problems.append(f"{name}: {lines} lines, at most {limit}")
        if "SPDX-License-Identifier: MIT" not in text:
            problems.append(f"{name}: no SPDX line")
        if path.suffix in (".hpp",) and "#pragma once" not in text:
            problems.append(f"{name}: no #pragma once")
    return problems, f"{len(files)} files"


if __name__ == "__main__":
    finish("tree", *check(sys.argv[1]))
