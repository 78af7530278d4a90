"""What is made of the locks of _core."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Any, Callable, Iterator

from . import _core
from ._core import Mutex


class RWLock:
    """Many readers or one writer. A waiting writer stops new readers.

    >>> lock = thrum.RWLock()
    >>> with lock.read(), lock.read():
    ...     print("two readers")
    two readers
    >>> with lock.write(timeout=1.0):
    ...     print("one writer")
    one writer
    """

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        self._lock = _core.RWLock()

    @contextmanager
    def read(self, timeout: float | None = None) -> Iterator[None]:
        """Together with other readers; never twice in one Task."""
        self._lock.lock_read(timeout)
        try:
            yield
        finally:
            self._lock.unlock_read()

    @contextmanager
    def write(self, timeout: float | None = None) -> Iterator[None]:
        """Alone."""
        self._lock.lock_write(timeout)
        try:
            yield
        finally:
            self._lock.unlock_write()


class Once:
    """Runs a function once, whoever comes first; the others wait for it.

    If it raises, the error is the caller's and the next one tries again.

    >>> once = thrum.Once()
    >>> [once.do(lambda: print("made") or 5) for _ in range(2)]
    made
    [5, 5]
    """

    __slots__ = ("_lock", "_done", "_value")

    def __init__(self) -> None:
        self._lock = Mutex()
        self._done = False
        self._value: Any = None

    def do(self, fn: Callable[[], Any]) -> Any:
        """What fn returned, now or then."""
        if not self._done:
            with self._lock:
                if not self._done:
                    self._value = fn()
                    self._done = True
        return self._value
