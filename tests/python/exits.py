#!/usr/bin/env python3
"""How a process ends while Tasks are in the middle of something, many times.

usage: exits.py [N [JOBS]]     N processes (200) for each state, JOBS (2) at once

Each must end with status 0, with its output and without a word on stderr. Prints
how many did, and the median and worst time in seconds. tests/python/test_ends.py
does each once.
"""

import collections
import concurrent.futures
import platform
import statistics
import subprocess
import sys
import time

STATES = {
    "idle": "pass",
    "waits": "rt.go(thrum.Channel().recv)",
    "accepts": "rt.go(accepts)",
    "sleeps": "rt.go(thrum.sleep, 60)",
    "spins": "rt.go(spin)",
    "blocks": "rt.go(time.sleep, 60)",
    "offloads": "rt.go(thrum.offload, time.sleep, 60)",
    "catches": "rt.go(catches)",
}

# Of {state} and {how} it ends; there was a runtime before.
PROGRAM = """
import sys, time, thrum
def spin():
    while True:
        pass
def catches():
    while True:
        try:
            thrum.sleep(60)
        except thrum.Cancelled:
            break
def accepts():
    thrum.net.listen(("127.0.0.1", 0)).accept()
with thrum.Runtime(procs=2) as rt:
    rt.run(thrum.yield_)
rt = thrum.Runtime(procs=2)
for _ in range(3):
    {state}
time.sleep(0.03)
print("end")
{how}
"""


def one(state):
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-c", PROGRAM.format(state=state, how="")],
                          capture_output=True, text=True)
    good = (done.returncode, done.stdout, done.stderr) == (0, "end\n", "")
    return time.monotonic() - began, None if good else done


def main():
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    jobs = int(sys.argv[2]) if len(sys.argv) > 2 else 2
    bad = collections.Counter()
    for name, state in STATES.items():
        with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
            results = list(pool.map(one, [state] * n))
        times = [seconds for seconds, _ in results]
        for _, done in results:
            if done is not None:
                bad[name] += 1
                print(f"{name}: {done.returncode} {done.stderr[-2000:]}")
        print(f"CPython {platform.python_version()} {name:8} {n - bad[name]} of "
              f"{n} fine, {statistics.median(times):.2f} s, worst "
              f"{max(times):.2f} s", flush=True)
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
