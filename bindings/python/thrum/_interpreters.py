"""Calls in further interpreters, which have a GIL of their own each.

Both sides are here: go_remote() in the main one, serve() in each of the others.
Values are copied by pickle; ports lead from one to the other.
"""

from __future__ import annotations

import importlib
import io
import itertools
import pickle
import runpy
import sys
import threading
import traceback
from types import ModuleType
from typing import Any, Callable, Generic, Iterator, TypeVar, Union

from . import _core
from ._core import ClosedError, Runtime, Task, Timeout
from ._scope import shield

T = TypeVar("T")

# How a function is found: (kind, where, name).
Spec = tuple[str, str, str]


class _Pickler(pickle.Pickler):
    """Ports go beside the bytes."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file, pickle.HIGHEST_PROTOCOL)
        self.ports: list[Port[Any]] = []

    def persistent_id(self, obj: Any) -> int | None:
        if not isinstance(obj, Port):
            return None
        self.ports.append(obj)
        return len(self.ports) - 1


class _Unpickler(pickle.Unpickler):
    def __init__(self, data: bytes, ports: list[Port[Any]]) -> None:
        super().__init__(io.BytesIO(data))
        self._ports = ports

    def persistent_load(self, pid: int) -> Port[Any]:
        return self._ports[pid]


def _pack(value: Any) -> tuple[bytes, tuple[Port[Any], ...]]:
    file = io.BytesIO()
    pickler = _Pickler(file)
    pickler.dump(value)
    return file.getvalue(), tuple(pickler.ports)


class Port(_core.Port, Generic[T]):
    """A channel of copies: what is sent is pickled, so it may lead to another
    interpreter. cap 0: a send waits for its receiver.

    A Port that is sent, or given to go_remote(), is the same Port there.

    >>> source = '''
    ... def main(numbers, sums):
    ...     for n in numbers:
    ...         sums.send(sum(range(n)))
    ... '''
    >>> with thrum.Runtime(interpreters=1):
    ...     numbers, sums = thrum.Port(cap=1), thrum.Port()
    ...     task = thrum.go_remote(source, numbers, sums)
    ...     numbers.send(10)
    ...     numbers.close()
    ...     sums.recv()
    45
    """

    def send(self, value: T, timeout: float | None = None) -> None:
        """Waits for room or a receiver. Raises ClosedError, Timeout."""
        self.send_parcel(*_pack(value), timeout)

    def recv(self, timeout: float | None = None) -> T:
        """Waits for a value. Raises ClosedError once it is closed and empty."""
        value: T = _Unpickler(*self.recv_parcel(timeout)).load()
        return value

    def __iter__(self) -> Iterator[T]:
        while True:
            try:
                yield self.recv()
            except ClosedError:
                return

    def __reduce__(self) -> Any:
        raise TypeError("a Port is sent through a Port, or given to go_remote()")


# ---- The main interpreter -------------------------------------------------------
_keys = itertools.count()
_turn = itertools.count()


def _spec(fn: Union[str, Callable[..., Any]]) -> Spec:
    if isinstance(fn, str):
        if "\n" in fn:
            return "source", fn, "main"
        module, _, name = fn.partition(":")
        if not module or not name:
            raise ValueError(f"not 'module:function' and not source: {fn!r}")
        return "module", module, name
    module, name = fn.__module__, fn.__qualname__
    if "<" in name:
        raise ValueError(f"{name} has no name by which another interpreter could "
                         "find it: give a function of a module")
    if module == "__main__":
        path = getattr(sys.modules["__main__"], "__file__", None)
        if path is None:
            raise ValueError("there is no file of __main__: give a function of a "
                             "module, or source")
        return "script", path, name
    return "module", module, name


def _call(runtime: Runtime, number: int, spec: Spec, args: Any,
          kwargs: Any) -> Any:
    """The Task in the main interpreter that stands for the one over there."""
    port: Port[Any] = runtime.port_(Port, number)
    reply: Port[tuple[bool, Any]] = Port(1)
    key = next(_keys)
    data, ports = _pack((args, kwargs))
    port.send(("call", key, spec, data, ports, reply))
    try:
        good, value = reply.recv()
    except (_core.Cancelled, Timeout):
        with shield():
            try:
                port.send(("cancel", key), timeout=1.0)
            except (ClosedError, Timeout):
                pass  # it ends with the runtime
        raise
    if good:
        return value
    error, where = value
    error.add_note(f"In interpreter {number}:\n{where}")
    raise error


def go_remote(fn: Union[str, Callable[..., Any]], /, *args: Any,
              interpreter: int | None = None, **kwargs: Any) -> Task[Any]:
    """Runs fn(*args, **kwargs) as a Task of another interpreter of the Runtime,
    beside all others: it has a GIL of its own.

    fn is "module:function", a function of a module or of the main script (which is
    then run there, with another __name__), or source with a function `main`.
    Arguments, result and error are copied by pickle. Each interpreter has modules
    and globals of its own, which live as long as the Runtime.

    >>> with thrum.Runtime(interpreters=2):
    ...     tasks = [thrum.go_remote("math:factorial", n) for n in range(4)]
    ...     [task.result() for task in tasks]
    [1, 1, 2, 6]
    """
    runtime = _core.current_runtime()
    count = runtime.interpreters
    if not count:
        raise RuntimeError("this Runtime has no further interpreters: "
                           "Runtime(interpreters=N)")
    if interpreter is None:
        interpreter = next(_turn) % count
    elif not 0 <= interpreter < count:
        raise IndexError(f"there are {count} interpreters")
    spec = _spec(fn)
    task: Task[Any] = runtime.go(_call, runtime, interpreter, spec, args, kwargs)
    task.name = f"{spec[2]} in interpreter {interpreter}"
    return task


# ---- The others ---------------------------------------------------------------------
_found: dict[tuple[str, str], Any] = {}
_jobs: dict[int, Task[None]] = {}


def _load(kind: str, where: str) -> Any:
    """A module, or the globals of a script."""
    if kind == "module":
        return importlib.import_module(where)
    if (kind, where) not in _found:
        if kind == "script":
            made = ModuleType("__thrum_main__")
            made.__dict__.update(runpy.run_path(where, run_name=made.__name__))
            sys.modules["__thrum_main__"] = made
        else:
            made = ModuleType("__thrum_source__")
            exec(compile(where, "<source of go_remote()>", "exec"), made.__dict__)
        _found[kind, where] = made
    return _found[kind, where]


def _portable(error: BaseException) -> tuple[BaseException, str]:
    """The error, or one that tells of it, and where it was raised."""
    where = "".join(traceback.format_exception(error)).rstrip()
    try:
        if type(pickle.loads(pickle.dumps(error))) is type(error):
            return error, where
    except Exception:
        pass
    return RuntimeError(f"{type(error).__name__}: {error}"), where


def _job(key: int, spec: Spec, data: bytes, ports: Any,
         reply: Port[tuple[bool, Any]]) -> None:
    try:
        kind, where, name = spec
        fn = _load(kind, where)
        for part in name.split("."):
            fn = getattr(fn, part)
        args, kwargs = _Unpickler(data, list(ports)).load()
        answer = _pack((True, fn(*args, **kwargs)))
    except BaseException as error:
        answer = _pack((False, _portable(error)))
    finally:
        _jobs.pop(key, None)
    with shield():
        reply.send_parcel(*answer)  # there is room for one


def _dispatch(runtime: Runtime, port: Port[Any]) -> None:
    for message in port:
        if message[0] == "call":
            try:
                _jobs[message[1]] = runtime.go(_job, *message[1:])
            except ClosedError:
                return  # it stops: the caller has been cancelled
        elif message[1] in _jobs:
            _jobs[message[1]].cancel()


def serve(token: int) -> None:
    """Called once in each of them, by C, before anything else."""
    runtime, port = _core.attach(token, Port)
    runtime.go(_dispatch, runtime, port)


def finish() -> None:
    """Called once in each of them, by C, at the end, by whichever thread."""
    _core.shutdown()
    # threading waits there for its main thread, unless this is it.
    setattr(threading.main_thread(), "_ident", threading.get_ident())
