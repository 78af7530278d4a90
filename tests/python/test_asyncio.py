"""asyncio programs use Tasks, and Tasks coroutines."""

import asyncio
import contextvars

import pytest

import thrum
from thrum import block_on, go, to_async


def test_to_async(rt):
    async def main():
        tasks = [rt.go(lambda n=n: (thrum.sleep(0.001), n)[1]) for n in range(50)]
        got = await asyncio.gather(*[to_async(t) for t in tasks])
        assert await to_async(tasks[3]) == 3  # ended long ago
        with pytest.raises(ZeroDivisionError):
            await to_async(rt.go(lambda: 1 / 0))
        with pytest.raises(StopIteration):
            stop = rt.go(next, iter(()))
            try:
                await to_async(stop)
            except RuntimeError as error:  # what a coroutine makes of it
                raise error.__cause__
        return got
    assert asyncio.run(main()) == list(range(50))


def test_cancelling_the_coroutine_cancels_the_task(rt):
    async def main():
        task = rt.go(thrum.sleep, 60)
        waits = asyncio.ensure_future(to_async(task))
        await asyncio.sleep(0.01)
        waits.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waits
        return task
    task = asyncio.run(main())
    assert isinstance(task.exception(timeout=10), thrum.Cancelled)


def test_a_closed_loop_hurts_nobody(rt):
    ch = thrum.Channel()

    async def main():
        asyncio.ensure_future(to_async(rt.go(ch.recv)))
        await asyncio.sleep(0.01)
    asyncio.run(main())
    try:
        ch.send(1, timeout=0.1)
    except thrum.Timeout:
        pass  # the cancel came first
    assert rt.run(lambda: 5) == 5


def test_block_on(rt):
    variable = contextvars.ContextVar("variable")

    async def double(n):
        await asyncio.sleep(0.001)
        return 2 * n

    async def fails():
        raise KeyError("x")

    def main():
        variable.set(7)

        async def sees():
            return variable.get()
        tasks = [go(block_on, double(n)) for n in range(20)]
        assert [t.result() for t in tasks] == [2 * n for n in range(20)]
        with pytest.raises(KeyError):
            block_on(fails())
        return block_on(sees())
    assert rt.run(main) == 7
    assert block_on(double(4)) == 8  # from a thread, too


def test_block_on_ends_with_its_task(rt):
    begun, ended = [], []

    async def for_ever():
        begun.append(True)
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            ended.append(True)
            raise

    def main():
        with pytest.raises(thrum.Timeout), thrum.timeout(0.02):
            block_on(for_ever())
        before = len(begun)  # the first may have been over before its time
        task = go(block_on, for_ever())
        while len(begun) == before:
            thrum.sleep(0.001)
        task.cancel()
        assert isinstance(task.exception(), thrum.Cancelled)
    rt.run(main)
    block_on(asyncio.sleep(0))  # the loop has seen both cancels
    assert ended == begun


def test_block_on_in_its_own_loop():
    async def main():
        with pytest.raises(RuntimeError, match="use await"):
            block_on(asyncio.sleep(0), asyncio.get_running_loop())
    asyncio.run(main())


def test_both_ways_at_once(rt):
    """A Task that waits for the loop which waits for the Task."""
    async def main():
        loop = asyncio.get_running_loop()

        def body():
            return block_on(asyncio.sleep(0.001, "inner"), loop)
        return await to_async(rt.go(body))
    assert asyncio.run(main()) == "inner"
