"""_thrum: the headers as SWIG sees them, in the same copy as _core."""

import os
import threading

import pytest

import thrum
from thrum import _thrum as flat, go

FOREVER = flat.THRUM_FOREVER


def test_constants_errors_and_docs():
    assert flat.THRUM_ETIMEDOUT == -110 and flat.THRUM_READABLE == 1
    assert flat.thrum_version_string() == thrum.version
    assert flat.thrum_errname(flat.THRUM_ECLOSED) == "ECLOSED"
    assert "Parks: deadline" in flat.thrum_read.__doc__
    with pytest.raises(ValueError):
        flat.thrum_addr_parse("no address", 1)
    with pytest.raises(RuntimeError, match="only inside a Task"):
        flat.thrum_yield()
    with pytest.raises(TypeError):
        flat.thrum_procs(1)


def test_it_is_the_same_copy(rt):
    def main():
        assert flat.thrum_procs(None) == flat.thrum_procs(rt) == rt.procs
        assert flat.thrum_live(rt) == 1
        flat.thrum_yield()
        assert sum(p.dispatches for p in flat.thrum_p_list(rt)) > 0
        assert flat.thrum_memory_report(rt).startswith("{")
    rt.run(main)


def test_streams(rt):
    def serve(listener):
        conn = flat.thrum_accept(listener, FOREVER)
        while data := flat.thrum_read(conn, 100, FOREVER):
            flat.thrum_write(conn, data, FOREVER)

    def main():
        listener = flat.thrum_tcp_listen(None, "127.0.0.1", 0, 0)
        port = flat.thrum_listener_port(listener)
        server = go(serve, listener)
        conn = flat.thrum_tcp_dial(None, "localhost", port, FOREVER)
        peer = flat.thrum_conn_peer(conn)
        assert (flat.thrum_addr_text(peer), flat.thrum_addr_port(peer)) == (
            "127.0.0.1", port)
        assert flat.thrum_write(conn, b"hello", FOREVER) == 5
        assert flat.thrum_read(conn, 5, FOREVER) == b"hello"
        room = bytearray(8)
        flat.thrum_write(conn, memoryview(b"abc"), FOREVER)
        assert flat.thrum_read(conn, room, FOREVER) == 3
        assert room == b"abc\0\0\0\0\0"
        with pytest.raises(thrum.Timeout):
            flat.thrum_read(conn, 1, flat.thrum_after(1000))
        with pytest.raises(BufferError):
            flat.thrum_read(conn, b"cannot be written", FOREVER)
        flat.thrum_conn_shutdown(conn)
        server.join()
        with pytest.raises(TypeError):
            flat.thrum_read(listener, 1, FOREVER)
        del listener
        with pytest.raises(ConnectionRefusedError):
            flat.thrum_tcp_dial(None, "127.0.0.1", port, FOREVER)
    rt.run(main)


def test_datagrams_and_names(rt):
    def main():
        here = flat.thrum_addr_parse("127.0.0.1", 0)
        a, b = (flat.thrum_udp_open(None, here, 0) for _ in "ab")
        flat.thrum_udp_send(a, b"one", flat.thrum_udp_local(b), FOREVER)
        data, sender = flat.thrum_udp_recv(b, 100, FOREVER)
        assert data == b"one"
        assert (flat.thrum_addr_port(sender) ==
                flat.thrum_addr_port(flat.thrum_udp_local(a)))
        names = flat.thrum_resolve(None, "127.0.0.1", 7, FOREVER)
        assert [flat.thrum_addr_text(name) for name in names] == ["127.0.0.1"]
    rt.run(main)


def test_objects_give_themselves_back(rt):
    def fds():
        return len(os.listdir("/proc/self/fd"))

    def one():
        listener = flat.thrum_tcp_listen(None, "127.0.0.1", 0, 0)
        flat.thrum_tcp_dial(None, None, flat.thrum_listener_port(listener),
                            FOREVER)

    def main():
        one()
        before = fds()
        for _ in range(5):
            one()
        for _ in range(1000):  # a G may be closing one yet
            if fds() <= before + 1:  # who watches keeps one
                return True
            thrum.sleep(0.001)
    assert rt.run(main)


def test_a_thread_gives_up_the_gil(rt):
    """Else the main thread could not send what the other one waits for."""
    listener = flat.thrum_tcp_listen(rt, "127.0.0.1", 0, 0)
    got = []

    def receives():
        conn = flat.thrum_accept(listener, FOREVER)
        got.append(flat.thrum_read(conn, 9, FOREVER))
    thread = threading.Thread(target=receives)
    thread.start()
    conn = flat.thrum_tcp_dial(rt, None, flat.thrum_listener_port(listener),
                               FOREVER)
    flat.thrum_write(conn, b"x", FOREVER)
    thread.join()
    assert got == [b"x"]


def test_nobody_waits_in_an_offloaded_call(rt):
    def main():
        with pytest.raises(RuntimeError, match="must not wait"):
            thrum.offload(flat.thrum_sleep, 1)
    rt.run(main)
