#!/usr/bin/env python3
"""Shows that each lint can fail: little trees, each with one sin.

usage: self_test.py

A case is (lint, files, words that the report must hold); without words the
tree is clean and the lint must pass.
"""

import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).parent
HEAD = "// SPDX-License-Identifier: MIT\n"
ONCE = HEAD + "#pragma once\n"

CLEAN = {
    "README.md": "",
    "core/base/a.hpp": ONCE,
    "core/os/os.hpp": ONCE + '#include "base/a.hpp"\n',
    "core/os/linux/b.cpp": HEAD + '#include "os/os.hpp"\n#include <pthread.h>\n'
                           "#ifdef __linux__\nint e() { return errno; }\n#endif\n",
    "core/sched/c.cpp": HEAD + '#include "os/os.hpp"\nthread_local int m;\n'
                        '// a fiber, errno, a "task"\nconst char* s = "worker";\n',
    "capi/src/d.cpp": HEAD + '#include "sched/c.hpp"\n'
                      "#include <thrum/thrum.h>\n",
    "core/sched/c.hpp": ONCE,
    "capi/include/thrum/thrum.h":
        "/* SPDX-License-Identifier: MIT */\n#if defined(_WIN32)\n#endif\n"
        "#define THRUM_EINVAL (-22)\n"
        "/* Gives a number.\n * Threads: any   Parks: no   Signal-safe: no   "
        "Since: 0.1\n * Errors: THRUM_EINVAL */\n"
        "THRUM_API int thrum_a(void);\n"
        "THRUM_API int thrum_b(void); /* the same */\nTHRUM_API int thrum_c(\n"
        "  void);\n",
}


def tags(text):
    return {"capi/include/thrum/thrum.h": text}


TAGGED = "/* Threads: any Parks: no Signal-safe: no Since: 0.1 Errors: none */\n"
DECLARED = "THRUM_API int thrum_a(void);\n"

EVENTS = 'THRUM_EVENT(run, 1, "who", "-", "it runs")\n'

CASES = [
    *((lint, {}, None) for lint in ("layers", "words", "tree", "header_tags",
                                    "format", "events")),
    # Events.
    ("events", {"core/probe/events.def": EVENTS,
                "core/probe/README.md": "| event |\n"}, "not that of events.def"),
    ("events", {"core/probe/events.def": EVENTS}, "no table"),
    ("events", {"core/probe/events.def": EVENTS + EVENTS.replace("run", "go")},
     "number 1 twice"),
    ("events", {"core/probe/events.def": EVENTS + EVENTS.replace("1", "2")},
     "name run twice"),
    ("events", {"core/probe/events.def": EVENTS + "THRUM_EVENT(\n"},
     "cannot read"),
    # The floors.
    ("layers", {"core/base/x.hpp": '#include "sched/c.hpp"'},
     "base looks up to sched"),
    ("layers", {"core/arch/x.hpp": '#include "os/a.hpp"'},
     "arch looks up to os"),
    ("layers", {"core/chan/x.cpp": '#include "sync/a.hpp"'},
     "rooms of one floor"),
    ("layers", {"core/sched/x.cpp": '#include "net/a.hpp"'},
     "sched looks up to net"),
    ("layers", {"core/sched/x.cpp": '#  include "../os/os.hpp"'}, "never through"),
    ("layers", {"core/sched/x.cpp": '#include "c.hpp"'}, 'say "sched/c.hpp"'),
    ("layers", {"core/sched/x.cpp": '#include "attic/c.hpp"'}, "is no room"),
    ("layers", {"core/sched/x.cpp": "#include <thrum/thrum.h>"},
     "looks up to the public header"),
    ("layers", {"core/sched/x.hpp": '#include "sched/y.hpp"',
                "core/sched/y.hpp": '#include "sched/x.hpp"'},
     "include circle"),
    ("layers", {"core/sched/x.hpp": "#include <uv.h>"}, "<uv.h>"),
    ("layers", {"bindings/python/src/x.c": "#include <thrum/host.h>\n"
                "#include <Python.h>\n#include \"core.h\""}, None),
    ("layers", {"bindings/lua/x.c": '#include "sched/c.hpp"'},
     "may not include sched/c.hpp"),
    ("layers", {"bindings/rust/thrum/src/x.rs": 'extern "C" {\n fn getpid() -> i32;\n}'},
     "in thrum-sys/src/ffi.rs alone"),
    ("layers", {"bindings/rust/thrum/src/x.rs": 'extern "C" fn start() {}',
                "bindings/rust/thrum-sys/src/ffi.rs": 'extern "C" {}'}, None),
    ("layers", {"bindings/python/src/x.c": "#include <pthread.h>"},
     "may not include pthread.h"),
    ("layers", {"bindings/python/src/x.c": "#include <internal/pycore_runtime.h>"},
     "may not include internal"),
    ("layers", {"core/mem/stack.cpp": "#include <mimalloc.h>"}, "core/mem/heap.cpp"),
    ("layers", {"core/sched/x.cpp": "#include <pthread.h>"}, "core/os/"),
    ("layers", {"core/net/x.cpp": "#include <sys/mman.h>"}, "core/os/"),
    ("layers", {"capi/src/x.cpp": "#include <signal.h>"}, "core/os/"),
    ("layers", {"core/sched/x.cpp": "#include <mutex>"}, "nowhere"),
    ("layers", {"core/sched/x.cpp": "#if 1 && \\\n  defined(__aarch64__)\n#endif"},
     "belongs in arch or os"),
    ("layers", {"capi/include/thrum/x.h": "#ifdef __linux__\n#endif"},
     "belongs in arch or os"),
    # The words.
    ("words", {"core/sched/x.cpp": "int run_task();"}, "says task"),
    ("words", {"core/sched/x.cpp": "struct WorkerPool {};"}, "says worker"),
    ("words", {"bindings/python/src/task.c": "int task; _Thread_local int m;"},
     None),
    ("words", {"bindings/python/src/x.c": "int worker;"}, "says worker"),
    ("words", {"bindings/lua/x.c": "int task;"}, "says task"),
    ("words", {"bindings/rust/thrum/src/x.rs": "use std::task; thread_local! {}\n"
               "fn f<'a>(b: &'a u8, c: &'a u8) {} // worker"}, None),
    ("words", {"bindings/rust/thrum/src/x.rs": "fn f<'a>(worker: &'a u8, c: &'a u8) {}"},
     "says worker"),
    ("words", {"core/sched/x.cpp": "int nJobs;"}, "says jobs"),
    ("words", {"core/sched/utils.cpp": ""}, "a file named utils"),
    ("words", {"core/sched/x.cpp": "thread_local int two;"},
     "more than one thread-local"),
    ("words", {"core/sched/x.cpp": "int e = errno;"}, "errno outside os"),
    ("words", {"capi/src/x.cpp": "auto t = pthread_self();"}, "outside os"),
    ("words", {"core/sched/x.cpp": "// " + "TODO: later"}, "without an issue"),
    # The house.
    ("tree", {"bindings/rust/thrum/src/x.rs": HEAD + "\n" * 500}, "at most 500"),
    ("tree", {"notes.txt": ""}, "no room for it at the top"),
    ("tree", {"docs/a.md": ""}, "no room for it at the top"),
    ("tree", {"core/sched/x.cpp": HEAD + "\n" * 500}, "at most 500"),
    ("tree", {"core/sched/x.cpp": ""}, "no SPDX line"),
    ("tree", {"core/sched/x.hpp": HEAD}, "#pragma once"),
    # The header.
    ("header_tags", tags(DECLARED), "no Threads: tag"),
    ("header_tags", tags(TAGGED + "\n" + DECLARED), "no Since: tag"),
    ("header_tags", tags(TAGGED.replace("Errors: none", "") + DECLARED),
     "no Errors: tag"),
    ("header_tags", tags(TAGGED.replace("any", "some") + DECLARED),
     "Threads: some"),
    ("header_tags", tags(TAGGED.replace("none", "THRUM_ENOSUCH") + DECLARED),
     "THRUM_ENOSUCH is not defined"),
    # The format.
    ("format", {"core/sched/x.cpp": "int f() {\n  if (1) {\n    return 1;\n"
                                    "  }\n  return 0;\n}\n"}, None),
    ("format", {"core/sched/x.cpp": "void f() {\n  if (1)\n    g();\n}\n"},
     "x.cpp:2: no braces"),
    ("format", {"core/sched/x.cpp": "void f() {\n  for (a;\n       b)\n    g();\n}\n"},
     "x.cpp:2: no braces"),
    ("format", {"core/sched/x.cpp":
                "void f() {\n  if (1) {\n  } else\n    g();\n}\n"},
     "x.cpp:3: no braces"),
]
# Only where the formatter is at hand.
FORMATTER_CASES = [
    ("format", {"core/sched/x.cpp": "int  f( ) { return 1 ; }\n"},
     "not in format"),
]

GLOBALS = [
    ("int counter;", "counter in .bss"),
    ("static int hidden = 1; int get() { return hidden++; }", "hidden in .data"),
    ("thread_local int mine; int get() { return mine; }", "mine in .tbss"),
    ("struct A { A(); }; A now;", "runs code at load time"),
]
GLOBALS_GOOD = "const int a = 1; extern const char* const b; \n" \
               "const char* const b = \"x\"; int allowed;"


def run_lint(lint, *arguments):
    return subprocess.run(
        [sys.executable, str(HERE / f"{lint}.py"), *map(str, arguments)],
        capture_output=True, text=True, check=False)


def judge(label, done, words):
    if words is None:
        good = done.returncode == 0
    else:
        good = done.returncode == 1 and words in done.stdout
    if not good:
        print(f"{label}: exit {done.returncode}, expected {words or 'a pass'}")
        print(done.stdout + done.stderr)
    return good


def tree_case(lint, files, words):
    with tempfile.TemporaryDirectory() as scratch:
        top = pathlib.Path(scratch)
        shutil.copy(HERE / "../../.clang-format", top)
        for name, text in {**CLEAN, **files}.items():
            path = top / name
            path.parent.mkdir(parents=True, exist_ok=True)
            # The little trees' own text is not laid out for the formatter.
            if lint != "format" or name in files:
                path.write_text(text)
        return judge(f"{lint} {sorted(files)}", run_lint(lint, top), words)


def globals_case(text, words, allowed=""):
    with tempfile.TemporaryDirectory() as scratch:
        top = pathlib.Path(scratch)
        (top / "a.cpp").write_text(text)
        (top / "allowed").write_text(allowed)
        subprocess.run(["c++", "-std=c++20", "-c", "-o", top / "a.o",
                        top / "a.cpp"], check=True)
        subprocess.run(["ar", "rcs", top / "a.a", top / "a.o"], check=True)
        done = run_lint("globals", top / "allowed", top / "a.a")
        return judge(f"globals {text}", done, words)


def main():
    cases = list(CASES)
    probe = run_lint("format", HERE)
    if "skipped" in probe.stdout:
        cases = [c for c in cases if c[0] != "format" or c[2]]
    else:
        cases += FORMATTER_CASES
    results = [tree_case(*case) for case in cases]
    results += [globals_case(*case) for case in GLOBALS]
    results.append(globals_case(GLOBALS_GOOD, None, "allowed # a reason\n"))
    results.append(globals_case("int f() { return 1; }", "does not exist",
                                "gone\n"))
    print(f"self_test: {sum(results)} of {len(results)} as expected")
    return not all(results)


if __name__ == "__main__":
    sys.exit(main())
