#!/usr/bin/env python3
"""The law of the floors: who may include whom, and where the world is named.

usage: layers.py TOP

A file includes its own room and lower floors; rooms of one floor do not see
each other; nothing includes in a circle. Headers of the OS and of third
parties, and #ifdefs for a platform, stay in the rooms named below. Bindings
include <thrum/*.h> and nothing else of thrum.
"""

import re
import sys

from common import RUST, code_files, finish, rust_files, strip_comments

FLOORS = [
    ["base"], ["probe"], ["arch"], ["os"], ["mem"], ["queue"], ["sched"],
    ["time", "sync", "chan", "place"], ["net"], ["observe"], ["capi"],
]
FLOOR = {room: n for n, rooms in enumerate(FLOORS) for room in rooms}

# System header -> places (path prefixes) that may include it.
OS = ["core/os/"]
# The last words of a dying process need no room below to write them.
LAST_WORDS = "core/base/die.cpp"
NET = ["core/os/", "core/net/"]
FENCED = [
    (r"uv\.h|uv/.*", ["core/net/"]),
    (r"mimalloc.*\.h", ["core/mem/heap.cpp"]),
    (r"sys/(socket|un|uio)\.h|netdb\.h|netinet/.*|arpa/.*|net/.*", NET),
    (r"unistd\.h|errno\.h", OS + [LAST_WORDS]),
    (r"pthread\.h|signal\.h|sys/.*|linux/.*|ucontext\.h|sched\.h|fcntl\.h|"
     r"poll\.h|dirent\.h|dlfcn\.h|time\.h", OS),
    (r"valgrind/.*|sanitizer/.*", ["core/arch/"]),
    (r"thread|mutex|shared_mutex|condition_variable|future|semaphore|barrier|"
     r"latch|functional|iostream|memory|string|vector", []),
]

# What a binding is made of: the public headers, its host's, and plain C. The
# host's own internals are one file's business.
BINDINGS = re.compile(
    r"thrum/\w+\.h|Python\.h|structmember\.h|frameobject\.h|patchlevel\.h|"
    r"lua\.h|lauxlib\.h|lualib\.h|"
    r"std\w+\.h|string\.h|math\.h|dlfcn\.h|sched\.h|unistd\.h|fcntl\.h|sys/stat\.h")
INTERNALS = {"bindings/python/src/gilstate.c": {"internal/pycore_runtime.h"}}

PLATFORM = re.compile(
    r"\b(__linux__|__linux|linux|__unix__|__APPLE__|__FreeBSD__|_WIN32|_WIN64|"
    r"__CYGWIN__|__EMSCRIPTEN__|__wasm__|__ANDROID__|__GLIBC__|"
    r"__x86_64__|__i386__|__aarch64__|__arm__|__riscv|_M_X64|_M_ARM64)\b")
PLATFORM_ROOMS = ("core/arch/", "core/os/")
# The export macro of the public header.
EXPORT_MACROS = {"_WIN32", "__CYGWIN__"}

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.M)
CONDITION = re.compile(
    r"^[ \t]*#[ \t]*(?:if|ifdef|ifndef|elif)\b((?:\\\n|[^\n])*)", re.M)


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


def check_floor(room, target):
    """Why `room` may not include from `target`, or None."""
    if target not in FLOOR:
        return f'"{target}/…" is no room'
    if target == room or FLOOR[target] < FLOOR[room]:
        return None
    if FLOOR[target] == FLOOR[room]:
        return f"{room} and {target} are rooms of one floor"
    return f"{room} looks up to {target}"


def check_fences(name, header):
    for pattern, places in FENCED:
        if re.fullmatch(pattern, header):
            if any(name.startswith(place) for place in places):
                return None
            where = " ".join(places) or "nowhere in the library"
            return f"<{header}> may be included in: {where}"
    return None


def check_bindings(top):
    """Bindings see <thrum/*.h> only, and files beside themselves."""
    problems = []
    for path in code_files(top, "bindings"):
        name = path.relative_to(top).as_posix()
        text = strip_comments(path.read_text())
        for match in INCLUDE.finditer(text):
            quote, header = match.groups()
            if quote == '"':
                fine = "/" not in header
            else:
                fine = (BINDINGS.fullmatch(header) or
                        header in INTERNALS.get(name, ()))
            if not fine:
                problems.append(f"{name}:{line_of(text, match.start())}: "
                                f"a binding may not include {header}")
    return problems


def check_rust(top):
    """The crate thrum calls what ffi.rs declares and nothing else of C's."""
    problems = []
    for path in rust_files(top):
        name = path.relative_to(top).as_posix()
        if not name.startswith((RUST + "/thrum/src/", RUST + "/thrum-sys/src/")):
            continue
        text = strip_comments(path.read_text(), rust=True)
        for match in re.finditer(r'\bextern "C[^"]*" *\{|#\[(no_mangle|link)', text):
            problems.append(f"{name}:{line_of(text, match.start())}: "
                            "C is declared in thrum-sys/src/ffi.rs alone")
    return problems


def find_circle(edges):
    """One include circle as a list of names, or None."""
    state = {}

    def visit(node, path):
        state[node] = "open"
        for target in edges.get(node, ()):
            if state.get(target) == "open":
                return path[path.index(target):] + [target]
            if target not in state:
                found = visit(target, path + [target])
                if found:
                    return found
        state[node] = "done"
        return None

    for node in sorted(edges):
        if node not in state:
            found = visit(node, [node])
            if found:
                return found
    return None


def check(top):
    problems, edges = [], {}
    files = code_files(top, "core", "capi")
    for path in files:
        name = path.relative_to(top).as_posix()
        room = name.split("/")[1] if name.startswith("core/") else "capi"
        text = strip_comments(path.read_text())

        def report(offset, what):
            problems.append(f"{name}:{line_of(text, offset)}: {what}")

        for match in INCLUDE.finditer(text):
            quote, header = match.groups()
            why = None
            if quote == "<" and not header.startswith("thrum/"):
                why = check_fences(name, header)
            elif header.startswith("thrum"):
                if room != "capi":
                    why = f"{room} looks up to the public header"
                elif quote == '"':
                    edges.setdefault(name, []).append(
                        f"capi/include/thrum/{header.split('/')[-1]}")
            elif ".." in header.split("/"):
                why = "includes go from the root of core/, never through .."
            elif "/" not in header:
                # A file of capi beside this one.
                if room != "capi":
                    why = f'say "{room}/{header}"'
                else:
                    edges.setdefault(name, []).append(f"capi/src/{header}")
            else:
                why = check_floor(room, header.split("/")[0])
                edges.setdefault(name, []).append(f"core/{header}")
            if why:
                report(match.start(), why)

        if not name.startswith(PLATFORM_ROOMS):
            allowed = EXPORT_MACROS if name.startswith("capi/include") else ()
            for match in CONDITION.finditer(text):
                for word in PLATFORM.findall(match.group(1)):
                    if word not in allowed:
                        report(match.start(),
                               f"#if on {word} belongs in arch or os")

    problems += check_bindings(top) + check_rust(top)
    circle = find_circle(edges)
    if circle:
        problems.append("include circle: " + " -> ".join(circle))
    return problems, f"{len(files)} files"


if __name__ == "__main__":
    finish("layers", *check(sys.argv[1]))
