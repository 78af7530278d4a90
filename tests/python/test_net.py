"""thrum.net: streams, files, listeners, datagrams, TLS."""

import io
import itertools
import os
import socket
import ssl
import sys
import threading
import time

import pytest

import thrum
from thrum import go, net


def echo(stream):
    while data := stream.recv(65536):
        stream.sendall(data)


@pytest.fixture
def server(rt):
    """The address of an echo server."""
    with net.listen(("127.0.0.1", 0)) as listener:
        rt.go(listener.serve, echo)
        yield ("127.0.0.1", listener.port)


def test_what_is_sent_comes_back(rt, server):
    def one(n):
        with net.connect(server) as stream:
            assert stream.peer == server and stream.local[0] == "127.0.0.1"
            data = os.urandom(n)
            sends = go(stream.sendall, data)
            assert stream.recv_exactly(n) == data
            sends.join()
            stream.shutdown()
            assert stream.recv(1) == b""
            return n

    def main():
        sizes = [1, 2, 5000, 300_000, 2_000_000]
        return [t.result() for t in [go(one, n) for n in sizes]] == sizes
    assert rt.run(main)


def test_pieces_of_any_size_and_kind(rt, server):
    class Bytes(bytes):
        pass

    def main():
        text = bytes(range(256)) * 64
        with net.connect(server) as stream:
            for data in text, Bytes(text), bytearray(text), memoryview(text):
                stream.sendall(data)
                back = b""
                for size in itertools.cycle((0, 1, 4095, 4096, 4097, 65536)):
                    part = stream.recv(size)
                    assert type(part) is bytes and len(part) <= size
                    back += part
                    if len(back) == len(text):
                        break
                assert back == text
            for size in 4096, 4097:
                waits = thrum.go(stream.recv, size)
                thrum.sleep(0.001)
                waits.cancel()
                with pytest.raises(thrum.Cancelled):
                    waits.join()
                stream.sendall(b"after")
                assert stream.recv(size) == b"after"
    rt.run(main)


def test_threads_use_it_too(rt, server):
    with net.connect(server, timeout=5) as stream:
        stream.send(b"abc")
        room = bytearray(3)
        assert stream.recv_into(room) == 3 and room == b"abc"
        thread = threading.Thread(target=lambda: (time.sleep(0.05),
                                                  stream.sendall(b"late")))
        thread.start()
        assert stream.recv(10) == b"late"
        thread.join()
        with pytest.raises(thrum.Timeout):
            stream.recv(10, timeout=0.03)


def test_a_call_of_a_thread_keeps_its_runtime(rt):
    asks, ask = os.pipe()
    before = sys.getrefcount(rt)
    thread = threading.Thread(target=net.poll_fd, args=(asks, 1))
    thread.start()
    while sys.getrefcount(rt) == before:
        time.sleep(0.001)
    os.write(ask, b"x")
    thread.join()
    assert sys.getrefcount(rt) == before
    os.close(asks)
    os.close(ask)


def test_timeouts_and_ends(rt, server):
    def main():
        stream = net.connect(server)
        with pytest.raises(thrum.Timeout):
            stream.recv(1, timeout=0.001)
        with pytest.raises(TimeoutError):
            stream.recv(1, 0)
        stream.settimeout(0.001)
        assert stream.gettimeout() == 0.001
        with pytest.raises(thrum.Timeout):
            stream.recv_into(bytearray(1))
        with thrum.timeout(0.001), pytest.raises(thrum.Timeout):
            stream.recv(1, timeout=60)
        with pytest.raises(thrum.Timeout):
            stream.recv_exactly(2, timeout=0.001)
        stream.settimeout(None)
        waits = go(stream.recv, 1)
        thrum.yield_()
        stream.close()
        assert isinstance(waits.exception(), thrum.ClosedError)
        assert stream.fileno() == -1
        with pytest.raises(thrum.ClosedError):
            stream.send(b"x")
        other = net.connect(server)
        waits = go(other.recv, 1)
        thrum.yield_()
        waits.cancel()
        assert isinstance(waits.exception(), thrum.Cancelled)
        other.send(b"y")  # the stream has come to no harm
        assert other.recv(1) == b"y"
        other.shutdown()
        with pytest.raises(EOFError):
            other.recv_exactly(1)
    rt.run(main)


def test_bad_input(rt):
    def main():
        with pytest.raises(ConnectionRefusedError):
            net.connect(("127.0.0.1", 1))
        with pytest.raises(socket.gaierror):
            net.connect(("no-such-name.invalid", 1))
        with pytest.raises(ValueError):
            net.connect(("127.0.0.1", 70000))
        with pytest.raises(FileNotFoundError):
            net.connect("/nowhere/at/all")
        for address in 7, None, ("127.0.0.1",):
            with pytest.raises(TypeError, match="or a path"):
                net.connect(address)
        with pytest.raises(FileNotFoundError, match="'./127.0.0.1:80'"):
            net.connect("127.0.0.1:80")
        with pytest.raises(ValueError, match="99999 is no port"):
            net.resolve("127.0.0.1", 99999)
        with net.listen(("127.0.0.1", 0)) as listener:
            with pytest.raises(OSError, match="in use"):
                net.listen(("127.0.0.1", listener.port))
            with net.connect(("", listener.port)) as stream:
                for call in (lambda: stream.recv(1, socket.MSG_PEEK),
                             lambda: stream.sendall(b"", socket.MSG_NOSIGNAL)):
                    with pytest.raises(TypeError, match="not <MsgFlag.MSG_"):
                        call()
                with pytest.raises(ValueError):
                    stream.recv(-1)
                with pytest.raises(TypeError):
                    stream.sendall("text")
                with pytest.raises(ValueError):
                    stream.shutdown(socket.SHUT_RD)
        with pytest.raises(TypeError):
            net.Stream()
    rt.run(main)


def test_without_a_runtime():
    with pytest.raises(RuntimeError, match="no runtime here"):
        net.connect(("127.0.0.1", 1))


def test_files(rt, server, tmp_path):
    def main():
        with net.connect(server) as stream:
            with stream.makefile("rw", encoding="utf-8") as file:
                for n in range(200):
                    print("line", n, file=file, flush=True)
                    assert file.readline() == f"line {n}\n"
            with stream.makefile("wb") as out, stream.makefile("rb", 64) as into:
                out.write(b"x" * 1000 + b"\n")
                out.flush()
                assert into.readline() == b"x" * 1000 + b"\n"
            for mode, size, kind in (("rb", -1, io.BufferedReader),
                                     ("b", None, io.BufferedReader),
                                     ("rwb", 0, io.RawIOBase),
                                     ("w", 1, io.TextIOWrapper)):
                with stream.makefile(mode, size) as file:
                    assert isinstance(file, kind)
                    assert file.readable() == (mode != "w")
            assert stream.makefile("rw").mode == "rw"
            for mode, size in ("x", None), ("r+", None), ("r", 0):
                with pytest.raises(ValueError):
                    stream.makefile(mode, size)
            path = tmp_path / "data"
            path.write_bytes(bytes(range(256)) * 2000)
            with path.open("rb") as file:
                sends = go(stream.sendfile, file, 256)
                got = stream.recv_exactly(256 * 1999)
                assert sends.result() == 256 * 1999
            assert got == bytes(range(256)) * 1999
            assert stream.sendfile(io.BytesIO(b"0123456"), 1, 4) == 4
            assert stream.recv_exactly(4) == b"1234"
        stream = net.connect(server)
        file = stream.makefile("rb")
        stream.close()  # the file goes on
        assert stream.fileno() != -1
        file.close()
        assert stream.fileno() == -1
    rt.run(main)


def test_unix_sockets(rt, tmp_path):
    path = str(tmp_path / "socket")

    def main():
        with net.listen(path) as listener:
            server = go(listener.serve, echo)
            with net.connect(path) as stream:
                stream.sendall(b"here")
                assert stream.recv_exactly(4) == b"here"
                assert stream.peer == path
        server.join()
        with net.listen("@thrum-test-%d" % os.getpid()) as listener:
            with net.connect(listener.address):
                listener.accept(timeout=5).close()
    rt.run(main)


def test_an_error_of_one_connection_is_reported(rt, monkeypatch):
    told, names = [], []
    monkeypatch.setattr(thrum, "excepthook", lambda task, error: (
        told.append(error), names.append(task.name)))

    def fails(stream):
        return 1 / 0

    def main():
        with net.listen(("127.0.0.1", 0)) as listener:
            server = go(listener.serve, fails)
            for _ in range(2):
                with net.connect(("127.0.0.1", listener.port)) as stream:
                    assert stream.recv(1) == b""
        server.join()
    rt.run(main)
    assert [type(e) for e in told] == [ZeroDivisionError] * 2
    assert names == [fails.__qualname__] * 2


def test_serve_waits_for_descriptors(script):
    code, out, err = script("""
        import resource, socket, thrum
        from thrum import net
        def handle(stream):
            stream.sendall(stream.recv(1))
        def main():
            with net.listen(("127.0.0.1", 0)) as listener:
                clients = [socket.create_connection(("127.0.0.1", listener.port))
                           for _ in range(20)]
                _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
                resource.setrlimit(resource.RLIMIT_NOFILE,
                                   (clients[-1].fileno() + 4, most))
                server = thrum.go(listener.serve, handle)
                thrum.sleep(0.1)
                for client in clients:
                    client.sendall(b"x")
                    assert thrum.offload(client.recv, 1) == b"x"
                    client.close()
            server.join()
            print("fine")
        thrum.run(main)
    """)
    assert (code, out, err) == (0, "fine\n", "")


def test_adopt_and_poll(rt):
    def main():
        a, b = socket.socketpair()
        with net.Stream.adopt(a.detach()) as stream:
            assert net.poll_fd(b, 2) == 2
            with pytest.raises(thrum.Timeout):
                net.poll_fd(b, 1, timeout=0.001)
            stream.sendall(b"x")
            assert net.poll_fd(b, 1) & 1
            stream.wait(2)
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 9000)
            assert stream.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) == 18000
            assert len(stream.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8)) == 8
        with pytest.raises(thrum.ClosedError):
            stream.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        b.close()
        with open("/proc/self/status") as file:
            for call in (lambda: net.poll_fd(file, 1),
                         lambda: net.Stream.adopt(file.fileno())):
                with pytest.raises(PermissionError, match="always ready"):
                    call()
        with pytest.raises(OSError):
            net.Stream.adopt(-1)
        with pytest.raises(OverflowError):
            net.Stream.adopt(1 << 32)
    rt.run(main)


def test_what_waits_is_seen_to_while_the_next_one_blocks(rt):
    def main():
        for _ in range(20):
            (asks, ask), (answers, answer) = os.pipe(), os.pipe()

            def other():
                net.poll_fd(asks, 1)
                os.write(answer, b"x")
            thrum.offload(time.sleep, 0.005)  # another thread comes, and watches
            thrum.sleep(0.005)
            timer = threading.Timer(0.03, os.write, (ask, b"x"))
            timer.start()
            task = go(other)
            thrum.yield_()  # it waits, and this one goes on at once
            os.read(answers, 1)
            task.join()
            timer.join()
            for fd in asks, ask, answers, answer:
                os.close(fd)
    rt.run(main)


def test_datagrams(rt):
    def main():
        with net.datagrams(("127.0.0.1", 0)) as a, net.datagrams() as b:
            b.send(b"one", a.address)
            data, sender = a.recv(100)
            assert data == b"one" and sender[1] == b.address[1]
            a.connect(("localhost", b.address[1]))
            a.send(b"two")
            assert b.recv(2) == (b"tw", a.address)
            b.send(b"", ("localhost", a.address[1]))
            assert a.recv(5)[0] == b""
            with pytest.raises(thrum.Timeout):
                a.recv(1, timeout=0.001)
            with pytest.raises(ValueError):
                a.recv(-1)
    rt.run(main)


def test_tls_both_ways_at_once(rt, certificate):
    ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ours.load_cert_chain(certificate)
    theirs = ssl.create_default_context(cafile=f"{certificate}.crt")
    size = 4_000_000  # which no buffer holds

    def swap(stream):
        sends = go(stream.sendall, bytes(size))
        stream.recv_exactly(size, timeout=20)
        sends.join()

    def serve(listener):
        with listener.accept() as plain:
            swap(plain.tls(ours, server_side=True))

    def main():
        with net.listen(("127.0.0.1", 0)) as listener, thrum.scope() as tasks:
            tasks.go(serve, listener)
            with net.connect(("127.0.0.1", listener.port)) as plain:
                swap(plain.tls(theirs, server_hostname="localhost"))
    rt.run(main)


def test_tls(rt, certificate):
    ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ours.load_cert_chain(certificate)
    theirs = ssl.create_default_context(cafile=f"{certificate}.crt")

    def handle(stream):
        with stream.tls(ours, server_side=True) as secure:
            echo(secure)

    def one(port, n):
        data = os.urandom(n)
        with net.connect(("127.0.0.1", port)) as plain:
            with plain.tls(theirs, server_hostname="localhost") as stream:
                assert stream.version() == "TLSv1.3" and stream.cipher()
                assert stream.peer == ("127.0.0.1", port) == stream.getpeername()
                assert stream.local == plain.local
                sends = go(stream.sendall, data)  # beside the receive
                assert stream.recv_exactly(n) == data
                sends.join()
                with stream.makefile("rwb") as file:
                    file.write(b"line\n")
                    file.flush()
                    assert file.readline() == b"line\n"
                assert stream.sendfile(io.BytesIO(b"file")) == 4
                assert stream.recv_exactly(4) == b"file"
                stream.shutdown()
                assert stream.recv(1) == b""

    def main():
        with net.listen(("127.0.0.1", 0)) as listener:
            server = go(listener.serve, handle)
            with thrum.scope() as tasks:
                for n in (1, 100_000, 3_000_000):
                    tasks.go(one, listener.port, n)
            with net.connect(("127.0.0.1", listener.port)) as plain:
                with pytest.raises(ssl.SSLCertVerificationError):
                    plain.tls(theirs, server_hostname="other.example")
            with net.connect(("127.0.0.1", listener.port)) as plain:
                with pytest.raises(ValueError, match="needs server_hostname"):
                    plain.tls(theirs)  # nobody would look at the name
        server.join()

    told = []
    before, thrum.excepthook = thrum.excepthook, lambda t, e: told.append(e)
    try:
        rt.run(main)
    finally:
        thrum.excepthook = before
    assert all(isinstance(e, ssl.SSLError) for e in told)  # of the last one
