"""socket and ssl for Tasks."""

from __future__ import annotations

import errno
import os
import socket
import ssl
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
            value = float(value)
            if value < 0:
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
        return self._until(super()._accept, READ)  # type: ignore[misc]

    def _until(self, call: Callable[..., Any], events: int, *args: Any) -> Any:
        """The call, again and again, until it need not wait."""
        limit = self._thrum_timeout
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

    def recv(self, *args: Any) -> Any:
        return self._until(super().recv, READ, *args)

    def recv_into(self, *args: Any) -> Any:
        return self._until(super().recv_into, READ, *args)

    def recvfrom(self, *args: Any) -> Any:
        return self._until(super().recvfrom, READ, *args)

    def recvfrom_into(self, *args: Any) -> Any:
        return self._until(super().recvfrom_into, READ, *args)

    def recvmsg(self, *args: Any) -> Any:
        return self._until(super().recvmsg, READ, *args)

    def recvmsg_into(self, *args: Any) -> Any:
        return self._until(super().recvmsg_into, READ, *args)

    def send(self, *args: Any) -> Any:
        return self._until(super().send, WRITE, *args)

    def sendto(self, *args: Any) -> Any:
        return self._until(super().sendto, WRITE, *args)

    def sendmsg(self, *args: Any) -> Any:
        return self._until(super().sendmsg, WRITE, *args)

    def sendall(self, data: Any, flags: int = 0) -> None:
        send, end = super().send, end_of(self._thrum_timeout)
        with memoryview(data) as view, view.cast("B") as left:
            at = 0
            while at < len(left):
                try:
                    at += send(left[at:], flags)
                except BlockingIOError:
                    if (self._thrum_timeout == 0.0 or
                            not wait_fd(self.fileno(), WRITE, left_of(end))):
                        raise TimeoutError("timed out") from None

    def sendfile(self, file: Any, offset: int = 0, count: int | None = None) -> int:
        return self._sendfile_use_send(  # type: ignore[attr-defined,no-any-return]
            file, offset, count)

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
            self._sslobj.do_handshake, READ)  # type: ignore[attr-defined]

    def read(self, len: int = 1024, buffer: Any = None) -> Any:
        return self._until(super().read, READ, len, buffer)

    def write(self, data: Any) -> int:
        sent: int = self._until(super().write, WRITE, data)
        return sent

    def send(self, data: Any, flags: int = 0) -> Any:
        return self._until(super().send, WRITE, data, flags)

    def unwrap(self) -> Any:
        return self._until(super().unwrap, READ)


def getaddrinfo(*args: Any, **kwargs: Any) -> Any:
    """socket.getaddrinfo beside the other Tasks."""
    return _core.offload(_getaddrinfo, *args, **kwargs)


def patch() -> None:
    setattr(socket, "socket", Socket)
    setattr(socket, "SocketType", Socket)
    setattr(socket, "getaddrinfo", getaddrinfo)
    setattr(ssl.SSLContext, "sslsocket_class", SSLSocket)
