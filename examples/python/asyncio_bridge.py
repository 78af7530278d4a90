#!/usr/bin/env python3
"""Tasks in an asyncio program, and coroutines in Tasks.

The program is asyncio's. It hands work that blocks to Tasks, and they call its
coroutines as if these were functions.
"""

import asyncio
import hashlib
import time

import thrum


async def lookup(key):
    """A client that only asyncio has."""
    await asyncio.sleep(0.02)
    return f"value of {key}" * 1000


def digest(key, loop):
    """Plain blocking code, in a Task."""
    value = thrum.block_on(lookup(key), loop)
    time.sleep(0.02)  # a library that blocks: the others go on
    return key, thrum.offload(lambda: hashlib.sha256(value.encode()).hexdigest())


async def main():
    loop = asyncio.get_running_loop()
    with thrum.Runtime(handover=0.0005) as runtime:
        began = time.monotonic()
        tasks = [runtime.go(digest, n, loop) for n in range(50)]
        for key, found in await asyncio.gather(*map(thrum.to_async, tasks)):
            if key < 3:
                print(key, found[:16])
        print(f"50 in {time.monotonic() - began:.2f} s; one after the other they "
              "take 2 s")
        await loop.run_in_executor(None, runtime.stop)


asyncio.run(main())
