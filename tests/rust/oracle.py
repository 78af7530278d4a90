#!/usr/bin/env python3
"""The externs that SWIG's tree gave are those that bindgen finds by itself.

usage: oracle.py TOP        77: skipped, there is no bindgen

bindgen asks Clang, generate.py asks SWIG: what both say of a function, a field or
a number is what the headers say.
"""

import ast
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile


def plain(text):
    """One spelling for both: no paths, no names of arguments, no line breaks."""
    text = re.sub(r"\s+", " ", text)
    text = re.sub(r"(::)?core::(ffi|option)::", "", text)
    text = re.sub(r"(\d)usize\b", r"\1", text)
    text = re.sub(r",? ([)>])", r"\1", text)
    text = re.sub(r"([(<]) ", r"\1", text)
    text = re.sub(r"\b\w+: ", "", text)
    return text.replace("size_t", "usize").strip(" ,")


def facts(text):
    """{name: what it is} of functions, fields, aliases and constants."""
    found = {}
    text = re.sub(r"//[^\n]*|#\[.*?\]", "", text)
    for name, rest in re.findall(r"\bpub fn (thrum_\w+)\s*(\(.*?);", text, re.S):
        found[name + "()"] = plain(rest)
    for name, rest in re.findall(r"\bpub static (?:mut )?(thrum_\w+)\s*:(.*?);", text, re.S):
        found[name] = plain(rest)
    for name, rest in re.findall(r"\bpub type (thrum_\w+)\s*=\s*(.*?);", text, re.S):
        found[name] = plain(rest)
    for name, body in re.findall(r"\bpub struct (thrum_\w+)\s*\{(.*?)\n\}", text, re.S):
        fields = re.findall(r"\bpub (\w+)\s*:(.*?),\n(?=\s*pub|\Z)", body + "\n", re.S)
        # bindgen has a byte in a struct whose typedef it has not met.
        fields = [one for one in fields if one[0] != "_address"]
        found[name] = "struct" if fields else "opaque"
        for field, kind in fields:
            found[f"{name}.{field}"] = plain(kind)
    for name, value in re.findall(r"\bpub const (THRUM_\w+)\s*:\s*\w+\s*=\s*(.*?);", text):
        # Python reads numbers, shifts and brackets as Rust does.
        found[name] = eval(value, {"__builtins__": {}})  # of the two files alone
    # A text: c"..." here, bytes with a zero there.
    text_of = r"\bpub const (THRUM_\w+)\s*:\s*&[^=]*=\s*[bc](\".*?\");"
    for name, value in re.findall(text_of, text):
        found[name] = ast.literal_eval("b" + value).rstrip(b"\0")
    return found


def bindgen(top):
    with tempfile.TemporaryDirectory() as scratch:
        header = pathlib.Path(scratch, "all.h")
        include = top / "capi/include"
        header.write_text("".join(
            f"#include <thrum/{path.name}>\n" for path in sorted(include.glob("thrum/*.h"))))
        return subprocess.run(
            ["bindgen", "--no-layout-tests", "--use-core", "--ctypes-prefix", "core::ffi",
             "--allowlist-function", "thrum_.*", "--allowlist-type", "thrum_.*",
             "--allowlist-var", "(THRUM|thrum)_.*", str(header), "--", f"-I{include}"],
            capture_output=True, text=True, check=True).stdout


def main(top):
    if not shutil.which("bindgen"):
        print("skipped: there is no bindgen")
        return 77
    ours = facts((top / "bindings/rust/thrum-sys/src/ffi.rs").read_text())
    theirs = facts(bindgen(top))
    problems = [f"{name}: {ours.get(name)} here, {theirs.get(name)} by bindgen"
                for name in sorted(ours.keys() | theirs.keys())
                if ours.get(name) != theirs.get(name)]
    for problem in problems:
        print(problem)
    print(f"{len(ours)} facts, {len(problems)} differ")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1])))
