"""Tasks in asyncio programs, and coroutines in Tasks."""

from __future__ import annotations

import asyncio
import os
import threading
from typing import Any, Coroutine, TypeVar

from . import _core
from ._core import Channel, Task
from ._scope import shield

T = TypeVar("T")


async def to_async(task: Task[T]) -> T:
    """Waits for a Task in asyncio: its result, or raises what it raised.

    A cancel of the coroutine cancels the Task.

    >>> async def main(rt):
    ...     return await thrum.to_async(rt.go(pow, 2, 10))
    >>> with thrum.Runtime() as rt:
    ...     asyncio.run(main(rt))
    1024
    """
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()

    def tell() -> None:
        if not ended.done():
            ended.set_result(None)

    def watch() -> None:
        with shield():
            task.exception()
        try:
            loop.call_soon_threadsafe(tell)
        except RuntimeError:
            pass  # the loop is closed: nobody waits there

    if not task.done():
        task.runtime.go(watch)
        try:
            await ended
        except asyncio.CancelledError:
            task.cancel()
            raise
    return task.result()


class _Loop:
    """An event loop in a thread of its own, made when first needed."""

    def __init__(self) -> None:
        self._lock = _core.Mutex()
        self._loop: asyncio.AbstractEventLoop | None = None

    def get(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=self._loop.run_forever, daemon=True,
                                 name="thrum-asyncio").start()
            return self._loop


_shared = _Loop()


def _forked() -> None:
    global _shared
    _shared = _Loop()


os.register_at_fork(after_in_child=_forked)


def block_on(coroutine: Coroutine[Any, Any, T],
             loop: asyncio.AbstractEventLoop | None = None) -> T:
    """Runs a coroutine of asyncio to its end; the Task waits for it.

    On a loop of thrum's in a thread of its own, which all calls share, or on one
    that runs in another thread. A cancel or a timeout of the Task cancels it.

    >>> async def add(a, b):
    ...     await asyncio.sleep(0.001)
    ...     return a + b
    >>> thrum.run(lambda: thrum.block_on(add(1, 2)))
    3
    """
    if loop is None:
        loop = _shared.get()
    if asyncio._get_running_loop() is loop:
        coroutine.close()
        raise RuntimeError("block_on() in the loop's own thread: use await")
    ended: Channel[None] = Channel(1)
    future = asyncio.run_coroutine_threadsafe(coroutine, loop)
    future.add_done_callback(lambda _: ended.try_send(None))
    try:
        ended.recv()
    except BaseException:
        future.cancel()
        raise
    return future.result()
