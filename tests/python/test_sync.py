"""Locks, groups, scopes, limits."""

import threading

import pytest

import thrum
from thrum import Channel, go, sleep, yield_


def test_mutex_excludes(rt):
    def main():
        lock, inside, worst = thrum.Mutex(), [0], [0]

        def enters():
            for _ in range(20):
                with lock:
                    inside[0] += 1
                    worst[0] = max(worst[0], inside[0])
                    yield_()
                    inside[0] -= 1
        for task in [go(enters) for _ in range(10)]:
            task.join()
        assert worst == [1]
        with lock:
            with pytest.raises(thrum.DeadlockError):
                lock.lock()
            with pytest.raises(RuntimeError, match="not locked"):
                go(lock.unlock).join()
            with pytest.raises(thrum.Timeout):
                go(lock.lock, 0.001).join()
    rt.run(main)


def test_mutex_between_a_task_and_a_thread(rt):
    lock, count = thrum.Mutex(), [0]

    def adds():
        for _ in range(500):
            with lock:
                count[0] += 1
    tasks = [rt.go(adds) for _ in range(3)]
    threads = [threading.Thread(target=adds) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thing in tasks + threads:
        thing.join()
    assert count == [2500]


def test_rwlock(rt):
    def main():
        lock, seen = thrum.RWLock(), []

        def reads():
            with lock.read():
                seen.append("r")
                sleep(0.001)
                seen.append("R")

        def writes():
            with lock.write():
                seen.append("w")
                sleep(0.001)
                seen.append("W")
        for task in [go(reads), go(reads), go(writes)]:
            task.join()
        assert "".join(seen) == "rrRRwW"
    rt.run(main)


def test_cond(rt):
    def main():
        lock, ready = thrum.Mutex(), []
        cond = thrum.Cond(lock)

        def waits():
            with cond:
                while not ready:
                    cond.wait()
                ready.pop()
        tasks = [go(waits) for _ in range(3)]
        yield_()
        for notify in (cond.notify, cond.notify_all):
            with lock:
                ready.extend([1] * 3)
                notify()
            yield_()
            with lock:
                cond.notify_all()
        for task in tasks:
            task.join()
        with cond, pytest.raises(thrum.Timeout):
            cond.wait(0.001)
        with pytest.raises(RuntimeError):
            cond.wait()
        with pytest.raises(TypeError):
            thrum.Cond(3)
    rt.run(main)


def test_a_notice_between_two_looks_at_signals_is_seen(rt):
    """A thread waits in slices; who notifies need not hold the mutex."""
    lock, ready, turns = thrum.Mutex(), [], 40
    cond = thrum.Cond(lock)

    def notifies():
        for n in range(turns):
            with lock:
                ready.append(n)
            cond.notify()
            sleep(0.0203 * (n % 3))  # about when a slice ends
    task = rt.go(notifies)
    with cond:
        for n in range(turns):
            while len(ready) <= n:
                cond.wait(timeout=20)
    task.join()


def test_wait_group_semaphore_once(rt):
    def main():
        group, gate, once = thrum.WaitGroup(), thrum.Semaphore(2), thrum.Once()
        inside, worst, calls = [0], [0], []

        def enters():
            with gate:
                inside[0] += 1
                worst[0] = max(worst[0], inside[0])
                once.do(lambda: (yield_(), calls.append(1)))
                yield_()
                inside[0] -= 1
            group.done()
        group.add(10)
        for _ in range(10):
            go(enters)
        group.wait()
        assert (worst, calls) == ([2], [1])
        with pytest.raises(ValueError, match="less than 0"):
            group.done()
        with pytest.raises(thrum.Timeout):
            thrum.Semaphore(0).acquire(0.001)
        with pytest.raises(ValueError):
            thrum.Semaphore(-1)
    rt.run(main)


def test_timeout_and_shield(rt):
    def main():
        ch = Channel()
        with pytest.raises(thrum.Timeout):
            with thrum.timeout(0.005):
                with thrum.timeout(60):
                    ch.recv()
        with pytest.raises(thrum.Timeout):
            ch.recv(timeout=0.001)  # the limit is gone
        with thrum.timeout(float("inf")), pytest.raises(TypeError):
            thrum.timeout("soon").__enter__()

        def shielded():
            with thrum.shield():
                ch.recv()
            sleep(60)
        task = go(shielded)
        yield_()
        task.cancel()
        yield_()
        assert not task.done()
        ch.send(1)
        with pytest.raises(thrum.Cancelled):
            task.join()
    rt.run(main)


def test_scope_joins_all(rt):
    def main():
        with thrum.scope() as s:
            tasks = [s.go(lambda n=n: sleep(0.001 * n) or n) for n in range(5)]
        assert all(t.done() for t in tasks)
        assert [t.result() for t in tasks] == [0, 1, 2, 3, 4]
        with pytest.raises(RuntimeError):
            s.go(len, ())
    rt.run(main)


@pytest.mark.parametrize("steps", range(1, 5))
def test_a_cancel_outlives_the_error_of_a_scope(steps):
    def fail():
        raise ValueError

    def owner():
        with pytest.raises(ValueError):
            with thrum.scope() as tasks:
                tasks.go(fail)
        sleep(60)

    def main():
        task = go(owner)
        for _ in range(steps):
            yield_()
        assert task.cancel()
        with pytest.raises(thrum.Cancelled):
            task.join(timeout=10)
    thrum.run(main, procs=1)


def test_scope_cancels_on_the_first_error(rt):
    def fails():
        sleep(0.001)
        raise KeyError("first")

    def main():
        with pytest.raises(KeyError):
            with thrum.scope() as s:
                other = s.go(sleep, 60)
                s.go(fails)
                sleep(60)  # its body too
        assert other.cancelled()
        yield_()  # no cancel is left behind
        with pytest.raises(ZeroDivisionError):
            with thrum.scope() as s:
                other = s.go(sleep, 60)
                1 / 0
        assert other.cancelled()
        with pytest.raises(thrum.Timeout):
            with thrum.scope(timeout=0.01) as s:
                other = s.go(sleep, 60)
        assert other.cancelled()
    rt.run(main)
