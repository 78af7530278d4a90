#!/usr/bin/env python3
"""A Python process with faulthandler, in which a G runs over the end of its stack.

usage: overflow_host.py LIBRARY MODE

MODE says when faulthandler is enabled: before thrum's handler, after it, or none
(never). Native code is machine code in a mapping: no Python runs on a green thread.
Ends by SIGSEGV; prints "skipped: reason" and exits with 77 where it cannot be done.
"""

import ctypes
import faulthandler
import mmap
import platform
import resource
import sys

RECURSE = bytes.fromhex("e8fbffffff c3")  # call itself
FOREVER = (1 << 63) - 1


def skip(reason):
    print(f"skipped: {reason}")
    sys.exit(77)


def native(code):
    page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE |
                     mmap.PROT_EXEC)
    page.write(code)
    return page, ctypes.addressof(ctypes.c_char.from_buffer(page))


def main():
    library, mode = sys.argv[1:]
    if platform.machine() != "x86_64":
        skip("the machine code is for x86-64")
    try:
        lib = ctypes.CDLL(library)
    except OSError as e:
        skip(f"Python cannot load the library: {e}")
    try:
        keep, recurse = native(RECURSE)
    except OSError as e:
        skip(f"no memory may be both written and executed: {e}")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    rt = ctypes.c_void_p()
    if lib.thrum_rt_new(ctypes.byref(rt), None):
        sys.exit(1)
    if mode == "before":
        faulthandler.enable()
    if lib.thrum_overflow_enable(rt):
        sys.exit(2)
    if mode == "after":
        faulthandler.enable()
    lib.thrum_run(rt, ctypes.c_void_p(recurse), None)
    del keep
    sys.exit(3)


main()
