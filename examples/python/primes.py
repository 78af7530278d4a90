#!/usr/bin/env python3
"""Pure Python on several cores: interpreters with a GIL each (CPython 3.12).

usage: primes.py [INTERPRETERS [LIMIT]]
"""

import sys
import time

import thrum


def count(low, high):
    """Primes in [low, high), the slow way."""
    return sum(all(n % d for d in range(2, int(n ** 0.5) + 1))
               for n in range(max(low, 2), high))


def timed(interpreters, limit, step):
    began = time.monotonic()
    tasks = [thrum.go_remote(count, low, min(low + step, limit),
                             interpreter=number % interpreters)
             for number, low in enumerate(range(0, limit, step))]
    found = sum(task.result() for task in tasks)
    return time.monotonic() - began, found


def main():
    many = int(sys.argv[1]) if len(sys.argv) > 1 else 2
    limit = int(sys.argv[2]) if len(sys.argv) > 2 else 400_000
    with thrum.Runtime(procs=max(many, 2), interpreters=many) as runtime:
        def compare():
            timed(many, 1000, 100)  # they have read this file now
            pairs = [(timed(1, limit, 10_000), timed(many, limit, 10_000))
                     for _ in range(3)]
            return (min(one for one, _ in pairs), min(all_ for _, all_ in pairs))
        (one, found), (all_of_them, same) = runtime.run(compare)
    assert found == same
    print(f"{found} primes below {limit}: {one:.2f} s in one interpreter, "
          f"{all_of_them:.2f} s in {many}: {one / all_of_them:.2f} times as fast")


if __name__ == "__main__":
    if sys.version_info < (3, 12):
        print("skipped: interpreters with a GIL each need CPython 3.12")
    else:
        main()
