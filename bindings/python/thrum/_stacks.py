"""What all Tasks do, for people; errors that nobody has asked for."""

from __future__ import annotations

import _thread
import signal
import sys
import threading
import traceback
from typing import Any, TextIO

from . import _core
from ._core import Runtime, Task


def dump(file: TextIO | None = None, runtime: Runtime | None = None) -> None:
    """Writes the stack of every Task that has not ended.

    Of the Runtime that this runs in, if none is named. On stderr by default.

    >>> def main():
    ...     nap = thrum.go(thrum.sleep, 60)
    ...     thrum.yield_()
    ...     thrum.dump(sys.stdout)
    >>> thrum.run(main) # doctest: +ELLIPSIS
    Task ...
    """
    out = sys.stderr if file is None else file
    where = _core.current_runtime() if runtime is None else runtime
    for task, frame, state, reason, seconds in _core.stacks(where):
        what = f"{state}: {reason}" if reason else state
        since = f", {seconds:.3f} s" if seconds else ""
        print(f"Task {task.name} ({what}{since})", file=out)
        if frame is not None:
            out.writelines(traceback.format_stack(frame))


def excepthook(task: Task[Any], error: BaseException) -> None:
    """Called with the error of a Task that nobody joins. Replace it at will.

    >>> thrum.excepthook = lambda task, error: print("nobody joined", task.name)
    >>> def main():
    ...     thrum.go(int, "x")
    ...     thrum.yield_()
    >>> thrum.run(main)
    nobody joined int
    """
    print(f"Exception in thrum.Task {task.name}, which nobody joined:",
          file=sys.stderr)
    traceback.print_exception(error, file=sys.stderr)


def alone() -> bool:
    """Nothing but Tasks can wake a Task: no other thread, no signal's handler."""
    for number in signal.valid_signals():
        handler = signal.getsignal(number)
        if callable(handler) and handler is not signal.default_int_handler:
            return False
    return threading.active_count() == 1 and not _thread._count()


def deadlock(runtime: Runtime) -> None:
    """Says on stderr what run() is about to raise."""
    print("thrum: deadlock: every Task waits for another one", file=sys.stderr)
    dump(sys.stderr, runtime)
