"""socket and ssl for Tasks."""

from __future__ import annotations

import errno
import os
import socket
import ssl
from operator import index
from typing import Any, Callable

from .. import _core
from .descriptors import READ, WRITE, end_of, left_of, wait_fd

_socket = socket.socket
_getaddrinfo = socket.getaddrinfo


class _Parks:
    """Of sockets: the descriptor never blocks, the timeout is kept here."""

    _thrum_timeout: float | None = None

    def _begin(self, timeout: float | None) -> None:
        _socket.settimeout(self, 0.0)  # type: ignore[arg-type]
        self._thrum_timeout = timeout

    def settimeout(self, value: float | None) -> None:
        if value is not None:
            value = value if isinstance(value, float) else float(index(value))
            if not value >= 0:
                raise ValueError("Timeout value out of range")
        self._thrum_timeout = value

    def gettimeout(self) -> float | None:
        return self._thrum_timeout

    def setblocking(self, flag: bool) -> None:
        self._thrum_timeout = None if flag else 0.0

    def getblocking(self) -> bool:
        return self._thrum_timeout != 0.0

    timeout = property(gettimeout)

    def _accept(self) -> Any:
        return self._until(super()._accept, READ, 0)  # type: ignore[misc]

    def _limit(self, flags: int) -> float | None:
        """The timeout; with one MSG_DONTWAIT means nothing, as in the module."""
        limit = self._thrum_timeout
        return 0.0 if limit is None and flags & socket.MSG_DONTWAIT else limit

    def _until(self, call: Callable[..., Any], events: int, flags: int,
               *args: Any) -> Any:
        """The call, again and again, until it need not wait."""
        limit = self._limit(flags)
        end = end_of(limit)
        while True:
            try:
                return call(*args)
            except BlockingIOError:
                if limit == 0.0:
                    raise
            except ssl.SSLWantReadError:
                if limit == 0.0:
                    raise
                events = READ
            except ssl.SSLWantWriteError:
                if limit == 0.0:
                    raise
                events = WRITE
            fd = self.fileno()  # type: ignore[attr-defined]
            if not wait_fd(fd, events, left_of(end)):
                raise TimeoutError("timed out")


def _flags_of(args: tuple[Any, ...]) -> int:
    """Of recvmsg, recvmsg_into and sendmsg."""
    return args[2] if len(args) > 2 else 0


class Socket(_Parks, socket.socket):
    """socket.socket, which parks the Task."""

    def __init__(self, family: int = -1, type: int = -1, proto: int = -1,
                 fileno: int | None = None) -> None:
        super().__init__(family, type, proto, fileno)
        nonblocking = type != -1 and type & socket.SOCK_NONBLOCK
        self._begin(0.0 if nonblocking else socket.getdefaulttimeout())

    def connect(self, address: Any) -> None:
        error = self._connect(address)
        if error:
            raise OSError(error, os.strerror(error))

    def connect_ex(self, address: Any) -> int:
        return self._connect(address)

    def _connect(self, address: Any) -> int:
        error = super().connect_ex(address)
        if error in (errno.EINPROGRESS, errno.EAGAIN):
            if self._thrum_timeout == 0.0:
                return error
            if not wait_fd(self.fileno(), WRITE, self._thrum_timeout):
                raise TimeoutError("timed out")
            error = self.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        return error

    def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
        if self._whole(flags):
            return self._recv_whole(bufsize, flags)
        got: bytes = self._until(super().recv, READ, flags, bufsize, flags)
        return got

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        if self._whole(flags):
            return self._recv_whole_into(buffer, nbytes, flags)
        got: int = self._until(super().recv_into, READ, flags, buffer, nbytes, flags)
        return got

    def recvfrom(self, bufsize: int, flags: int = 0, /) -> Any:
        if self._whole(flags):
            return self._recv_whole(bufsize, flags), None
        return self._until(super().recvfrom, READ, flags, bufsize, flags)

    def recvfrom_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> Any:
        if self._whole(flags):
            return self._recv_whole_into(buffer, nbytes, flags), None
        return self._until(super().recvfrom_into, READ, flags, buffer, nbytes, flags)

    def recvmsg(self, *args: Any) -> Any:
        return self._until(super().recvmsg, READ, _flags_of(args), *args)

    def recvmsg_into(self, *args: Any) -> Any:
        return self._until(super().recvmsg_into, READ, _flags_of(args), *args)

    def _whole(self, flags: int) -> bool:
        """MSG_WAITALL, which says nothing to a descriptor that never blocks."""
        return (flags & (socket.MSG_WAITALL | socket.MSG_PEEK) == socket.MSG_WAITALL
                and self._limit(flags) is None
                and self.type == socket.SOCK_STREAM)

    def _recv_whole(self, bufsize: int, flags: int) -> bytes:
        if bufsize < 0:
            raise ValueError("negative buffersize in recv")
        pieces = bytearray(bufsize)
        return bytes(pieces[:self._recv_whole_into(pieces, 0, flags)])

    def _recv_whole_into(self, buffer: Any, nbytes: int, flags: int) -> int:
        with memoryview(buffer) as view, view.cast("B") as room:
            if not 0 <= nbytes <= len(room):
                raise ValueError("buffer too small for requested bytes")
            at, size = 0, nbytes or len(room)
            while at < size:
                try:
                    got = self._until(super().recv_into, READ, flags,
                                      room[at:size], 0, flags)
                except OSError:
                    if at:
                        break
                    raise
                if not got:
                    break
                at += got
            return at

    def send(self, data: Any, flags: int = 0, /) -> int:
        sent: int = self._until(super().send, WRITE, flags, data, flags)
        return sent

    def sendto(self, data: Any, *to: Any) -> int:
        flags = to[0] if len(to) == 2 else 0
        sent: int = self._until(super().sendto, WRITE, flags, data, *to)
        return sent

    def sendmsg(self, *args: Any) -> Any:
        return self._until(super().sendmsg, WRITE, _flags_of(args), *args)

    def sendall(self, data: Any, flags: int = 0, /) -> None:
        send, limit = super().send, self._limit(flags)
        end = end_of(limit)
        with memoryview(data) as view, view.cast("B") as left:
            at = 0
            while at < len(left):
                try:
                    at += send(left[at:], flags)
                except BlockingIOError:
                    if limit == 0.0:
                        raise
                    if not wait_fd(self.fileno(), WRITE, left_of(end)):
                        raise TimeoutError("timed out") from None

    def dup(self) -> Any:
        made = super().dup()
        made.settimeout(self.gettimeout())
        return made


class SSLSocket(ssl.SSLSocket, Socket):
    """ssl.SSLSocket, which parks the Task: its own calls here, those that it
    makes of socket.socket by Socket, which comes next."""

    def do_handshake(self, block: bool = False) -> None:
        self._check_connected()  # type: ignore[attr-defined]
        self._until(
            self._sslobj.do_handshake, READ, 0)  # type: ignore[attr-defined]

    def read(self, len: int = 1024, buffer: Any = None) -> Any:
        return self._until(super().read, READ, 0, len, buffer)

    def write(self, data: Any) -> int:
        sent: int = self._until(super().write, WRITE, 0, data)
        return sent

    def send(self, data: Any, flags: int = 0) -> Any:
        return self._until(super().send, WRITE, 0, data, flags)

    def unwrap(self) -> Any:
        return self._until(super().unwrap, READ, 0)


def getaddrinfo(*args: Any, **kwargs: Any) -> Any:
    """socket.getaddrinfo beside the other Tasks."""
    return _core.offload(_getaddrinfo, *args, **kwargs)


def patch() -> None:
    setattr(socket, "socket", Socket)
    setattr(socket, "getaddrinfo", getaddrinfo)
    setattr(ssl.SSLContext, "sslsocket_class", SSLSocket)
