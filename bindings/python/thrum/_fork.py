"""The end of a child process that a Task has forked."""

from __future__ import annotations

import os
import sys
import traceback


def end_child(error: BaseException | None) -> None:
    """Ends the process as its main function would, but for exit handlers.

    The thread that CPython takes for the main one is not there, and since 3.13
    taking the interpreter apart without it crashes.
    """
    code = 0
    if isinstance(error, SystemExit):
        if isinstance(error.code, int):
            code = error.code
        elif error.code is not None:
            print(error.code, file=sys.stderr)
            code = 1
    elif error is not None:
        traceback.print_exception(error, file=sys.stderr)
        code = 1
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):
            pass
    os._exit(code & 0xff)
