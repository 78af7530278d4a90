"""Sockets that look blocking and park the Task alone.

    >>> from thrum import net
    >>> def handle(stream):
    ...     for line in stream.makefile("rb"):
    ...         stream.sendall(line.upper())
    >>> def main():
    ...     with net.listen(("127.0.0.1", 0)) as listener:
    ...         server = thrum.go(listener.serve, handle)  # a Task each
    ...         with net.connect(("127.0.0.1", listener.port)) as stream:
    ...             stream.sendall(b"hello\\n")
    ...             print(stream.recv(100))
    ...         server.cancel()
    >>> thrum.run(main)
    b'HELLO\\n'

An address is (host, port), or the path of a Unix socket. Threads may use them, too,
and block as threads do. Errors are OSErrors, as of sockets; ClosedError once this
end is closed; Timeout. One Task may read while another one writes.
"""

from __future__ import annotations

import errno
import io
import os
import socket as _socket
import ssl
from types import TracebackType
from typing import IO, Any, Callable, Iterator, Literal, Union

from . import _core
from ._core import ClosedError, Mutex, poll_fd
from ._scope import scope
from ._stream import CHUNK, Buffer, ByteStream

__all__ = ["Address", "Datagrams", "Listener", "Stream", "TLSStream", "connect",
           "datagrams", "listen", "poll_fd", "resolve"]

Address = Union[tuple[str, int], str, "os.PathLike[str]"]


def _split(address: Address) -> tuple[str | None, int]:
    """For _core: a host and its port, or a path and -1."""
    if isinstance(address, tuple) and len(address) >= 2:
        host, port = address[:2]
        if not isinstance(port, int):
            raise TypeError(f"a port is an int, not {type(port).__name__}")
        if not 0 <= port < 65536:
            raise ValueError(f"{port} is no port")
        return host or None, port
    if not isinstance(address, (str, bytes, os.PathLike)):
        raise TypeError(f"an address is (host, port) or a path, not {address!r}")
    path = os.fsdecode(address)
    return path if path[:1] == "@" or "/" in path else f"./{path}", -1


def _told(error: OSError, host: str | None, port: int = 0) -> OSError:
    """With the path; what the socket module would raise for an unknown name."""
    if error.errno == 61:  # ENODATA, which no call on a socket gives
        return _socket.gaierror(_socket.EAI_NONAME, f"no address of {host!r}")
    if port < 0:
        error.filename = host
    return error


def resolve(host: str, port: int = 0,
            timeout: float | None = None) -> list[tuple[str, int]]:
    """The addresses of a name, in the order in which to try them.

    >>> thrum.run(net.resolve, "127.0.0.1", 80)
    [('127.0.0.1', 80)]
    """
    _split((host, port))
    try:
        return _core.resolve(host, port, timeout)
    except OSError as error:
        raise _told(error, host) from None


class Stream(_core.Conn, ByteStream):
    """A connection: TCP, a Unix socket, a pipe. Made by connect() and listeners.

    >>> def main():
    ...     with net.listen(("127.0.0.1", 0)) as listener:
    ...         client = net.connect(("127.0.0.1", listener.port))
    ...         with client, listener.accept() as server:
    ...             client.sendall(b"hello")
    ...             client.shutdown()
    ...             return isinstance(server, net.Stream), server.recv_all()
    >>> thrum.run(main)
    (True, b'hello')
    """

    def __enter__(self) -> Stream:
        return self

    def __repr__(self) -> str:
        return f"<thrum.net.Stream fd={self.fileno()}>"

    recv = _core.Conn.recv
    recv_into = _core.Conn.recv_into
    send = _core.Conn.send
    sendall = _core.Conn.sendall
    fileno = _core.Conn.fileno
    _close = _core.Conn.close
    close = ByteStream.close

    @property
    def local(self) -> Any:
        """This end's address."""
        return self.address(False)

    @property
    def peer(self) -> Any:
        """The other end's address."""
        return self.address(True)

    def shutdown(self, how: int = _socket.SHUT_WR) -> None:
        """Ends writing (SHUT_WR): the peer reads to the end. SHUT_RDWR: closes."""
        if how == _socket.SHUT_WR:
            self.shutdown_write()
        elif how == _socket.SHUT_RDWR:
            self._close()
        else:
            raise ValueError("reading alone cannot be ended")

    def sendfile(self, file: IO[bytes], offset: int = 0,
                 count: int | None = None) -> int:
        """Sends a part of a file: bytes sent. By the kernel, if it is one of its."""
        try:
            fd = file.fileno()
        except (AttributeError, io.UnsupportedOperation):
            return super().sendfile(file, offset, count)
        if count is None:
            count = max(os.fstat(fd).st_size - offset, 0)
        return self.sendfile_fd(fd, offset, count)

    def tls(self, context: ssl.SSLContext | None = None, *,
            server_hostname: str | None = None, server_side: bool = False,
            timeout: float | None = None) -> TLSStream:
        """A TLS stream over this one, after the handshake."""
        if context is None:
            context = ssl.create_default_context()
        return TLSStream(self, context, server_hostname, server_side, timeout)


class TLSStream(ByteStream):
    """TLS over a Stream, by ssl.MemoryBIO. Made by Stream.tls().

    >>> def fetch(host):
    ...     with net.connect((host, 443), timeout=5.0) as stream:
    ...         with stream.tls(server_hostname=host) as secure:
    ...             return isinstance(secure, net.TLSStream), secure.version()
    >>> thrum.run(fetch, "example.org") # doctest: +SKIP
    (True, 'TLSv1.3')
    """

    def __init__(self, stream: Stream, context: ssl.SSLContext,
                 server_hostname: str | None = None, server_side: bool = False,
                 timeout: float | None = None) -> None:
        if context.check_hostname and not (server_hostname or server_side):
            # which ssl asks of sockets alone
            raise ValueError("tls() needs server_hostname=, which the context's "
                             "check_hostname compares with the certificate")
        self._stream = stream
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._ssl = context.wrap_bio(self._in, self._out, server_side,
                                     server_hostname)
        # OpenSSL's object is nobody's for two at a time; records leave in order.
        self._object, self._sends, self._reads = Mutex(), Mutex(), Mutex()
        self._fed = 0
        self._call(self._ssl.do_handshake, timeout)

    def _flush(self, timeout: float | None) -> None:
        with self._sends:
            with self._object:
                data = self._out.read()
            if data:
                self._stream.sendall(data, timeout)

    def _feed(self, fed: int, timeout: float | None) -> None:
        """More from the peer, unless somebody else has fed since."""
        with self._reads:
            if self._fed == fed:
                data = self._stream.recv(CHUNK, timeout)
                self._in.write(data) if data else self._in.write_eof()
                self._fed += 1

    def _call(self, call: Callable[..., Any], timeout: float | None,
              *args: Any) -> Any:
        while True:
            with self._object:
                fed, before = self._fed, self._out.pending
                try:
                    result = call(*args)
                    more = False
                except ssl.SSLWantReadError:
                    more = True
                made = self._out.pending > before
            if made:  # who reads must not wait for what another one writes
                self._flush(timeout)
            if not more:
                return result
            self._feed(fed, timeout)

    def recv(self, n: int, timeout: float | None = None) -> bytes:
        """What is there, 1 to n bytes; b'' at the end of the stream."""
        try:
            data: bytes = self._call(self._ssl.read, timeout, n)
            return data
        except ssl.SSLZeroReturnError:
            return b""

    def recv_into(self, buffer: Any, timeout: float | None = None) -> int:
        """The same into a buffer: bytes read."""
        room = memoryview(buffer).cast("B")
        if not room:
            return 0
        try:
            got: int = self._call(self._ssl.read, timeout, len(room), room)
            return got
        except ssl.SSLZeroReturnError:
            return 0

    def send(self, data: Buffer, timeout: float | None = None) -> int:
        """Sends at least a byte: bytes sent."""
        sent: int = self._call(self._ssl.write, timeout, data) if data else 0
        return sent

    def sendall(self, data: Buffer, timeout: float | None = None) -> None:
        """Sends all of it."""
        left = memoryview(data).cast("B")
        while left:
            left = left[self.send(left, timeout):]

    def shutdown(self, how: int = _socket.SHUT_WR) -> None:
        """Tells the peer that no more comes; SHUT_RDWR: closes."""
        if how == _socket.SHUT_RDWR:
            self._close()
            return
        with self._object:
            try:
                self._ssl.unwrap()
            except (ssl.SSLError, OSError):
                pass  # the peer's own goodbye is not waited for
        self._flush(None)

    def _close(self) -> None:
        try:
            self.shutdown()
        except (OSError, EOFError, RuntimeError):
            pass  # gone already, or nobody may wait here
        self._stream.close()

    def fileno(self) -> int:
        """Of the Stream below; -1: it is closed."""
        return self._stream.fileno()

    @property
    def local(self) -> Any:
        """This end's address."""
        return self._stream.local

    @property
    def peer(self) -> Any:
        """The other end's address."""
        return self._stream.peer

    def settimeout(self, seconds: float | None) -> None:
        """Of calls that name none."""
        self._stream.settimeout(seconds)

    def gettimeout(self) -> float | None:
        """What settimeout() has set."""
        return self._stream.gettimeout()

    def version(self) -> str | None:
        """"TLSv1.3", for one."""
        return self._ssl.version()

    def getpeercert(self, binary_form: bool = False) -> Any:
        """As of ssl."""
        return self._ssl.getpeercert(binary_form)

    def cipher(self) -> tuple[str, str, int] | None:
        """As of ssl."""
        return self._ssl.cipher()

    def selected_alpn_protocol(self) -> str | None:
        """As of ssl."""
        return self._ssl.selected_alpn_protocol()

    def __enter__(self) -> TLSStream:
        return self

    def __repr__(self) -> str:
        return f"<thrum.net.TLSStream fd={self.fileno()}>"


class Listener(_core.Listener):
    """Where connections come in. Made by listen().

    >>> def main():
    ...     with net.listen(("127.0.0.1", 0)) as listener:
    ...         return isinstance(listener, net.Listener), listener.port > 0
    >>> thrum.run(main)
    (True, True)
    """

    address: Address

    def serve(self, handle: Callable[[Stream], Any]) -> None:
        """A Task of handle(stream) for each connection, until it is closed.

        Waits for all of them in the end. An error of one does not end the others:
        it goes to thrum.excepthook. While there are no descriptors left those that
        come wait.
        """
        from . import excepthook

        def one(stream: Stream) -> None:
            try:
                with stream:
                    handle(stream)
            except Exception as error:
                task = _core.current_task()
                assert task is not None
                excepthook(task, error)

        one.__qualname__ = getattr(handle, "__qualname__", repr(handle))
        with scope() as tasks:
            while True:
                try:
                    for stream in self:
                        tasks.go(one, stream)
                    return
                except OSError as error:
                    if error.errno not in (errno.EMFILE, errno.ENFILE):
                        raise
                    _core.sleep(0.05)  # until a connection ends

    def __iter__(self) -> Iterator[Stream]:
        while True:
            try:
                stream: Stream = self.accept()
            except ClosedError:
                return
            yield stream

    def __enter__(self) -> Listener:
        return self

    def __repr__(self) -> str:
        return f"<thrum.net.Listener {self.address}>"

    def __exit__(self, kind: type[BaseException] | None,
                 error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()


class Datagrams(_core.Datagrams):
    """A UDP socket. Made by datagrams().

    >>> def main():
    ...     with net.datagrams(("127.0.0.1", 0)) as socket:
    ...         return isinstance(socket, net.Datagrams), socket.address[0]
    >>> thrum.run(main)
    (True, '127.0.0.1')
    """

    def send(self, data: Buffer, to: tuple[str, int] | None = None,
             timeout: float | None = None) -> None:
        """Sends one datagram; to None: to where it is connected."""
        if to is None:
            self.send_to(data, None, 0, timeout)
            return
        try:
            self.send_to(data, to[0], to[1], timeout)
        except ValueError:  # a name
            host, port = resolve(*to, timeout=timeout)[0]
            self.send_to(data, host, port, timeout)

    def connect(self, to: tuple[str, int]) -> None:
        """From now on it sends there, and receives from there alone."""
        self.connect_to(*resolve(*to)[0])

    def __enter__(self) -> Datagrams:
        return self

    def __repr__(self) -> str:
        return f"<thrum.net.Datagrams {self.address}>"

    def __exit__(self, kind: type[BaseException] | None,
                 error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()


def connect(address: Address, timeout: float | None = None) -> Stream:
    """Connects. Of a name's addresses the first to answer wins.

    >>> def main():
    ...     with net.listen(("127.0.0.1", 0)) as listener:
    ...         with net.connect(("127.0.0.1", listener.port), timeout=5.0) as stream:
    ...             return stream.peer == ("127.0.0.1", listener.port)
    >>> thrum.run(main)
    True
    """
    host, port = _split(address)
    try:
        stream: Stream = Stream.dial(host, port, timeout)
        return stream
    except OSError as error:
        raise _told(error, host, port) from None


def listen(address: Address, backlog: int = 0, *,
           reuse_port: bool = False) -> Listener:
    """Listens. Port 0: any, see Listener.port. Host "": on all addresses.

    >>> def main():
    ...     with net.listen(("127.0.0.1", 0)) as listener:
    ...         net.connect(("127.0.0.1", listener.port)).close()
    ...         listener.accept(timeout=5.0).close()
    >>> thrum.run(main)
    """
    host, port = _split(address)
    flags: Literal[0, 1] = 1 if reuse_port else 0
    try:
        if port >= 0 and (backlog or flags):  # which takes no names
            host = resolve(host, port)[0][0] if host else "::"
        listener: Listener = Listener.listen(Stream, host, port, backlog, flags)
    except OSError as error:
        raise _told(error, host, port) from None
    listener.address = (host or "", listener.port) if port >= 0 else address
    return listener


def datagrams(address: tuple[str, int] = ("0.0.0.0", 0)) -> Datagrams:
    """A UDP socket at an address; port 0: any.

    >>> def main():
    ...     with net.datagrams(("127.0.0.1", 0)) as a, net.datagrams() as b:
    ...         b.send(b"ping", to=a.address)
    ...         return a.recv(100)[0]
    >>> thrum.run(main)
    b'ping'
    """
    host, port = resolve(*address)[0]
    made: Datagrams = Datagrams.bind(host, port, 0)
    return made
