"""select: waits for the first of several channels."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Callable, TypeVar

from . import _core
from ._core import Channel, ClosedError, Timeout

T = TypeVar("T")


class select:
    """Waits at the end of the `with` until one arm can go on, and takes it.

    >>> pages, log = thrum.Channel(), thrum.Channel(cap=1)
    >>> with thrum.select() as s:
    ...     s.recv(pages, lambda page: print(len(page)))
    ...     s.send(log, "waiting", lambda: print("sent"))
    ...     s.after(1.0, lambda: print("slow"))
    sent

    Among several that are ready the choice is random. A closed channel is ready:
    its `closed` is called, and without one ClosedError is raised. What the called
    function returns is s.value, the number of the arm s.index.
    """

    def __init__(self) -> None:
        self.index: int | None = None
        self.value: Any = None
        self._arms: list[tuple[Any, ...]] = []
        self._calls: list[tuple[Callable[..., Any] | None,
                                Callable[[], Any] | None]] = []
        self._after: tuple[float, Callable[[], Any] | None] | None = None

    def recv(self, channel: Channel[T], then: Callable[[T], Any] | None = None,
             closed: Callable[[], Any] | None = None) -> None:
        """An arm that receives; the value goes to `then`, or is s.value."""
        self._arms.append((channel,))
        self._calls.append((then, closed))

    def send(self, channel: Channel[T], value: T,
             then: Callable[[], Any] | None = None,
             closed: Callable[[], Any] | None = None) -> None:
        """An arm that sends."""
        self._arms.append((channel, value))
        self._calls.append((then, closed))

    def after(self, seconds: float,
              then: Callable[[], Any] | None = None) -> None:
        """What happens if no arm is ready by then; 0: at once."""
        self._after = (seconds, then)

    def __enter__(self) -> select:
        return self

    def __exit__(self, kind: type[BaseException] | None,
                 error: BaseException | None,
                 trace: TracebackType | None) -> None:
        if kind is None:
            self._wait()

    def _wait(self) -> None:
        seconds, late = self._after or (None, None)
        began = _core.now()
        try:
            index, value, closed = _core.select_cases(self._arms, seconds)
        except Timeout:
            if seconds is None or _core.now() - began < seconds * 1e9:
                raise  # the Task's limit
            self.value = late() if late else None
            return
        self.index = index
        then, gone = self._calls[index]
        if closed:
            if gone is None:
                raise ClosedError("closed")
            self.value = gone()
        elif len(self._arms[index]) == 2:
            self.value = then() if then else None
        else:
            self.value = then(value) if then else value
