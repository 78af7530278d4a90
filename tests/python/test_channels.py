"""Channels and select."""

import gc
import sys
import threading
import weakref

import pytest

import thrum
from thrum import Channel, ClosedError, go, select, yield_


@pytest.mark.parametrize("cap", [0, 1, 7])
def test_order_and_end(rt, cap):
    def main():
        ch = Channel(cap)
        assert ch.cap == cap and len(ch) == 0 and ch

        def sends():
            for n in range(50):
                ch.send(n)
            ch.close()
        go(sends)
        assert list(ch) == list(range(50))
        with pytest.raises(ClosedError):
            ch.recv()
        with pytest.raises(ClosedError):
            ch.send(1)
        ch.close()
    rt.run(main)


def test_try_and_timeouts(rt):
    def main():
        ch = Channel(cap=1)
        assert ch.try_recv() is None and ch.try_recv("none") == "none"
        assert ch.try_send(1) and not ch.try_send(2)
        with pytest.raises(thrum.Timeout):
            ch.send(2, timeout=0.01)
        with pytest.raises(thrum.Timeout):
            ch.send(2, 0)
        assert ch.recv(timeout=1) == 1
        with pytest.raises(thrum.Timeout):
            ch.recv(timeout=0.01)
        for wrong in (lambda: ch.send(), lambda: ch.send(1, 2, 3),
                      lambda: ch.recv(foo=1), lambda: ch.recv("x"),
                      lambda: Channel("x")):
            with pytest.raises(TypeError):
                wrong()
        with pytest.raises(ValueError):
            Channel(-1)
    rt.run(main)


def test_between_tasks_and_threads(rt):
    ch, back = Channel(), Channel()
    task = rt.go(lambda: [back.send(x + 1) for x in ch])
    for n in range(200):
        ch.send(n)
        assert back.recv() == n + 1
    got = []
    thread = threading.Thread(target=lambda: got.extend(back))
    thread.start()
    ch.send(10)
    ch.close()
    task.join()
    back.close()
    thread.join()
    assert got == [11]


def test_values_are_neither_lost_nor_kept(rt):
    class Thing:
        pass
    seen = []

    def make():
        thing = Thing()
        seen.append(weakref.ref(thing))
        return thing

    def main():
        ch = Channel(cap=3)
        for _ in range(3):
            ch.send(make())
        ch.recv()
        ch.try_send(make())
        assert not ch.try_send(make())  # full: it goes
        with pytest.raises(thrum.Timeout):
            ch.send(make(), timeout=0.001)
        with pytest.raises(thrum.Timeout):
            thrum._core.select_cases([(ch, make())], 0)
    rt.run(main)
    gc.collect()
    assert [ref() for ref in seen] == [None] * 7


def test_each_value_is_counted_once(rt):
    def main():
        thing, ch = object(), Channel(cap=2)
        before = sys.getrefcount(thing)
        for _ in range(10):
            ch.send(thing)
            assert ch.try_send(thing) and not ch.try_send(thing)
            assert sys.getrefcount(thing) == before + 2
            assert ch.recv() is thing and ch.try_recv() is thing
            with select() as s:
                s.send(ch, thing)
            with select() as s:
                s.recv(ch)
            assert s.value is thing
            del s
            assert sys.getrefcount(thing) == before
            go(ch.send, thing)
            assert next(ch) is thing
            yield_()
            assert sys.getrefcount(thing) == before
    rt.run(main)


def test_select_takes_what_is_ready(rt):
    def main():
        a, b = Channel(cap=1), Channel(cap=1)
        b.send("b")
        with select() as s:
            s.recv(a)
            s.recv(b, lambda v: v * 2)
        assert (s.index, s.value) == (1, "bb")
        with select() as s:
            s.recv(b)
            s.send(a, "a", lambda: "sent")
        assert (s.index, s.value) == (1, "sent") and a.recv() == "a"
        with select() as s:
            s.recv(a)
            s.after(0.001, lambda: "late")
        assert (s.index, s.value) == (None, "late")
        with select() as s:
            s.recv(a)
            s.after(0)
        assert (s.index, s.value) == (None, None)
        a.close()
        with select() as s:
            s.recv(a, closed=lambda: "closed")
        assert s.value == "closed"
        with pytest.raises(ClosedError):
            with select() as s:
                s.send(a, 1)
        with pytest.raises(TypeError):
            with select() as s:
                s.recv(3)
        with pytest.raises(thrum.DeadlockError):
            with select():
                pass
    rt.run(main)


def test_select_waits(rt):
    def main():
        a, b, done = Channel(), Channel(), Channel()

        def feed(ch, n):
            for _ in range(n):
                yield_()
                ch.send(1)
            done.send(None)
        go(feed, a, 30)
        go(feed, b, 30)
        total = 0
        left = 2
        while left:
            with select() as s:
                s.recv(a)
                s.recv(b)
                s.recv(done)
            if s.index == 2:
                left -= 1
            else:
                total += s.value
        assert total == 60
        with pytest.raises(thrum.Timeout):
            with thrum.timeout(0.001), select() as s:
                s.recv(a)
                s.after(60, lambda: pytest.fail("not yet"))
    rt.run(main)


class Node:
    pass


@pytest.mark.parametrize("closes", [False, True])
def test_a_cycle_through_a_channel_is_collected(rt, closes):
    gone = []

    def make():
        node, ch = Node(), Channel(3)
        node.ch = ch
        weakref.finalize(node, gone.append, 1)
        ch.send(0)
        ch.send(node)
        ch.recv()
        ch.send(ch)
        ch.send("the ring has wrapped around")
        assert node in gc.get_referents(ch) and ch in gc.get_referents(ch)
        if closes:
            ch.close()
        return ch
    kept = make()
    make()
    rt.run(make)
    rt.go(make).join()
    rt.run(lambda: go(make)).join()
    gc.collect()
    assert len(gone) == 4
    assert isinstance(kept.recv(), Node) and kept.recv() is kept
    del kept
    gc.collect()
    assert len(gone) == 5


def test_what_a_caller_waits_in_is_no_garbage(rt):
    """Threads take out, without the GIL, what a collection has counted."""
    ch, back, stop = Channel(4), Channel(), []

    def collects():
        while not stop:
            gc.collect(0)

    def echoes():
        while (node := ch.recv()) is not None:
            back.send(node.value)
    threads = [threading.Thread(target=f) for f in (collects, echoes)]
    for thread in threads:
        thread.start()

    def main():
        for n in range(2000):
            node = Node()
            node.value, node.self = [n], node
            ch.send(node)
            del node
            assert back.recv() == [n]
    try:
        rt.run(main)
    finally:
        stop.append(1)
        ch.send(None)
    for thread in threads:
        thread.join()


def test_a_long_chain_of_channels_is_freed():
    ch = None
    for _ in range(200_000):
        outer = Channel(1)
        outer.send(ch)
        ch = outer
    assert ch.recv() is not None
    del ch, outer


def test_repr():
    ch = Channel(2)
    ch.send(1)
    assert repr(ch) == "<thrum.Channel cap=2 len=1>"
