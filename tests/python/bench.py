#!/usr/bin/env python3
"""thrum's hot paths beside greenlet, gevent, asyncio and threads.

usage: bench.py [--runs N] [SUBJECT...]     subjects: yield chan spawn hog parked

Every run is a fresh process of this Python; sides alternate. Prints medians with
their range, in ns per operation (or bytes), and how many times as long the others
take. A side whose package is not installed is skipped, with the reason. Operations:
one yield, by one of two that take turns (its Python call included, in a loop like
timeit's); one send and its receive, between two; one that is made, runs and has
ended, 100 live at once; the worst gap in naps of 1 ms beside a loop that never waits;
bytes of memory for each of 100,000 that wait, page tables included.
"""

import argparse
import collections
import importlib.util
import platform
import statistics
import subprocess
import sys
import time
from itertools import repeat

N = 200_000
PARKED = 100_000


def timed(n, run):
    began = time.perf_counter_ns()
    run()
    return (time.perf_counter_ns() - began) / n


def thrum_yield():
    import thrum

    def loop():
        step = thrum.yield_
        for _ in repeat(None, N):
            step()
    return thrum.run(lambda: timed(2 * N, lambda: [
        t.join() for t in [thrum.go(loop), thrum.go(loop)]]), procs=2)


def thrum_chan():
    import thrum

    def main():
        ch = thrum.Channel()

        def sends():
            send = ch.send
            for i in range(N):
                send(i)
            ch.close()
        return timed(N, lambda: (thrum.go(sends),
                                 collections.deque(ch, maxlen=0)))
    return thrum.run(main, procs=2)


def thrum_spawn():
    import thrum

    def nothing():
        pass

    def loop():
        for _ in range(N // 100):
            for _ in range(100):
                thrum.go(nothing)
            thrum.yield_()
    return thrum.run(lambda: timed(N, loop), procs=2)


def greenlet_yield():
    from greenlet import getcurrent, greenlet
    parent = getcurrent()

    def loop():
        switch = parent.switch
        for _ in repeat(None, N):
            switch()

    def back():
        step = greenlet(loop).switch
        for _ in repeat(None, N):
            step()
    # One switch there and one back: two operations.
    return timed(2 * N, back)


def greenlet_spawn():
    from greenlet import greenlet
    return timed(N, lambda: [greenlet(int).switch() for _ in range(N)] and None)


def gevent_yield():
    import gevent

    def loop():
        step = gevent.sleep
        for _ in repeat(None, N):
            step(0)
    return timed(2 * N, lambda: gevent.joinall([gevent.spawn(loop),
                                                gevent.spawn(loop)]))


def gevent_chan():
    import gevent
    from gevent.queue import Queue
    queue = Queue(1)

    def sends():
        for i in range(N):
            queue.put(i)

    def receives():
        for _ in range(N):
            queue.get()
    return timed(N, lambda: gevent.joinall([gevent.spawn(sends),
                                            gevent.spawn(receives)]))


def gevent_spawn():
    import gevent

    def loop():
        for _ in range(N // 100):
            gevent.joinall([gevent.spawn(int) for _ in range(100)])
    return timed(N, loop)


def asyncio_run(make):
    import asyncio
    box = []

    async def main():
        began = time.perf_counter_ns()
        n = await make(asyncio)
        box.append((time.perf_counter_ns() - began) / n)
    asyncio.run(main())
    return box[0]


def asyncio_yield():
    async def both(asyncio):
        async def loop():
            for _ in repeat(None, N):
                await asyncio.sleep(0)
        await asyncio.gather(loop(), loop())
        return 2 * N
    return asyncio_run(both)


def asyncio_chan():
    async def both(asyncio):
        queue = asyncio.Queue(1)

        async def sends():
            for i in range(N):
                await queue.put(i)

        async def receives():
            for _ in range(N):
                await queue.get()
        await asyncio.gather(sends(), receives())
        return N
    return asyncio_run(both)


def asyncio_spawn():
    async def loop(asyncio):
        async def nothing():
            pass
        for _ in range(N // 100):
            await asyncio.gather(*[asyncio.create_task(nothing())
                                   for _ in range(100)])
        return N
    return asyncio_run(loop)


def threading_chan():
    import queue
    import threading
    n = N // 20
    ch = queue.Queue(1)
    thread = threading.Thread(target=lambda: [ch.put(i) for i in range(n)])

    def loop():
        thread.start()
        for _ in range(n):
            ch.get()
        thread.join()
    return timed(n, loop)


def threading_spawn():
    import threading
    n = N // 100

    def loop():
        for _ in range(n // 100):
            threads = [threading.Thread(target=int) for _ in range(100)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    return timed(n, loop)


def worst_gap(sleep, start):
    """In ns: of naps of 1 ms for a second, beside one that computes."""
    stop, worst = [], 0

    def hog():
        while not stop:
            pass
    end = start(hog)
    over = time.monotonic_ns() + 1_000_000_000
    while (began := time.monotonic_ns()) < over:
        sleep(0.001)
        worst = max(worst, time.monotonic_ns() - began)
    stop.append(True)
    end()
    return worst


def thrum_hog():
    import thrum
    return thrum.run(lambda: worst_gap(
        thrum.sleep, lambda hog: thrum.go(hog).join), procs=2)


def threading_hog():
    import threading

    def start(hog):
        thread = threading.Thread(target=hog)
        thread.start()
        return thread.join
    return worst_gap(time.sleep, start)


def grown(make):
    """Bytes of memory for each of PARKED that make() makes."""
    def resident():
        with open("/proc/self/status") as file:
            sizes = dict(line.split(":") for line in file)
        return sum(1024 * int(sizes[of].split()[0]) for of in ("VmRSS", "VmPTE"))
    before = resident()
    kept = make()
    bytes_each = (resident() - before) / PARKED
    del kept
    return bytes_each


def thrum_parked():
    import thrum

    def main():
        ch = thrum.Channel()

        def make():
            tasks = [thrum.go(ch.recv) for _ in range(PARKED)]
            thrum.yield_()  # behind them all
            return tasks
        return grown(make)
    return thrum.run(main, procs=2)


def greenlet_parked():
    from greenlet import getcurrent, greenlet
    park = getcurrent().switch

    def make():
        greenlets = [greenlet(park) for _ in range(PARKED)]
        for g in greenlets:
            g.switch()
        return greenlets
    return grown(make)


def gevent_parked():
    import gevent
    from gevent.event import Event
    event = Event()

    def make():
        greenlets = [gevent.spawn(event.wait) for _ in range(PARKED)]
        gevent.sleep(0)
        return greenlets
    return grown(make)


SUBJECTS = {"yield": ["thrum", "greenlet", "gevent", "asyncio"],
            "chan": ["thrum", "gevent", "asyncio", "threading"],
            "spawn": ["thrum", "greenlet", "gevent", "asyncio", "threading"],
            "hog": ["thrum", "threading"],
            "parked": ["thrum", "greenlet", "gevent"]}


def one(side, subject):
    done = subprocess.run([sys.executable, __file__, "--one", side, subject],
                          capture_output=True, text=True, check=True)
    return float(done.stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--one", metavar="SIDE")
    parser.add_argument("subjects", nargs="*", default=list(SUBJECTS))
    asked = parser.parse_args()
    if asked.one:
        print(globals()[f"{asked.one}_{asked.subjects[0]}"]())
        return
    import thrum
    print(f"CPython {platform.python_version()}; {thrum.build_info}")
    for subject in asked.subjects:
        sides = []
        for side in SUBJECTS[subject]:
            if importlib.util.find_spec(side):
                sides.append(side)
            else:
                print(f"{subject:6} {side:10} skipped: {side} is not installed")
        runs = {side: [] for side in sides}
        for _ in range(asked.runs):
            for side in sides:
                runs[side].append(one(side, subject))
        ours = statistics.median(runs["thrum"])
        unit = "bytes" if subject == "parked" else "ns"
        for side in sides:
            mid = statistics.median(runs[side])
            print(f"{subject:6} {side:10} {mid:9.0f} {unit}  "
                  f"[{min(runs[side]):.0f}-{max(runs[side]):.0f}]  "
                  f"{mid / ours:6.1f}x")


if __name__ == "__main__":
    main()
