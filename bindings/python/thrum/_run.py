"""run(): a program in one call."""

from __future__ import annotations

import sys
from typing import Any, Callable, Literal, TypeVar

from ._core import Runtime, current_runtime, current_task

T = TypeVar("T")


def run(main: Callable[..., T], /, *args: Any, procs: int = 0,
        interpreters: int = 0, **kwargs: Any) -> T:
    """Runs main(*args, **kwargs) as a Task of a new Runtime, and stops it.

    What else still runs when main has ended is cancelled. Ctrl-C cancels main, and
    the second time interrupts it, and is raised here once it has ended.

    >>> thrum.run(pow, 2, 10)
    1024
    """
    if current_task() is not None:
        raise RuntimeError("run() inside a Task: use go()")
    with Runtime(procs=procs, interpreters=interpreters) as runtime:
        return runtime.run(main, *args, **kwargs)


def parallelism() -> Literal["native", "interpreters", "free-threaded"]:
    """What runs in parallel here.

    "native": code that gives the GIL up, and C functions. "interpreters": Python,
    too, by go_remote() in this Runtime. "free-threaded": all Python.

    >>> thrum.run(thrum.parallelism)
    'native'
    """
    enabled = getattr(sys, "_is_gil_enabled", lambda: True)
    if not enabled():
        return "free-threaded"
    try:
        return "interpreters" if current_runtime().interpreters else "native"
    except RuntimeError:  # there is none
        return "native"
