"""debug_locks(): who waits while it holds a lock of threading?"""

from __future__ import annotations

import _thread
import threading
from typing import Any

from . import _core


class _Watched:
    """A lock of threading that tells its Task that it is held."""

    def __init__(self, lock: Any) -> None:
        self._lock = lock
        self._tasks: list[Any] = []

    def acquire(self, *args: Any, **kwargs: Any) -> bool:
        got: bool = self._lock.acquire(*args, **kwargs)
        if got:
            self._remember()
        return got

    def release(self) -> None:
        self._lock.release()
        self._forget()

    def _remember(self) -> None:
        task = _core.current_task()
        self._tasks.append(task)
        if task is not None:
            _core.hold(task, 1)

    def _forget(self) -> None:
        task = self._tasks.pop() if self._tasks else None
        if task is not None:
            _core.hold(task, -1)

    def __del__(self) -> None:
        while self._tasks:  # it is held by nobody, as the one that a Condition waits for
            self._forget()

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *error: object) -> None:
        self.release()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._lock, name)


class _WatchedRLock(_Watched):
    def _release_save(self) -> Any:
        count = len(self._tasks)
        for _ in range(count):
            self._forget()
        return self._lock._release_save(), count

    def _acquire_restore(self, saved: Any) -> None:
        self._lock._acquire_restore(saved[0])
        for _ in range(saved[1]):
            self._remember()


_lock, _rlock = threading.Lock, threading.RLock


def debug_locks() -> None:
    """From now on a Task that waits by thrum's means while it holds a lock of
    threading that was made after this call gets a RuntimeWarning, which names it.

    The next Task on the same thread may want that lock, and then no one goes on.
    $THRUM_DEBUG=locks calls this when thrum is imported. Not together with patch().

    >>> thrum.debug_locks()
    >>> def careless():
    ...     with threading.Lock():
    ...         thrum.sleep(0.001)
    >>> warnings.simplefilter("error")
    >>> thrum.run(careless)
    Traceback (most recent call last):
    RuntimeWarning: Task careless waits while it holds 1 lock(s) of threading
    """
    def lock() -> Any:
        return _Watched(_lock())

    def rlock() -> Any:
        return _WatchedRLock(_rlock())
    for module, name in ((threading, "Lock"), (threading, "_allocate_lock"),
                         (_thread, "allocate_lock")):
        setattr(module, name, lock)
    setattr(threading, "RLock", rlock)
