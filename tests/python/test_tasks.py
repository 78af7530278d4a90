"""Tasks: results, errors, cancels, names, contexts."""

import asyncio
import contextvars
import functools
import gc
import os
import sys
import threading
import time
import traceback
import weakref

import pytest

import thrum
from thrum import Channel, go, sleep, yield_


def test_result_and_arguments(rt):
    def add(a, b, *, c):
        return a + b + c
    assert rt.run(add, 1, 2, c=3) == 6
    assert rt.run(lambda: go(add, 1, b=2, c=4).result()) == 7
    assert rt.go(add, 1, 2, c=5).result(timeout=10) == 8


def test_an_error_reaches_join_with_its_traceback(rt):
    def inner():
        yield_()
        raise KeyError("lost")

    def outer():
        return go(inner).join()
    with pytest.raises(KeyError) as caught:
        rt.run(outer)
    names = [f.name for f in traceback.extract_tb(caught.value.__traceback__)]
    assert "inner" in names and "outer" in names
    task = rt.go(inner)
    assert isinstance(task.exception(), KeyError)
    with pytest.raises(KeyError):
        task.result()


def test_orphans_go_to_the_hook(rt, monkeypatch):
    told = []
    monkeypatch.setattr(thrum, "excepthook",
                        lambda task, error: told.append((task.name, error)))

    def orphan():
        raise ValueError("nobody cares")
    rt.run(lambda: (go(orphan), yield_(), None)[2])
    for _ in range(100):
        if told:
            break
        time.sleep(0.01)
    assert [(n, str(e)) for n, e in told] == [
        ("test_orphans_go_to_the_hook.<locals>.orphan", "nobody cares")]


def test_cancel_ends_a_wait(rt):
    ended = []

    def waits():
        try:
            Channel().recv()
        except thrum.Cancelled:
            ended.append("cancelled")
            raise

    def main():
        task = go(waits)
        yield_()
        assert not task.done()
        assert task.cancel()
        with pytest.raises(thrum.Cancelled):
            task.join()
        assert task.done() and task.cancelled() and not task.cancel()
    rt.run(main)
    assert ended == ["cancelled"]


def test_join_times_out(rt):
    def main():
        task = go(sleep, 30)
        with pytest.raises(thrum.Timeout):
            task.join(timeout=0.01)
        with pytest.raises(TimeoutError):
            task.join(timeout=0)
        task.cancel()
    rt.run(main)


class Unnamed:
    __qualname__ = "so"

    def __init__(self):
        self.__qualname__ = 7

    def __call__(self):
        pass


def test_names(rt):
    def named():
        return thrum.current_task().name
    task = rt.go(named)
    assert task.result().endswith("named") and task.name.endswith("named")
    task = rt.go(sleep, 0)
    task.name = "sleeper"
    task.join()
    assert task.name == "sleeper" and "sleeper done" in repr(task)
    with pytest.raises(TypeError):
        task.name = 3
    assert thrum.current_task() is None
    for fn in functools.partial(int, "7"), Unnamed():  # before and after the end
        task = rt.go(fn)
        before = task.name
        task.join()
        assert before == task.name == repr(fn)


def test_context_is_a_copy_of_the_spawner_s(rt):
    var = contextvars.ContextVar("var", default=0)

    def child():
        seen = var.get()
        var.set(99)
        yield_()
        return seen, var.get()

    def main():
        var.set(7)
        tasks = [go(child) for _ in range(3)]
        assert [t.result() for t in tasks] == [(7, 99)] * 3
        assert var.get() == 7
    rt.run(main)
    assert var.get() == 0


def test_thread_states_are_clean_when_used_again(rt):
    """An unpooled reset leaks threading.local into the next Task."""
    local = threading.local()
    var = contextvars.ContextVar("var", default=None)

    def dirty(n):
        assert not hasattr(local, "x") and var.get() is None
        local.x = n
        var.set(n)
        try:
            raise ValueError(n)
        except ValueError:
            gen = (yield_() or i for i in range(3))
            next(gen)
            assert local.x == n
            return sum(1 for _ in gen)

    def main():
        for round_ in range(20):
            tasks = [go(dirty, n) for n in range(100)]
            assert [t.result() for t in tasks] == [2] * 100
            gc.collect()
    rt.run(main)


def test_nothing_is_kept(rt):
    class Thing:
        pass

    def main():
        thing = Thing()
        seen = weakref.ref(thing)
        go(lambda x: x, thing).join()
        del thing
        return seen
    seen = rt.run(main)
    gc.collect()
    assert seen() is None


def test_what_a_call_takes_it_gives_back(rt):
    thing = object()

    def back(x, *, y):
        return x is y

    def main():
        before = sys.getrefcount(thing)
        for _ in range(50):
            assert go(back, thing, y=thing).result()
            assert go(lambda: thing).result() is thing
            assert thrum.offload(lambda x: x, thing) is thing
        yield_()
        gc.collect()
        return sys.getrefcount(thing) - before
    assert rt.run(main) == 0


def test_runtimes_are_left_in_any_order(script):
    code, out, err = script("""
        import threading, thrum
        turn = [threading.Event() for _ in range(3)]
        def first():
            with thrum.Runtime():
                turn[0].set()
                turn[1].wait()
            turn[2].set()
        def second():
            turn[0].wait()
            with thrum.Runtime():
                turn[1].set()
                turn[2].wait()
        threads = [threading.Thread(target=first), threading.Thread(target=second)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        try:
            thrum.go(print)
        except RuntimeError as error:
            print(error)
        with thrum.Runtime() as outer:
            with thrum.Runtime() as inner:
                with inner:
                    pass
            print(thrum.current_runtime() is outer)
        def stopped():
            rt = thrum.Runtime()
            rt.__enter__()
            rt.stop()
        stopped()
        kept = [bytes(200) for _ in range(1000)]  # where it was, if it is freed
        try:
            thrum.go(print)
        except thrum.ClosedError as error:
            print(error)
    """)
    assert (code, err) == (0, "")
    assert out == ("no runtime here: use thrum.run() or `with Runtime()`\nTrue\n"
                   "the runtime has stopped\n")


def test_cycles_are_collected(rt):
    class Node:
        pass
    gone = []

    def node():
        new = Node()
        weakref.finalize(new, gone.append, 1)
        return new

    def by_result():
        new = node()
        new.task = go(lambda: new)
        new.task.join()

    def by_error():
        new = node()

        def fails():
            raise ValueError(new)
        new.task = go(fails)
        new.task.exception()

    def by_scope():
        new = node()
        with thrum.scope() as new.scope:
            new.scope.go(lambda: new)
        new.scope.node = new

    def by_select():
        new = node()
        new.channel = thrum.Channel(1)
        with thrum.select() as new.select:
            new.select.send(new.channel, new)
    for make in by_result, by_error, by_scope, by_select:
        rt.run(make)
        gc.collect()
        assert gone.pop() == 1 and not gone


def test_a_long_chain_of_results_is_freed(script):
    code, out, err = script("""
        import thrum
        def main():
            task = None
            for _ in range(200_000):
                task = thrum.go(lambda before: before, task)
                task.join()
            del task
            return "freed"
        print(thrum.run(main))
    """, timeout=60)
    assert (code, out, err) == (0, "freed\n", "")


def test_an_async_function_is_no_task(rt):
    async def fn():
        pass
    for go in rt.go, rt.run:
        with pytest.raises(TypeError, match="fn.* is async.*block_on"):
            go(fn)


def test_wrong_use_is_a_python_error(rt, script):
    for call in (yield_, lambda: thrum.shield().__enter__()):
        with pytest.raises(RuntimeError, match="inside a Task"):
            call()
    with pytest.raises(TypeError):
        rt.go(3)
    with pytest.raises(TypeError):
        rt.go()
    with pytest.raises(TypeError, match="block_on"):
        rt.go(coroutine := asyncio.sleep(0))
    coroutine.close()
    with pytest.raises(TypeError):
        thrum.Task()
    for count in -1, 1 << 40:
        with pytest.raises(ValueError):
            thrum.Runtime(procs=count)
        with pytest.raises(ValueError):
            thrum.Runtime(interpreters=count)
    with pytest.raises(ValueError):
        sleep(float("nan"))
    for run in rt.run, thrum.run:
        assert "use go" in str(rt.run(lambda: pytest.raises(RuntimeError, run, len)))
    assert rt.run(lambda: pytest.raises(RuntimeError, rt.stop)) is not None
    stopped = thrum.Runtime()
    stopped.stop()
    stopped.stop()
    assert not stopped.live
    with pytest.raises(thrum.ClosedError, match="stopped"):
        stopped.go(len, ())
    with pytest.raises(thrum.ClosedError):
        stopped.__enter__()
    code, out, err = script("import thrum\nthrum.go(print)")
    assert code == 1 and "no runtime here" in err


def test_many(rt):
    def main():
        done = Channel(cap=100)
        for n in range(20000):
            go(done.send, n)
        assert sum(done.recv() for _ in range(20000)) == 199990000
    rt.run(main)


def test_a_hog_does_not_freeze_the_others():
    def hog(stop):
        while not stop:
            pass

    def ticks():
        for _ in range(20):
            sleep(0.001)

    def main():
        stop = []
        task = go(hog, stop)
        go(ticks).join()  # else: for ever
        stop.append(1)
        task.join()
    thrum.run(main, procs=2)


def test_a_blocking_call_does_not_freeze_the_others(rt):
    reads, writes = os.pipe()

    def main():
        late = threading.Timer(20, os.write, (writes, b"late"))
        late.start()
        blocked = go(os.read, reads, 9)
        yield_()
        for _ in range(20):
            sleep(0.001)
        assert not blocked.done()
        late.cancel()
        os.write(writes, b"in time")
        assert blocked.result() == b"in time"
    rt.run(main)
    os.close(reads)
    os.close(writes)


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="3.12 has them")
def test_interpreters_need_312():
    with pytest.raises(RuntimeError, match="3.12"):
        thrum.Runtime(interpreters=1)


def test_tasks_of_a_scope_spawn_in_it(rt):
    def main():
        seen = []

        def visit(n, s):
            sleep(0.0005)
            seen.append(n)
            if n < 6:
                s.go(visit, n + 1, s)
                s.go(visit, n + 1, s)
        with thrum.scope() as s:
            s.go(visit, 0, s)
        assert sorted(seen) == sorted(n for n in range(7) for _ in range(2 ** n))
        with pytest.raises(RuntimeError, match="not open"):
            s.go(visit, 0, s)

        def fails(s):
            sleep(0.001)
            1 / 0

        def late(s):
            try:
                sleep(60)
            finally:
                s.go(sleep, 60)  # is cancelled at once
        with pytest.raises(ZeroDivisionError), thrum.scope() as s:
            s.go(late, s)
            s.go(fails, s)
    rt.run(main)
