"""Green threads that look blocking, never freeze each other, and leave the cores
to native code.

    import thrum

    def fetch(n: int, out: thrum.Channel[int]) -> None:
        thrum.sleep(0.01)
        out.send(n * n)

    def main() -> int:
        out: thrum.Channel[int] = thrum.Channel(cap=4)
        with thrum.scope() as s:
            for n in range(4):
                s.go(fetch, n, out)
        out.close()
        return sum(out)

    print(thrum.run(main))  # 14

A Task is a green thread: a Python call with a stack of its own. On CPython with a
GIL one of them runs Python at a time, whatever the number of cores; what gives
the GIL up or is offloaded runs beside it (parallelism() says what there is).

Do not wait while you hold a lock of `threading`: the next Task on the same OS
thread may want it. thrum has locks of its own.
"""

from __future__ import annotations

import atexit as _atexit
import importlib as _importlib
import os as _os
import threading as _threading
from typing import TYPE_CHECKING, Any as _Any

from . import _core
from ._core import (
    Cancelled, Channel, ClosedError, Cond, DeadlockError, Error, Mutex, Runtime,
    Semaphore, Task, Timeout, WaitGroup, build_info, current_runtime,
    current_task, go, offload, sleep, version, yield_,
)
from ._scope import Scope, scope, shield, timeout
from ._select import select
from ._stacks import dump, excepthook
from ._sync import Once, RWLock
from ._run import parallelism, run

if TYPE_CHECKING:
    from . import net
    from ._asyncio import block_on, to_async
    from ._debug import debug_locks
    from ._interpreters import Port, go_remote
    from ._native import go_native
    from ._patch import patch

__version__ = version
__all__ = [
    "Cancelled", "Channel", "ClosedError", "Cond", "DeadlockError", "Error",
    "Mutex", "Once", "Port", "RWLock", "Runtime", "Scope", "Semaphore", "Task",
    "Timeout", "WaitGroup", "block_on", "build_info", "current_runtime",
    "current_task", "debug_locks", "dump", "excepthook", "go", "go_native", "go_remote",
    "net", "offload", "parallelism", "patch", "run", "scope", "select", "shield", "sleep",
    "timeout", "to_async", "version", "yield_",
]

# What takes long to import comes when it is first used.
_LATER = {"block_on": "_asyncio", "to_async": "_asyncio",
          "go_native": "_native", "go_remote": "_interpreters",
          "Port": "_interpreters", "debug_locks": "_debug", "net": "net",
          "patch": "_patch"}


def __getattr__(name: str) -> _Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = _importlib.import_module(f"{__name__}.{_LATER[name]}")
    value = module if name == _LATER[name] else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER} - {"TYPE_CHECKING", "annotations"})


# Runtimes stop before the interpreter waits for its threads and takes itself
# apart; atexit alone comes too late for that, but is public.
try:
    _threading._register_atexit(_core.shutdown)  # type: ignore[attr-defined]
except (AttributeError, RuntimeError):
    _atexit.register(_core.shutdown)
if _os.environ.get("THRUM_DEBUG") == "locks":
    __getattr__("debug_locks")()
_os.register_at_fork(after_in_child=_core.forked)
