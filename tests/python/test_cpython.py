"""CPython's own tests of its library, in a Task under patch(). What fails is just
what bindings/python/README.md lists."""

import faulthandler
import importlib.util
import subprocess
import sys

import pytest

OLD = sys.version_info < (3, 13)

# What fails, and why it must.
SIGNAL = "signal handlers belong to the main thread, which no Task is on"
COUNT = "_thread._count() counts threads, and these are Tasks"
HOOK = "an error of a Task goes to thrum.excepthook"
IDENT = "it wants the number of the OS thread, and get_ident() is the Task's"
NATIVE = "it wants an OS thread for each thread"
TYPE = "the types of locks and of the dummy thread are thrum's, written in Python"
DUMMY = "a dummy thread ends with its Task, as it does with its thread since 3.13"
FLAG = "the descriptor of a socket never blocks; the timeout is kept in Python"
JOIN = "until 3.12 the join of a dummy thread fails an assertion"
KNOWN = {
    "test.test_queue": {},
    "test.test_socket": {
        "GeneralModuleTests.test_sendall_interrupted": SIGNAL,
        "GeneralModuleTests.test_sendall_interrupted_with_timeout": SIGNAL,
        "InterruptedRecvTimeoutTest.testInterruptedRecvIntoTimeout": SIGNAL,
        "InterruptedRecvTimeoutTest.testInterruptedRecvTimeout": SIGNAL,
        "InterruptedRecvTimeoutTest.testInterruptedRecvfromIntoTimeout": SIGNAL,
        "InterruptedRecvTimeoutTest.testInterruptedRecvfromTimeout": SIGNAL,
        "InterruptedRecvTimeoutTest.testInterruptedRecvmsgIntoTimeout": SIGNAL,
        "InterruptedRecvTimeoutTest.testInterruptedRecvmsgTimeout": SIGNAL,
        "InterruptedSendTimeoutTest.testInterruptedSendTimeout": SIGNAL,
        "InterruptedSendTimeoutTest.testInterruptedSendmsgTimeout": SIGNAL,
        "InterruptedSendTimeoutTest.testInterruptedSendtoTimeout": SIGNAL,
        "TCPTimeoutTest.testInterruptedTimeout": SIGNAL,
        "NonBlockingTCPTests.testSetBlocking": FLAG,
        "NonblockConstantTest.test_SOCK_NONBLOCK": FLAG,
        "TestExceptions.test_setblocking_invalidfd": FLAG,
        **({"NonBlockingTCPTests.testSetBlocking_overflow": FLAG}
           if sys.version_info < (3, 12) else {}),
    },
    "test.test_socketserver": {"SocketWriterTest.test_write": SIGNAL},
    "test.test_subprocess": {
        "POSIXProcessTestCase.test_kill": SIGNAL,
        "POSIXProcessTestCase.test_send_signal": SIGNAL,
        "POSIXProcessTestCase.test_terminate": SIGNAL,
        "ProcessTestCase.test_communicate_eintr": SIGNAL,
        "ProcessTestCaseNoPoll.test_communicate_eintr": SIGNAL,
    },
    "test.test_thread": {"ThreadRunningTests.test__count": COUNT,
                         "ThreadRunningTests.test_unraisable_exception": HOOK},
    "test.test_threading": {
        "ExceptHookTests.test_excepthook_thread_None": IDENT,
        "MiscTestCase.test__all__": TYPE,
        "ThreadTests.test_main_thread": IDENT,
        "ThreadTests.test_various_ops": NATIVE,
        "ThreadTests.test_various_ops_large_stack": NATIVE,
        "ThreadTests.test_various_ops_small_stack": NATIVE,
        **({"ThreadTests.test_disallow_instantiation": TYPE,
            "ThreadTests.test_foreign_thread": DUMMY,
            "ThreadTests.test_ident_of_no_threading_threads": DUMMY,
            "ThreadingExceptionTests.test_joining_current_thread": JOIN}
           if OLD else
           {"CRLockTests.test_signature": TYPE,
            "ThreadTests.test_foreign_thread": TYPE,
            "ThreadTests.test_lock_no_subclass": TYPE}),
    },
    "test.test_threading_local": {},
    "test.test_sched": {},
    "test.test_ssl": {},
    "test.test_epoll": {},
}
# What is not run: it interrupts the main thread, which cancels this run; since 3.13
# CPython aborts, with thrum or without, when a thread that is not the main one ends
# an interpreter in which a thread was started. VSOCK is a matter of the machine's.
LEFT_OUT = (["InterruptMainTests", "ThreadedVSOCKSocketStreamTest"] +
            ([] if OLD else ["SubinterpThreadingTests"]))
# What looks whether a number is nobody's descriptor: by then it may be that of a file
# which a thread of the runtime has opened for itself. It is looked at again: a
# descriptor that is left open is so each time.
TAKEN = {"SimpleBackgroundTests.test_makefile_close"}

# (Where this runs in the background of a shell, SIGINT is ignored: some of the
# programs that the tests start then go on for ever.)
PROGRAM = r"""
import signal
import sys
signal.signal(signal.SIGINT, signal.default_int_handler)
how, name, left_out, only = sys.argv[1], sys.argv[2], sys.argv[3].split(), sys.argv[4:]
if how == "patched":
    import thrum
    thrum.patch()
import unittest

def brief(case):
    return ".".join(case.id().split(" ")[0].split(".")[-2:])

def cases(suite):
    for one in suite:
        if isinstance(one, unittest.TestSuite):
            yield from cases(one)
        elif type(one).__name__ not in left_out and (
                not only or brief(one) in only):
            yield one

def main():
    suite = unittest.defaultTestLoader.loadTestsFromName(name)
    suite = unittest.TestSuite(cases(suite))
    result = unittest.TextTestRunner(sys.stderr, verbosity=0).run(suite)
    print("\n=", result.testsRun)
    for case, _ in result.failures + result.errors:
        print("=", brief(case))
thrum.run(main) if how == "patched" else main()
"""


def run(how, name, *only):
    """How many tests there were, which failed, and what was said."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, how, name, " ".join(LEFT_OUT), *only],
        timeout=300, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    count, *failed = [line[2:] for line in done.stdout.splitlines()
                      if line.startswith("= ")]
    return int(count), set(failed), done.stderr


@pytest.mark.parametrize("name", KNOWN)
def test_module(name):
    if importlib.util.find_spec("test") is None or (
            importlib.util.find_spec(name) is None):
        pytest.skip("this Python came without its tests")
    faulthandler.dump_traceback_later(330, exit=True)  # not after a minute
    count, failed, said = run("patched", name)
    assert count > 5
    taken = failed & TAKEN
    for _ in range(10):
        taken = taken and run("patched", name, *taken)[1]
    failed = failed - TAKEN | taken
    others = failed - set(KNOWN[name])
    lacks = run("plain", name, *others)[1] if others else set()
    assert failed - lacks == set(KNOWN[name]), said
    if lacks:
        pytest.skip("fail here without thrum as well: " + " ".join(sorted(lacks)))
