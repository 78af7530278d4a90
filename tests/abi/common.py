"""What the ABI checks share."""

import pathlib
import re
import subprocess
import sys


def run(*command):
    return subprocess.run(command, check=True, capture_output=True,
                          text=True).stdout


def strip_comments(text):
    return re.sub(r"/\*.*?\*/|//[^\n]*", " ", text, flags=re.S)


def public_headers(folder):
    return sorted(pathlib.Path(folder, "thrum").glob("*.h"))


def compare(golden, lines, what):
    """Ends with 0 if the golden file holds just these lines.

    With UPDATE_GOLDEN=1 in the environment the file is written instead.
    """
    import difflib
    import os
    path = pathlib.Path(golden)
    text = "".join(line + "\n" for line in lines)
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text)
    old = path.read_text() if path.exists() else ""
    if old == text:
        print(f"{what}: {len(lines)} lines as in {path.name}")
        return 0
    sys.stdout.writelines(difflib.unified_diff(
        old.splitlines(True), text.splitlines(True), path.name, "now"))
    print(f"{what}: the ABI changed. If that is meant: UPDATE_GOLDEN=1, and an "
          "entry in CHANGELOG.md")
    return 1
