#!/usr/bin/env python3
"""The generator of thrum-sys: ffi.rs is what it writes, and it can fail.

usage: generator.py TOP        77: skipped, there is no SWIG
"""

import pathlib
import shutil
import subprocess
import sys
import tempfile

PARTS = ["bindings/thrum.i", "bindings/rust/thrum-sys/generate.py",
         "bindings/rust/thrum-sys/src/ffi.rs", "tests/abi/layout.txt"]
HEADER, LAYOUT = "capi/include/thrum/os.h", "tests/abi/layout.txt"
END = "#ifdef __cplusplus\n}\n#endif\n#endif"

# (what, file, text, its replacement, words of the report; none: it passes)
CASES = [
    ("as it is", HEADER, "", "", None),
    ("a new function", HEADER, END, "int thrum_new_one(int);\n" + END,
     "not what the headers say"),
    ("another type", HEADER, "int signo, thrum_chan* ch)",
     "uint32_t signo, thrum_chan* ch)", "not what the headers say"),
    ("a macro that SWIG leaves out", HEADER, "#define THRUM_KIND_FILE 1u",
     "#define THRUM_KIND_FILE (sizeof(int))",
     "THRUM_KIND_FILE is not in SWIG's tree"),
    ("a text for a number", HEADER, "#define THRUM_KIND_FILE 1u",
     '#define THRUM_KIND_FILE "file"', "not what the headers say"),
    ("a number of another kind", HEADER, "#define THRUM_KIND_FILE 1u",
     "#define THRUM_KIND_FILE 1.5", "THRUM_KIND_FILE"),
    ("a union", HEADER, END, "union thrum_u { int a; };\n" + END, "a union"),
    ("an enum", HEADER, END, "enum thrum_e { THRUM_A };\n" + END, "has a enum"),
    ("a type unknown here", HEADER, END, "void thrum_f(double);\n" + END,
     "unknown type double"),
    ("a struct within", HEADER, "uint32_t reserved;\n} thrum_stat;",
     "struct { int a; } within;\n} thrum_stat;", "thrum_stat"),
    ("a field without a layout", LAYOUT, "thrum_case.op: at 16 size 4\n", "",
     "thrum_case.op"),
    ("a layout of nothing", LAYOUT, "thrum_case.op:", "thrum_case.gone:",
     "thrum_case.gone"),
]


def report(top, name, old, new):
    """What the generator says of a copy of the tree in which one thing differs."""
    with tempfile.TemporaryDirectory() as scratch:
        copy = pathlib.Path(scratch)
        shutil.copytree(top / "capi/include", copy / "capi/include")
        for part in PARTS:
            (copy / part).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(top / part, copy / part)
        text = (copy / name).read_text()
        if old not in text:
            return 1, f"the case is old: {old} is not in {name}"
        (copy / name).write_text(text.replace(old, new, 1))
        done = subprocess.run([sys.executable, copy / PARTS[1], "--check"],
                              capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr


def main(top):
    if not shutil.which("swig"):
        print("skipped: there is no SWIG")
        return 77
    failed = 0
    for what, name, old, new, words in CASES:
        code, said = report(top, name, old, new)
        right = code == 0 if words is None else code != 0 and words in said
        if not right:
            failed += 1
            print(f"{what}: ended with {code}\n{said}")
    print(f"{len(CASES)} cases, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1])))
