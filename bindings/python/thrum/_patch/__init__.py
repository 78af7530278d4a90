"""patch(): the blocking calls of the standard library park the Task.

Threads go on as they are: each patched call looks where it is called from.
"""

from __future__ import annotations

import time

from .. import _core
from .._core import can_park
from . import descriptors, files, processes, sockets, threads

_sleep = time.sleep


def sleep(seconds: float, /) -> None:
    """time.sleep, which parks the Task."""
    if not can_park():
        _sleep(seconds)
    elif seconds < 0:
        raise ValueError("sleep length must be non-negative")
    else:
        _core.sleep(seconds)


def _patch_time() -> None:
    setattr(time, "sleep", sleep)


def _patch_os() -> None:
    files.patch()
    processes.patch_os()


_PARTS = {"threading": threads.patch, "select": descriptors.patch_select,
          "socket": sockets.patch, "time": _patch_time, "os": _patch_os,
          "subprocess": processes.patch_subprocess}
_done: set[str] = set()


def patch(**parts: bool) -> None:
    """Makes the blocking calls of the standard library park the Task that makes
    them, for libraries that know nothing of thrum. Before they are imported, for
    `from time import sleep` keeps what there was.

    >>> thrum.patch()  # threading, select, socket, time, os, subprocess
    >>> import time    # thrum.patch(time=False): all parts but one
    >>> def main():
    ...     naps = [thrum.go(time.sleep, 0.01) for _ in range(100)]
    ...     return [nap.join() for nap in naps].count(None)
    >>> thrum.run(main)
    100

    A threading.Thread that is started where there is a runtime is a Task. Locks made
    before stay locks of threads. Calls of threads do what they did. Of os: read and
    write of pipes and the like, the files that are made of them (not sys.stdin, which
    is older), and the waits for processes.
    """
    unknown = set(parts) - set(_PARTS)
    if unknown:
        raise TypeError(f"patch() knows no {', '.join(sorted(unknown))}")
    for name, do in _PARTS.items():
        if parts.get(name, True) and name not in _done:
            do()
            _done.add(name)
