#!/usr/bin/env python3
"""SHA-256 of files on all cores, in the order of the names.

usage: checksum.py [PATH...]     default: 1 GiB from memory, one after the other
and offloaded

hashlib gives the GIL up for large pieces, so offload() runs it beside others.
"""

import hashlib
import os
import pathlib
import sys
import time

import thrum

PIECE = 4 << 20


def digest_of(pieces):
    state = hashlib.sha256()
    for piece in pieces:
        state.update(piece)
    return state.hexdigest()


def pieces_of(path):
    with open(path, "rb") as file:
        while piece := file.read(PIECE):
            yield piece


def files(paths):
    for path in map(pathlib.Path, paths):
        if path.is_dir():
            yield from sorted(p for p in path.rglob("*") if p.is_file())
        else:
            yield path


def sums(paths):
    room = thrum.Semaphore(4 * thrum.current_runtime().procs)

    def one(path):
        with room:
            return thrum.offload(lambda: digest_of(pieces_of(path)))
    tasks = [(path, thrum.go(one, path)) for path in files(paths)]
    for path, task in tasks:
        try:
            print(task.result(), path, sep="  ")
        except OSError as error:
            print(f"{path}: {error.strerror}", file=sys.stderr)


def blocks(call):
    """1 GiB, as 16 sums; call(fn, *args) runs one."""
    data = os.urandom(PIECE)
    began = time.monotonic()
    for _ in range(2):
        for task in [thrum.go(call, digest_of, [data] * 16) for _ in range(8)]:
            task.join()
    return time.monotonic() - began


def compare():
    pairs = [(blocks(lambda fn, *args: fn(*args)), blocks(thrum.offload))
             for _ in range(3)]
    one, many = (min(side) for side in zip(*pairs))
    print(f"1 GiB: {one:.2f} s by one Task after the other, {many:.2f} s "
          f"offloaded: {one / many:.2f} times as fast")


if len(sys.argv) > 1:
    thrum.run(sums, sys.argv[1:])
else:
    # Else what gives the GIL up for long would run beside others all the same.
    with thrum.Runtime(handover=60.0) as runtime:
        runtime.run(compare)
