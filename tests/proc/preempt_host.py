#!/usr/bin/env python3
"""A Python process whose native code is preempted, beside faulthandler.

usage: preempt_host.py LIBRARY MODE

MODE says what Python has on the same signal: none; before (faulthandler was
registered first); after-chain and after (it is registered over thrum's handler:
then nobody is preempted, for it hands nothing on, or by raise() and without what
thrum needs; but nothing worse happens).
Native code is machine code in a mapping: no Python runs on a green thread. Prints
"skipped: reason" and exits with 77 where it cannot be done.
"""

import ctypes
import faulthandler
import mmap
import os
import platform
import signal
import sys
import tempfile
import time

# inc qword [rdi]; cmp dword [rdi+8], 0; je to the start; ret
SPIN = bytes.fromhex("48ff07 837f0800 74f7 c3")
# lock inc qword [rdi+16]; ret
COUNT = bytes.fromhex("f048ff4710 c3")
FOREVER = (1 << 63) - 1


class Config(ctypes.Structure):
    _fields_ = [("struct_size", ctypes.c_uint32), ("procs", ctypes.c_uint32),
                ("max_threads", ctypes.c_uint32), ("flags", ctypes.c_uint32),
                ("stack_size", ctypes.c_size_t), ("slice_ns", ctypes.c_int64),
                ("seed", ctypes.c_uint64)]


class Stack(ctypes.Structure):
    _fields_ = [("sp", ctypes.c_void_p), ("flags", ctypes.c_int),
                ("size", ctypes.c_size_t)]


class Shared(ctypes.Structure):
    _fields_ = [("spun", ctypes.c_uint64), ("stop", ctypes.c_uint32),
                ("pad", ctypes.c_uint32), ("counted", ctypes.c_uint64)]


def skip(reason):
    print(f"skipped: {reason}")
    sys.exit(77)


def check(good, what):
    if not good:
        print(f"preempt_host: {what}")
        sys.exit(1)


def load(path):
    try:
        lib = ctypes.CDLL(path)
    except OSError as error:  # a sanitizer's library wants to be first
        skip(f"python3 cannot load the library: {error}")
    pointer, i64, u32 = ctypes.c_void_p, ctypes.c_int64, ctypes.c_uint32
    for name, *types in (
            ("thrum_rt_new", pointer, pointer),
            ("thrum_rt_stop", pointer, i64),
            ("thrum_spawn", pointer, pointer, pointer, pointer, pointer),
            ("thrum_join", pointer, ctypes.c_uint64, i64),
            ("thrum_preempt_enable", pointer, ctypes.c_int),
            ("thrum_preempt_region", pointer, pointer, u32)):
        getattr(lib, name).argtypes = types
    lib.thrum_rt_free.argtypes = [pointer]
    return lib


def machine_code():
    """(mapping, spin, count): addresses of the two functions."""
    if platform.machine() != "x86_64":
        skip("the machine code of this test is x86-64's")
    code = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE |
                     mmap.PROT_EXEC)
    code.write(SPIN.ljust(64, b"\xcc") + COUNT)
    start = ctypes.addressof(ctypes.c_char.from_buffer(code))
    return code, start, start + 64


def alternate_stack():
    stack = Stack()
    ctypes.CDLL(None).sigaltstack(None, ctypes.byref(stack))
    return stack.sp, stack.flags, stack.size


def handled(signo):
    """Has the process a handler for it, as the kernel knows?"""
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith("SigCgt:"):
                return bool(int(line.split()[1], 16) >> (signo - 1) & 1)
    return False


def spawn(lib, rt, fn, arg):
    g = ctypes.c_uint64()
    check(lib.thrum_spawn(rt, None, fn, ctypes.byref(arg), ctypes.byref(g)) == 0,
          "spawn failed")
    return g.value


class Log:
    """Where faulthandler writes; one dump a signal."""

    def __init__(self):
        self.file = tempfile.TemporaryFile()

    def dumps(self):
        self.file.seek(0)
        return self.file.read().count(b"most recent call first")


def main(path, mode):
    signo = signal.SIGRTMIN + 5
    faulthandler.enable()
    lib, log = load(path), Log()
    code, spin, count = machine_code()
    if mode == "before":
        faulthandler.register(signo, file=log.file, all_threads=False)
    stack = alternate_stack()
    rt = ctypes.c_void_p()
    config = Config(ctypes.sizeof(Config), 1, 0, 0, 0, 1000000, 0)
    check(lib.thrum_rt_new(ctypes.byref(rt), ctypes.byref(config)) == 0,
          "rt_new failed")
    got = lib.thrum_preempt_enable(rt, signo)
    if got == -95:
        skip("preemption is not supported here")
    check(got == signo, f"enable gave {got}")
    check(lib.thrum_preempt_region(spin, spin + len(SPIN), 0) == 0, "no region")
    if mode.startswith("after"):
        # Of all threads: thrum's own have no Python to show.
        faulthandler.register(signo, file=log.file, all_threads=True,
                              chain=mode == "after-chain")
    shared = Shared()
    hog = spawn(lib, rt, spin, shared)
    while not shared.spun:
        time.sleep(0.001)
    others = [spawn(lib, rt, count, shared) for _ in range(100)]
    if mode.startswith("after"):
        time.sleep(0.1)
        shared.stop = 1
    for g in others:
        check(lib.thrum_join(rt, g, FOREVER) == 0, "join failed")
    check(shared.counted == 100, f"{shared.counted} of 100 ran")
    # What is Python's reaches Python, and nothing else does.
    before = log.dumps()
    check(before == 0 if mode in ("none", "before") else before > 0,
          f"{before} dumps before the first signal of our own")
    if mode == "before":
        for sent in range(1, 11):
            os.kill(os.getpid(), signo)
            end = time.time() + 20
            while log.dumps() < sent and time.time() < end:
                time.sleep(0.001)
        check(log.dumps() == 10, f"{log.dumps()} dumps of 10")
    if mode.startswith("after"):
        faulthandler.unregister(signo)
    shared.stop = 1
    check(lib.thrum_join(rt, hog, FOREVER) == 0, "join failed")
    check(lib.thrum_rt_stop(rt, FOREVER) == 0, "stop failed")
    lib.thrum_rt_free(rt)
    check(alternate_stack() == stack, "the alternate stack has changed")
    check(handled(signo) == (mode == "before"), "the handler is not as it was")
    if mode == "before":
        os.kill(os.getpid(), signo)
        check(log.dumps() == 11, "no dump after the end")
    print("ok")


if __name__ == "__main__":
    main(*sys.argv[1:])
