"""Counts a server's system calls: runs echo_load with the server under strace,
and adds to its JSON how many calls of each kind there were per request.

usage: syscalls.py ECHO_LOAD --server LINE [flags]

Under strace the server is some ten times slower. The counts are those of all
its threads from start to end; what it spent on starting is spread over all
requests.

SPDX-License-Identifier: MIT
"""

import ctypes
import json
import os
import pathlib
import subprocess
import sys
import tempfile

KINDS = {"read": "read readv recvfrom recvmsg", "write":
         "write writev sendto sendmsg", "epoll_ctl": "epoll_ctl",
         "epoll_wait": "epoll_wait epoll_pwait epoll_pwait2", "futex": "futex"}
KIND_OF = {call: kind for kind, calls in KINDS.items() for call in calls.split()}


def counts(summary):
    """{kind: calls} of what `strace -c` printed."""
    found = dict.fromkeys([*KINDS, "other"], 0)
    for line in summary.splitlines():
        words = line.split()
        # share, seconds, each, calls, perhaps errors, name
        if len(words) >= 5 and words[3].isdigit() and words[-1] != "total":
            found[KIND_OF.get(words[-1], "other")] += int(words[3])
    return found


def adopt():
    """strace -D is the server's child; once that has ended, it becomes ours."""
    set_child_subreaper = 36
    if ctypes.CDLL(None).prctl(set_child_subreaper, 1, 0, 0, 0) != 0:
        sys.exit("no subreaper")


def wait_for_strace():
    """It writes its counts after the server has ended."""
    try:
        while True:
            os.wait()
    except ChildProcessError:
        return


def main(argv):
    at = argv.index("--server") + 1
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "counts")
        argv[at] = f"strace -D -f -qq -c -o {path} {argv[at]}"
        adopt()
        done = subprocess.run(argv, stdout=subprocess.PIPE, check=False)
        wait_for_strace()
        if done.returncode != 0:
            return done.returncode
        found = counts(path.read_text(encoding="utf-8"))
    figures = json.loads(done.stdout)
    figures["bench"] = "echo_syscalls"
    for kind, calls in found.items():
        figures[f"{kind}_calls"] = calls
        figures[f"{kind}_per_request"] = calls / figures["all_ops"]
    print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
