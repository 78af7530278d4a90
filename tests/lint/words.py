#!/usr/bin/env python3
"""One vocabulary: words that the core does not use, and names that crash.

usage: words.py TOP

- Second words for G, M and P in identifiers and file names.
- More than one thread-local in the whole library, or in one binding: compilers
  keep the address of one across a switch.
- errno and pthread_self() outside os: both are attribute-const to compilers.
- Notes to self without an issue number.
"""

import re
import sys

from common import code_files, finish, rust_files, strip_comments

FORBIDDEN = "task fiber coroutine worker job vcpu manager helper util".split()
FORBIDDEN += [word + "s" for word in FORBIDDEN]
# A binding speaks its host's tongue: a green thread is a Task in Python, whose
# coroutines are asyncio's.
TONGUES = {"bindings/python/": {"task", "tasks", "coroutine"},
           "bindings/rust/": {"task"}}  # std::task, where Waker is
# The file that speaks the sanitizers' tongue, and names that they gave.
INTERPRETER = "core/arch/sanitize.hpp"
FOREIGN = re.compile(r"__(tsan|asan|sanitizer|msan)_\w+")
WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
IDENTIFIER = re.compile(r"\b[A-Za-z_]\w*\b")
THREAD_LOCAL = re.compile(r"\b(thread_local|__thread|_Thread_local)\b")
# Not the library's: it shows what a guest does.
GUESTS = re.compile(r"bindings/rust/(thrum/(tests|examples)|bench)/")
CACHED = {"errno", "pthread_self", "__errno_location"}
CACHED_IN = ("core/os/", "core/base/die.cpp")
NOTE = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b(?!.*#\d)")


def words_of(identifier):
    return [word.lower() for word in WORD.findall(identifier)]


def check(top):
    problems, locals_ = [], {}
    files = code_files(top, "core", "capi", "bindings") + rust_files(top)
    for path in files:
        name = path.relative_to(top).as_posix()
        if GUESTS.match(name):
            continue
        text = path.read_text()
        tongue = next((place for place in TONGUES if name.startswith(place)), "")
        forbidden = set(FORBIDDEN) - TONGUES.get(tongue, set())
        for word in words_of(path.stem):
            if word in forbidden:
                problems.append(f"{name}: a file named {word}")
        for number, line in enumerate(text.splitlines(), 1):
            if NOTE.search(line):
                problems.append(f"{name}:{number}: a note without an issue")
        bare = strip_comments(text, keep_strings=False, rust=path.suffix == ".rs")
        for number, line in enumerate(bare.splitlines(), 1):
            where = f"{name}:{number}"
            if re.match(r"\s*#\s*include\b", line):
                continue
            if THREAD_LOCAL.search(line) and not line.startswith("extern"):
                locals_.setdefault(tongue, []).append(where)
            for identifier in IDENTIFIER.findall(line):
                if identifier in CACHED and not name.startswith(CACHED_IN):
                    problems.append(f"{where}: {identifier} outside os")
                if name == INTERPRETER or FOREIGN.fullmatch(identifier):
                    continue
                for word in words_of(identifier):
                    if word in forbidden:
                        problems.append(f"{where}: {identifier} says {word}")
    for places in locals_.values():
        if len(places) > 1:
            problems.append("more than one thread-local: " + ", ".join(places))
    return problems, f"{len(files)} files"


if __name__ == "__main__":
    finish("words", *check(sys.argv[1]))
