"""run(): a program in one call."""

from __future__ import annotations

import sys
from typing import Any, Callable, Literal, TypeVar

from ._core import Runtime

T = TypeVar("T")


def run(main: Callable[..., T], /, *args: Any, procs: int = 0, **kwargs: Any) -> T:
    """Runs main(*args, **kwargs) as a Task of a new Runtime, and stops it.

    What else still runs when main has ended is cancelled. Ctrl-C cancels main
    and is raised here once it has ended.
    """
    with Runtime(procs=procs) as runtime:
        return runtime.run(main, *args, **kwargs)


def parallelism() -> Literal["native", "interpreters", "free-threaded"]:
    """What runs in parallel here.

    "native": code that gives the GIL up, and native green threads. "free-threaded":
    Python too.
    """
    enabled = getattr(sys, "_is_gil_enabled", lambda: True)
    return "native" if enabled() else "free-threaded"
