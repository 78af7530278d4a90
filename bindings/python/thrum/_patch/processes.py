"""Processes for Tasks: one that may end is a descriptor that becomes readable."""

from __future__ import annotations

import os
import subprocess
from typing import Any

from .. import _core
from .._core import can_park
from .descriptors import READ, wait_fd

_waitpid, _wait, _waitid = os.waitpid, os.wait, os.waitid
_wait3, _wait4, _system = os.wait3, os.wait4, os.system
_popen_wait = getattr(subprocess.Popen, "_wait")


def _until_ended(pid: int, timeout: float | None) -> bool:
    """False: the time has passed. May be true too early: ask the system."""
    try:
        fd = os.pidfd_open(pid)
    except OSError:
        return True
    try:
        return wait_fd(fd, READ, timeout)
    finally:
        os.close(fd)


def waitpid(pid: int, options: int, /) -> tuple[int, int]:
    """os.waitpid, which parks the Task."""
    if not can_park() or options & os.WNOHANG:
        return _waitpid(pid, options)
    found = _waitpid(pid, options | os.WNOHANG)
    if found[0]:
        return found
    if pid > 0 and not options & (os.WUNTRACED | os.WCONTINUED):
        _until_ended(pid, None)
        return _waitpid(pid, options)
    return _core.offload(_waitpid, pid, options)


def wait() -> tuple[int, int]:
    """os.wait, which parks the Task."""
    return waitpid(-1, 0)


def wait3(options: int) -> Any:
    """os.wait3 beside the other Tasks."""
    return _core.offload(_wait3, options)


def wait4(pid: int, options: int) -> Any:
    """os.wait4 beside the other Tasks."""
    return _core.offload(_wait4, pid, options)


def waitid(idtype: int, ident: int, options: int, /) -> Any:
    """os.waitid beside the other Tasks."""
    return _core.offload(_waitid, idtype, ident, options)


def system(command: Any) -> int:
    """os.system beside the other Tasks."""
    return _core.offload(_system, command)


def _wait_process(self: Any, timeout: float | None) -> Any:
    """Popen._wait, which parks the Task."""
    if self.returncode is None and can_park():
        if not _until_ended(self.pid, timeout):
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
    return _popen_wait(self, timeout)


def patch_os() -> None:
    for call in (waitpid, wait, wait3, wait4, waitid, system):
        setattr(os, call.__name__, call)


def patch_subprocess() -> None:
    setattr(subprocess.Popen, "_wait", _wait_process)
