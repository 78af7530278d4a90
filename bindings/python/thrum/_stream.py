"""What the streams of thrum.net have in common: files, ends, options."""

from __future__ import annotations

import io
import os
import socket as _socket
from types import TracebackType
from typing import IO, Any, Union

from . import _core
from ._core import ClosedError

Buffer = Union[bytes, bytearray, memoryview]
CHUNK = 65536


class _Raw(io.RawIOBase):
    """What io's buffers stand on."""

    def __init__(self, stream: ByteStream, mode: str) -> None:
        self._stream = stream
        self._writes = "w" in mode
        self._reads = "r" in mode or not self._writes
        stream._files += 1

    def readable(self) -> bool:
        return self._reads

    def writable(self) -> bool:
        return self._writes

    def readinto(self, buffer: Any) -> int:
        return self._stream.recv_into(buffer)

    def write(self, data: Any) -> int:
        return self._stream.send(data)

    def fileno(self) -> int:
        return self._stream.fileno()

    def close(self) -> None:
        if not self.closed:
            super().close()
            self._stream._file_closed()


class ByteStream:
    """What a plain and a TLS stream have in common."""

    _files = 0
    _wanted_closed = False

    def recv(self, n: int, timeout: float | None = None) -> bytes:
        raise NotImplementedError

    def recv_into(self, buffer: Any, timeout: float | None = None) -> int:
        raise NotImplementedError

    def send(self, data: Buffer, timeout: float | None = None) -> int:
        raise NotImplementedError

    def sendall(self, data: Buffer, timeout: float | None = None) -> None:
        raise NotImplementedError

    def fileno(self) -> int:
        raise NotImplementedError

    @property
    def local(self) -> Any:
        """This end's address."""
        raise NotImplementedError

    @property
    def peer(self) -> Any:
        """The other end's address."""
        raise NotImplementedError

    def _close(self) -> None:
        raise NotImplementedError

    def getsockname(self) -> Any:
        """As of sockets: local."""
        return self.local

    def getpeername(self) -> Any:
        """As of sockets: peer."""
        return self.peer

    def _as_socket(self) -> _socket.socket:
        """Another descriptor of the same socket."""
        if self.fileno() < 0:
            raise ClosedError("closed")
        return _socket.socket(fileno=os.dup(self.fileno()))

    def setsockopt(self, level: int, option: int, value: int | bytes) -> None:
        """As of sockets."""
        with self._as_socket() as other:
            other.setsockopt(level, option, value)

    def getsockopt(self, level: int, option: int, size: int = 0) -> int | bytes:
        """As of sockets: bytes if a size is given, else an int."""
        with self._as_socket() as other:
            return other.getsockopt(level, option, size)

    def recv_exactly(self, n: int, timeout: float | None = None) -> bytes:
        """n bytes; EOFError if the stream ends before."""
        end = None if timeout is None else _core.now() + timeout * 1e9
        pieces = bytearray(n)
        room = memoryview(pieces)
        while room:
            left = None if end is None else max(end - _core.now(), 0) / 1e9
            got = self.recv_into(room, left)
            if not got:
                raise EOFError(f"{len(room)} of {n} bytes are missing")
            room = room[got:]
        return bytes(pieces)

    def recv_all(self) -> bytes:
        """Everything up to the end of the stream."""
        return b"".join(iter(lambda: self.recv(CHUNK), b""))

    def sendfile(self, file: IO[bytes], offset: int = 0,
                 count: int | None = None) -> int:
        """Sends a part of a file: bytes sent."""
        file.seek(offset)
        sent = 0
        while count is None or sent < count:
            data = file.read(CHUNK if count is None else min(CHUNK, count - sent))
            if not data:
                break
            self.sendall(data)
            sent += len(data)
        return sent

    def makefile(self, mode: str = "r", buffering: int | None = None,
                 **text: Any) -> IO[Any]:
        """A file, as of sockets. It belongs to one Task at a time.

        The stream itself closes when it and all its files are closed.
        """
        if not set(mode) <= set("rwb"):
            raise ValueError(f"invalid mode {mode!r} (only r, w, b allowed)")
        if buffering == 0 and "b" not in mode:
            raise ValueError("unbuffered streams must be binary")
        raw = _Raw(self, mode)
        if buffering == 0:
            return raw  # type: ignore[return-value]
        size = io.DEFAULT_BUFFER_SIZE if buffering in (None, -1) else buffering
        buffer: Any
        if raw.readable() and raw.writable():
            buffer = io.BufferedRWPair(raw, raw, size)
        elif raw.writable():
            buffer = io.BufferedWriter(raw, size)
        else:
            buffer = io.BufferedReader(raw, size)
        if "b" in mode:
            return buffer  # type: ignore[no-any-return]
        wrapper = io.TextIOWrapper(buffer, **text)
        setattr(wrapper, "mode", mode)
        return wrapper

    def close(self) -> None:
        """Ends it, once its files are closed; waits on it raise ClosedError."""
        self._wanted_closed = True
        if self._files <= 0:
            self._close()

    def _file_closed(self) -> None:
        self._files -= 1
        if self._wanted_closed:
            self.close()

    def __exit__(self, kind: type[BaseException] | None,
                 error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()
