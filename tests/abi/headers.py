#!/usr/bin/env python3
"""The headers compile wherever hosts may include them.

usage: headers.py HEADER_DIR

Each one alone, twice, all together, as strict C99 to C17 and C++11 to C++20, by
every compiler found; then in two units of one program. C++ headers (.hpp) need
C++17.
"""

import pathlib
import shutil
import subprocess
import sys
import tempfile

STRICT = ["-pedantic-errors", "-Wall", "-Wextra", "-Wshadow", "-Wundef",
          "-Werror"]
C_MODES = ["c99", "c11", "c17"]
CPP_MODES = ["c++11", "c++17", "c++20"]


def compile_one(compiler, mode, folder, source):
    done = subprocess.run(
        [compiler, f"-std={mode}", *STRICT, "-I", folder, "-c", str(source),
         "-o", str(source) + ".o"],
        capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"{compiler} -std={mode} {source.name}:\n{source.read_text()}"
              f"{done.stderr}")
    return done.returncode == 0


def sources_for(headers):
    """(name, text) of the little units that include headers."""
    for header in headers:
        line = f"#include <thrum/{header.name}>\n"
        yield header.name, line
        yield header.name + "_twice", line * 2
    yield "all", "".join(f"#include <thrum/{h.name}>\n" for h in headers)


def main(folder):
    found = pathlib.Path(folder, "thrum")
    c_headers = sorted(found.glob("*.h"))
    cpp_headers = sorted(found.glob("*.hpp"))
    good = count = 0
    with tempfile.TemporaryDirectory() as scratch:
        def write(name, text):
            path = pathlib.Path(scratch, name)
            path.write_text(text)
            return path

        pending = []
        for name, text in sources_for(c_headers):
            # A unit with includes alone is not strict C: it must declare.
            unit = text + "extern int nothing;\n"
            for compiler in ("gcc", "clang"):
                pending += [(compiler, mode, write(f"c_{name}.c", unit))
                         for mode in C_MODES]
            for compiler in ("g++", "clang++"):
                pending += [(compiler, mode, write(f"c_{name}.cpp", unit))
                         for mode in CPP_MODES]
        for name, text in sources_for(cpp_headers):
            for compiler in ("g++", "clang++"):
                pending += [(compiler, mode, write(f"cpp_{name}.cpp", text))
                         for mode in ("c++17", "c++20")]
        for compiler, mode, source in pending:
            if shutil.which(compiler):
                count += 1
                good += compile_one(compiler, mode, folder, source)

        # Two units of one program must not define the same thing twice.
        everything = "".join(f"#include <thrum/{h.name}>\n"
                             for h in c_headers + cpp_headers)
        units = [write("a.cpp", everything),
                 write("b.cpp", everything + "int main() { return 0; }\n")]
        if all([compile_one("g++", "c++20", folder, unit) for unit in units]):
            count += 1
            linked = subprocess.run(
                ["g++", *[f"{unit}.o" for unit in units], "-r", "-o",
                 scratch + "/both.o"],
                capture_output=True, text=True, check=False)
            print(linked.stderr, end="")
            good += linked.returncode == 0
    print(f"headers: {good} of {count} compiled")
    return good != count or not count


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
