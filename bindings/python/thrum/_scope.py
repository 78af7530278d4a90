"""Structured concurrency, time limits, shields."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from types import TracebackType
from typing import Any, Callable, Iterator, TypeVar

from . import _core
from ._core import Cancelled, Runtime, Task

T = TypeVar("T")
_NS = 1e9


@contextmanager
def timeout(seconds: float) -> Iterator[None]:
    """No wait of this Task lasts beyond it: it raises Timeout. Nests.

    >>> def main():
    ...     with thrum.timeout(0.001):
    ...         thrum.Channel().recv()
    >>> thrum.run(main)
    Traceback (most recent call last):
    thrum.Timeout: deadline passed
    """
    end = int(min(_core.now() + max(seconds * _NS, 0), _core.FOREVER))
    before = _core.limit(end)
    _core.limit(min(end, before))
    try:
        yield
    finally:
        _core.limit(before)


@contextmanager
def shield() -> Iterator[None]:
    """No cancel and no timeout ends a wait inside; they stay pending.

    >>> def main():
    ...     with thrum.shield():
    ...         thrum.sleep(0.001)
    >>> thrum.run(main)
    """
    _core.shield(1)
    try:
        yield
    finally:
        _core.shield(-1)


class Scope:
    """A `with` that no Task of it outlives.

    Its end waits for all. The first error, be it of a Task or of the body, cancels
    the rest, and is raised when all have ended. Made by scope().

    >>> def main():
    ...     with thrum.scope() as s:
    ...         tasks = [s.go(pow, 2, n) for n in range(3)]
    ...     return isinstance(s, thrum.Scope), [t.result() for t in tasks]
    >>> thrum.run(main)
    (True, [1, 2, 4])
    """

    def __init__(self, seconds: float | None = None) -> None:
        self._seconds = seconds
        self._live: set[Task[Any]] = set()
        self._owner: Task[Any] | None = None
        self._runtime: Runtime | None = None
        self._error: BaseException | None = None
        self._limit: Any = None
        self._in_body = False
        self._told = False  # the owner, of an error
        self._ended = False

    def go(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Task[T]:
        """Spawns fn(*args, **kwargs) in this scope. Its Tasks may, too."""
        if self._ended or self._runtime is None:
            raise RuntimeError("this scope is not open")
        task = self._runtime.go(self._watch, fn, args, kwargs)
        task.name = getattr(fn, "__qualname__", repr(fn))
        self._live.add(task)
        if self._error is not None:
            task.cancel()
        return task

    def cancel(self) -> None:
        """Cancels all that run in it."""
        for task in list(self._live):
            task.cancel()

    def _watch(self, fn: Callable[..., T], args: Any, kwargs: Any) -> T:
        try:
            result = fn(*args, **kwargs)
        except BaseException as error:
            self._fail(error)
            raise  # and the end of the scope looks at it
        me = _core.current_task()
        if me is not None:
            self._live.discard(me)
        return result

    def _fail(self, error: BaseException) -> None:
        if self._error is None and not isinstance(error, Cancelled):
            self._error = error
            self.cancel()
            if self._owner is not None and self._in_body:
                self._told = True
                self._owner.cancel()  # out of its body, to the end of the with

    def __enter__(self) -> Scope:
        self._runtime = _core.current_runtime()
        self._owner = _core.current_task()
        if self._seconds is not None:
            self._limit = timeout(self._seconds)
            self._limit.__enter__()
        self._in_body = True
        return self

    def __exit__(self, kind: type[BaseException] | None,
                 error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._in_body = False
        raised = error
        told = self._told and kind is not Cancelled
        cancelled = False  # by somebody else
        if error is not None:
            self.cancel()
        while self._live:
            task = next(iter(self._live))
            try:
                task.exception()
                self._live.discard(task)
            except BaseException as stop:  # a cancel, a timeout, Ctrl-C
                raised = raised or stop
                if isinstance(stop, Cancelled):
                    told, cancelled = False, not told
                self.cancel()
                self._drain()
        self._ended = True
        if self._limit is not None:
            self._limit.__exit__(None, None, None)
        if self._error is not None:
            if told:
                _core.cancel_clear()  # nothing took it
            if cancelled and self._owner is not None:
                self._owner.cancel()  # it is not over with the error
            if self._error is not error:
                raise self._error
        elif raised is not None and raised is not error:
            raise raised

    def _drain(self) -> None:
        """Waits, come what may, for Tasks that have been cancelled."""
        with nullcontext() if self._owner is None else shield():
            while self._live:
                task = next(iter(self._live))
                task.exception()
                self._live.discard(task)


def scope(timeout: float | None = None) -> Scope:
    """A Scope, whose waits may be limited in time.

    >>> def main():
    ...     with thrum.scope(timeout=0.001) as s:
    ...         s.go(thrum.sleep, 60)
    >>> thrum.run(main)
    Traceback (most recent call last):
    thrum.Timeout: deadline passed
    """
    return Scope(timeout)
