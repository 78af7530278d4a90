"""select and selectors for Tasks."""

from __future__ import annotations

import select
import selectors
import time
from typing import Any, Callable, Iterable

from .. import _core
from .._core import Timeout, can_park

READ, WRITE = 1, 2

_poll, _epoll = select.poll, select.epoll
_select: Callable[..., Any] = select.select


def end_of(timeout: float | None) -> float | None:
    return None if timeout is None else time.monotonic() + timeout


def left_of(end: float | None) -> float | None:
    return None if end is None else max(end - time.monotonic(), 0.0)


def wait_fd(fd: int, events: int, timeout: float | None) -> bool:
    """False: the time has passed."""
    if can_park():
        end = end_of(timeout)
        try:
            _core.poll_fd(fd, events, timeout)
            return True
        except Timeout:
            if left_of(end) != 0:
                raise  # the Task's limit
            return False
    poller = _poll()
    poller.register(fd, (select.POLLIN if events & READ else 0) |
                    (select.POLLOUT if events & WRITE else 0))
    return bool(poller.poll(None if timeout is None else timeout * 1000))


class Epoll:
    """select.epoll, whose poll parks the Task."""

    def __init__(self, sizehint: int = -1, flags: int = 0) -> None:
        self._epoll = _epoll(sizehint, flags)

    @classmethod
    def fromfd(cls, fd: int, /) -> Epoll:
        made = cls.__new__(cls)
        made._epoll = _epoll.fromfd(fd)
        return made

    def __getattr__(self, name: str) -> Any:
        return getattr(self._epoll, name)

    def __enter__(self) -> Epoll:
        return self

    def __exit__(self, *error: object) -> None:
        self._epoll.close()

    def poll(self, timeout: float | None = None,
             maxevents: int = -1) -> list[tuple[int, int]]:
        found = self._epoll.poll(0, maxevents)
        if found or timeout == 0:
            return found
        if not can_park():
            return self._epoll.poll(timeout, maxevents)
        seconds = None if timeout is None or timeout < 0 else timeout
        wait_fd(self._epoll.fileno(), READ, seconds)
        return self._epoll.poll(0, maxevents)


class Poll:
    """select.poll, whose poll parks the Task."""

    def __init__(self) -> None:
        self._poll = _poll()
        self._fds: dict[int, int] = {}

    def register(self, fd: Any, eventmask: int = select.POLLIN | select.POLLPRI |
                 select.POLLOUT) -> None:
        self._poll.register(fd, eventmask)
        self._fds[_fileno(fd)] = eventmask

    def modify(self, fd: Any, eventmask: int) -> None:
        self._poll.modify(fd, eventmask)
        self._fds[_fileno(fd)] = eventmask

    def unregister(self, fd: Any) -> None:
        self._poll.unregister(fd)
        self._fds.pop(_fileno(fd), None)

    def poll(self, timeout: float | None = None) -> list[tuple[int, int]]:
        """timeout in ms."""
        found = self._poll.poll(0)
        if found or timeout == 0:
            return found
        if not can_park():
            return self._poll.poll(timeout)
        seconds = None if timeout is None or timeout < 0 else timeout / 1000
        _wait_any(self._fds, seconds)
        return self._poll.poll(0)


def _fileno(fd: Any) -> int:
    number: int = fd if isinstance(fd, int) else fd.fileno()
    return number


def _wait_any(fds: dict[int, int], timeout: float | None) -> None:
    """Until one of them is ready; events as of poll. All behind one descriptor."""
    with _epoll() as all_of_them:
        for fd, events in fds.items():
            try:
                all_of_them.register(fd, events)
            except PermissionError:
                return  # a file is always ready
        wait_fd(all_of_them.fileno(), READ, timeout)


def select_select(rlist: Iterable[Any], wlist: Iterable[Any],
                  xlist: Iterable[Any], timeout: float | None = None,
                  /) -> Any:
    """select.select, which parks the Task."""
    if timeout == 0 or not can_park():
        return _select(rlist, wlist, xlist, timeout)
    lists = [list(rlist), list(wlist), list(xlist)]
    found = _select(*lists, 0)
    if any(found) or (timeout is not None and timeout < 0):
        return found if any(found) else _select(*lists, timeout)
    fds: dict[int, int] = {}
    kinds = (select.POLLIN, select.POLLOUT, select.POLLPRI)
    for kind, asked in zip(kinds, lists):
        for fd in asked:
            fds[_fileno(fd)] = fds.get(_fileno(fd), 0) | kind
    if fds:
        _wait_any(fds, timeout)
    else:
        _core.sleep(float("inf") if timeout is None else timeout)
    return _select(*lists, 0)


def patch_select() -> None:
    setattr(select, "select", select_select)
    setattr(select, "poll", Poll)
    setattr(select, "epoll", Epoll)
    setattr(selectors.SelectSelector, "_select", staticmethod(select_select))
    setattr(selectors.PollSelector, "_selector_cls", Poll)
    setattr(selectors.EpollSelector, "_selector_cls", Epoll)
