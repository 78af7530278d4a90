"""CPython's own tests of its library, in a Task under patch()."""

import importlib.util
import subprocess
import sys

import pytest

# What fails, and why it must.
SIGNAL = "signal handlers belong to the main thread, which no Task is on"
COUNT = "_thread._count() counts threads, and these are Tasks"
HOOK = "an error of a Task goes to thrum.excepthook"
KNOWN = {
    "test.test_queue": {},
    "test.test_socketserver": {"SocketWriterTest.test_write": SIGNAL},
    "test.test_thread": {"ThreadRunningTests.test__count": COUNT,
                         "ThreadRunningTests.test_unraisable_exception": HOOK},
    "test.test_threading_local": {},
    "test.test_sched": {},
}

PROGRAM = r"""
import sys
import thrum
thrum.patch()
import unittest

def main():
    suite = unittest.defaultTestLoader.loadTestsFromName(sys.argv[1])
    result = unittest.TextTestRunner(sys.stderr, verbosity=0).run(suite)
    print("\n=", result.testsRun)
    for case, _ in result.failures + result.errors:
        print("=", ".".join(case.id().split(".")[-2:]))
thrum.run(main)
"""


@pytest.mark.parametrize("name", KNOWN)
def test_module(name):
    if importlib.util.find_spec("test") is None or (
            importlib.util.find_spec(name) is None):
        pytest.skip("this Python came without its tests")
    done = subprocess.run([sys.executable, "-c", PROGRAM, name], timeout=300,
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    count, *failed = [line[2:] for line in done.stdout.splitlines()
                      if line.startswith("= ")]
    assert int(count) > 5
    assert set(failed) <= set(KNOWN[name]), done.stderr
