"""threading for Tasks: locks that park, threads that are Tasks."""

from __future__ import annotations

import _thread
import functools
import os
import queue
import sys
import threading
import time
from typing import Any, Callable

from .. import _core
from .._core import Timeout, can_park, current_task, get_ident

_FOR_EVER = -1
_sleep = time.sleep
_start_new_thread_of_old = _thread.start_new_thread
_get_ident_of_old = _thread.get_ident
_excepthook_of_old = threading.excepthook


def _may_wait() -> bool:
    """By thrum's means: not in an offloaded Task, nor in a child that a Task has
    forked, whose number is the Task's for ever."""
    return can_park() or (current_task() is None and
                          get_ident() == _get_ident_of_old())


class Lock:
    """threading.Lock for Tasks and threads."""

    __slots__ = ("_sem", "_held", "__weakref__")

    def __init__(self) -> None:
        self._sem = _core.Semaphore(1)
        self._held = False

    def acquire(self, blocking: bool = True, timeout: float = _FOR_EVER) -> bool:
        if not blocking and timeout != _FOR_EVER:
            raise ValueError("can't specify a timeout for a non-blocking call")
        if timeout < 0 and timeout != _FOR_EVER:
            raise ValueError("timeout value must be a non-negative number")
        if timeout > threading.TIMEOUT_MAX:
            raise OverflowError("timeout value is too large")
        if not blocking:
            timeout = 0
        try:
            self._sem.acquire(0)
        except Timeout:
            if timeout == 0 or not self._wait(timeout):
                return False
        self._held = True
        return True

    def _wait(self, timeout: float) -> bool:
        end = time.monotonic() + timeout if timeout != _FOR_EVER else float("inf")
        if _may_wait():
            try:
                self._sem.acquire(None if timeout == _FOR_EVER else timeout)
                return True
            except Timeout:
                if time.monotonic() < end:
                    raise  # the Task's limit
                return False
        while True:
            try:
                self._sem.acquire(0)
                return True
            except Timeout:
                if time.monotonic() >= end:
                    return False
            _sleep(0.0005)

    def release(self) -> None:
        if not self._held:
            raise RuntimeError("release unlocked lock")
        self._held = False
        self._sem.release()

    def locked(self) -> bool:
        return self._held

    acquire_lock, release_lock, locked_lock = acquire, release, locked

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *error: object) -> None:
        self.release()

    def _at_fork_reinit(self) -> None:
        self.__init__()  # type: ignore[misc]

    def __repr__(self) -> str:
        state = "locked" if self._held else "unlocked"
        return (f"<{state} {type(self).__module__}.{type(self).__qualname__} "
                f"object at {hex(id(self))}>")


class RLock:
    """threading.RLock; its owner is a Task or a thread."""

    __slots__ = ("_lock", "_owner", "_count", "__weakref__")

    def __init__(self) -> None:
        self._lock = Lock()
        self._owner: int | None = None
        self._count = 0

    def acquire(self, blocking: bool = True, timeout: float = _FOR_EVER) -> bool:
        me = get_ident()
        if self._owner == me:
            self._count += 1
            return True
        got = self._lock.acquire(blocking, timeout)
        if got:
            self._owner, self._count = me, 1
        return got

    def release(self) -> None:
        if self._owner != get_ident():
            raise RuntimeError("cannot release un-acquired lock")
        self._count -= 1
        if not self._count:
            self._owner = None
            self._lock.release()

    def locked(self) -> bool:
        return self._count > 0

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *error: object) -> None:
        self.release()

    # What threading.Condition asks for.
    def _is_owned(self) -> bool:
        return self._owner == get_ident()

    def _release_save(self) -> tuple[int, int | None]:
        if not self._count:
            raise RuntimeError("cannot release un-acquired lock")
        saved = self._count, self._owner
        self._count, self._owner = 0, None
        self._lock.release()
        return saved

    def _acquire_restore(self, saved: tuple[int, int | None]) -> None:
        self._lock.acquire()
        self._count, self._owner = saved

    def _recursion_count(self) -> int:
        return self._count if self._owner == get_ident() else 0

    def _at_fork_reinit(self) -> None:
        self.__init__()  # type: ignore[misc]

    def __repr__(self) -> str:
        state = "locked" if self._count else "unlocked"
        return (f"<{state} {type(self).__module__}.{type(self).__qualname__} "
                f"object owner={self._owner or 0} count={self._count} "
                f"at {hex(id(self))}>")


class Handle:
    """What threading.Thread joins since 3.13."""

    def __init__(self) -> None:
        self.ident = 0
        self._ended = threading.Event()
        self._begun = False

    def is_done(self) -> bool:
        return self._ended.is_set()

    def join(self, timeout: float | None = None) -> None:
        if not self._begun and not self.is_done():
            raise RuntimeError("thread not started")
        if self.ident == get_ident() and not self.is_done():
            raise RuntimeError("Cannot join current thread")
        if timeout is not None and timeout < 0:
            timeout = None
        self._ended.wait(timeout)

    def _set_done(self) -> None:
        self._ended.set()


class _Forget:
    """Dies with its Task, whose ident the next one may have."""

    def __init__(self, thread: Any) -> None:
        self._thread, self._ident = thread, get_ident()

    def __del__(self) -> None:
        threads: dict[Any, Any] = getattr(threading, "_active")
        if threads.get(self._ident) is self._thread:
            threads.pop(self._ident)


_of_task = threading.local()


class TaskThread(getattr(threading, "_DummyThread")):  # type: ignore[misc]
    """threading.current_thread() in a Task that is no Thread of the program's."""

    def __init__(self) -> None:
        super().__init__()
        task = current_task()
        if task is not None:
            self.name = task.name
            self._daemonic = False
            _of_task.end = _Forget(self)


_sentinels: dict[int, Lock] = {}


def _set_sentinel() -> Lock:
    """The lock that Thread.join waits for until 3.12: free once the Task ends."""
    lock = _sentinels[get_ident()] = Lock()
    return lock


def _real_start(fn: Callable[..., Any], args: tuple[Any, ...],
                kwargs: dict[str, Any]) -> int:
    def begin() -> None:
        try:
            fn(*args, **kwargs)
        finally:
            _release_sentinel()
    return _start_new_thread_of_old(begin, ())


def _release_sentinel() -> None:
    lock = _sentinels.pop(get_ident(), None)
    if lock is not None and lock.locked():
        lock.release()


def _in_runtime() -> bool:
    try:
        _core.current_runtime()
        return True
    except RuntimeError:
        return False


def start_new_thread(fn: Callable[..., Any], args: tuple[Any, ...],
                     kwargs: dict[str, Any] = {}) -> int:
    """A Task where there is a runtime, else a thread."""
    if not _in_runtime():
        return _real_start(fn, args, kwargs)
    idents: list[int] = []
    begun = Lock()
    begun.acquire()

    def body() -> None:
        idents.append(get_ident())
        begun.release()
        try:
            fn(*args, **kwargs)
        except SystemExit:
            pass  # as in threads
        finally:
            _release_sentinel()
    task = _core.go(body)
    task.name = getattr(fn, "__qualname__", repr(fn))
    begun.acquire()
    return idents[0]


def start_joinable_thread(fn: Callable[[], Any], handle: Handle | None = None,
                          daemon: bool = True) -> Handle:
    """The same since 3.13."""
    if handle is None:
        handle = Handle()
    if handle._begun:
        raise RuntimeError("thread already started")
    handle._begun = True

    def body() -> None:
        handle.ident = get_ident()  # before it can fork
        try:
            fn()
        finally:
            handle._set_done()
    try:
        handle.ident = start_new_thread(body, ())
    except BaseException:
        handle._begun = False
        raise
    return handle


def _main_after_fork() -> None:
    """The Task that forked is the child's main thread, and alive."""
    main: Any = threading.main_thread()
    if sys.version_info >= (3, 13):
        main._handle = getattr(threading, "_make_thread_handle")(get_ident())
    elif main._tstate_lock is None:
        main._set_tstate_lock()  # which its end lets go


def excepthook(args: Any) -> None:
    """threading.excepthook; a cancelled Task is no error."""
    if not issubclass(args.exc_type, _core.Cancelled):
        _excepthook_of_old(args)


def patch() -> None:
    for name in ("Lock", "_allocate_lock"):
        setattr(threading, name, Lock)
    for name in ("RLock", "_CRLock", "_PyRLock"):
        setattr(threading, name, RLock)
    for module in (threading, _thread):
        setattr(module, "get_ident", get_ident)
    setattr(threading, "_DummyThread", TaskThread)
    setattr(_thread, "allocate_lock", Lock)
    setattr(_thread, "allocate", Lock)
    for module in (_thread, functools):  # until 3.12 cached_property takes it there
        setattr(module, "RLock", RLock)
    setattr(_thread, "start_new_thread", start_new_thread)
    setattr(threading, "_start_new_thread", start_new_thread)
    if sys.version_info >= (3, 13):
        setattr(threading, "_start_joinable_thread", start_joinable_thread)
        setattr(threading, "_ThreadHandle", Handle)
        # threading wants a Thread in the child whose number is the caller's.
        os.register_at_fork(before=threading.current_thread)
    else:
        setattr(threading, "_set_sentinel", _set_sentinel)
    os.register_at_fork(after_in_child=_main_after_fork)
    setattr(threading, "excepthook", excepthook)
    setattr(queue, "SimpleQueue", getattr(queue, "_PySimpleQueue"))
