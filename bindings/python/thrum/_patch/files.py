"""Pipes, terminals and other descriptors that may wait, for Tasks: the calls of os,
and the files that are made of a descriptor, as those of subprocess are."""

from __future__ import annotations

import builtins
import io
import os
import select
import stat
from typing import Any, Callable, Iterable

from .._core import can_park
from .descriptors import READ, WRITE, wait_fd

# Of a pipe that is ready to be written, so much is written without a wait.
PIECE = select.PIPE_BUF

_poll = select.poll
_read, _readv, _write = os.read, os.readv, os.write
_open: Callable[..., Any] = io.open


def _until(fd: int, events: int) -> None:
    """Parks until a call would not wait; one that never waits is left alone."""
    poller = _poll()
    poller.register(fd, select.POLLIN if events & READ else select.POLLOUT)
    if not poller.poll(0) and os.get_blocking(fd):
        wait_fd(fd, events, None)


def read(fd: int, length: int, /) -> bytes:
    """os.read, which parks the Task."""
    if can_park():
        _until(fd, READ)
    return _read(fd, length)


def readv(fd: int, buffers: Any, /) -> int:
    """os.readv, which parks the Task."""
    if can_park():
        _until(fd, READ)
    return _readv(fd, buffers)


def _may_wait(fd: int) -> bool:
    mode = os.fstat(fd).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or stat.S_ISCHR(mode)


def write(fd: int, data: Any, /) -> int:
    """os.write, which parks the Task."""
    if not can_park() or not _may_wait(fd) or not os.get_blocking(fd):
        return _write(fd, data)
    with memoryview(data) as view, view.cast("B") as left:
        at = 0
        while True:
            try:
                _until(fd, WRITE)
                at += _write(fd, left[at:at + PIECE])
            except OSError:
                if not at:
                    raise
                return at  # the next call meets it again
            if at == len(left):
                return at


def writev(fd: int, buffers: Iterable[Any], /) -> int:
    """os.writev, which parks the Task."""
    return write(fd, b"".join(buffers))


class Pipe(io.FileIO):
    """io.FileIO of a descriptor that may wait: it parks the Task."""

    def _until_read(self) -> None:
        if can_park() and self.readable():
            _until(self.fileno(), READ)

    def readinto(self, buffer: Any, /) -> Any:
        self._until_read()
        return super().readinto(buffer)

    def read(self, size: int | None = -1, /) -> Any:
        if size is None or size < 0:
            return self.readall()
        self._until_read()
        return super().read(size)

    def readall(self) -> Any:
        pieces = []
        while piece := self.read(65536):
            pieces.append(piece)
        return b"".join(pieces) if pieces else piece

    def write(self, data: Any, /) -> Any:
        if not self.writable():
            return super().write(data)  # raises
        try:
            return write(self.fileno(), data)
        except BlockingIOError:
            return None


def open(file: Any, mode: str = "r", buffering: int = -1,
         encoding: str | None = None, errors: str | None = None,
         newline: str | None = None, closefd: bool = True,
         opener: Any = None) -> Any:
    """io.open; a descriptor of a pipe makes a file that parks the Task."""
    if not isinstance(file, int) or "+" in mode or not _may_wait(file):
        return _open(file, mode, buffering, encoding, errors, newline, closefd,
                     opener)
    # Made by the original, which checks the arguments and chooses the size.
    like = _open(file, mode, buffering, encoding, errors, newline, False)
    raw: Any = Pipe(file, mode.replace("b", "").replace("t", ""), closefd)
    if isinstance(like, io.FileIO):
        return raw
    size = io.DEFAULT_BUFFER_SIZE if buffering in (-1, 0, 1) else buffering
    buffered = (io.BufferedReader(raw, size) if raw.readable()
                else io.BufferedWriter(raw, size))
    if not isinstance(like, io.TextIOWrapper):
        return buffered
    text = io.TextIOWrapper(buffered, encoding, errors, newline,
                            like.line_buffering)
    setattr(text, "mode", mode)
    return text


def patch() -> None:
    for name, call in (("read", read), ("readv", readv), ("write", write),
                       ("writev", writev)):
        setattr(os, name, call)
    for module in (io, builtins):
        setattr(module, "open", open)
