"""go_native(): C functions as green threads."""

from __future__ import annotations

import ctypes
import importlib
from typing import Any

from . import _core
from ._core import Task


def _is_cdata(value: Any) -> bool:
    return type(value).__module__ == "_cffi_backend"


def _address_of_cdata(value: Any) -> int:
    ffi = importlib.import_module("_cffi_backend").FFI()
    return int(ffi.cast("uintptr_t", value))


def _function(fn: Any) -> int:
    """Its address."""
    if isinstance(fn, int):
        return fn
    if isinstance(fn, ctypes._CFuncPtr):  # type: ignore[attr-defined]
        return ctypes.cast(fn, ctypes.c_void_p).value or 0
    if _is_cdata(fn):
        return _address_of_cdata(fn)
    if type(fn).__name__ == "PyCapsule":
        api = ctypes.pythonapi
        api.PyCapsule_GetName.argtypes = [ctypes.py_object]
        api.PyCapsule_GetName.restype = ctypes.c_char_p
        api.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
        api.PyCapsule_GetPointer.restype = ctypes.c_void_p
        found: int = api.PyCapsule_GetPointer(fn, api.PyCapsule_GetName(fn))
        return found
    address = getattr(fn, "address", None)  # numba.cfunc
    if isinstance(address, int):
        return address
    raise TypeError("a C function is needed: an address, or one of ctypes, cffi, "
                    f"Cython or numba, not {type(fn).__name__}")


def _argument(arg: Any) -> tuple[int, Any]:
    """Its address, and what to keep until the end."""
    if arg is None:
        return 0, None
    if isinstance(arg, int):
        return arg, None
    if _is_cdata(arg):
        return _address_of_cdata(arg), arg
    if isinstance(arg, (ctypes._Pointer, ctypes.c_void_p)):
        return ctypes.cast(arg, ctypes.c_void_p).value or 0, arg
    try:
        return ctypes.addressof(arg), arg
    except TypeError:
        view = (ctypes.c_char * memoryview(arg).nbytes).from_buffer(arg)
        return ctypes.addressof(view), view


def _call(address: int, place: int, *keep: Any) -> None:
    """keep is what both addresses need; the frame holds it."""
    _core.native_call(address, place)


def go_native(fn: Any, arg: Any = None) -> Task[None]:
    """Runs a C function, void (*)(void*), as a green thread on any core.

    It has no GIL and may call thrum's C functions. arg is None, an address, or
    something that ctypes, cffi or the buffer protocol has an address of; like fn it
    lives until the end. What it calls back into Python with PyGILState_Ensure (a
    function that ctypes has made of Python's) must not wait by thrum's means.

    >>> @ctypes.CFUNCTYPE(None, ctypes.POINTER(ctypes.c_int))
    ... def doubles(number):  # else a function of a library
    ...     number[0] *= 2
    >>> number = ctypes.c_int(21)
    >>> thrum.run(lambda: thrum.go_native(doubles, number).join())
    >>> number.value
    42
    """
    address = _function(fn)
    if not address:
        raise ValueError("the function is NULL")
    place, keep = _argument(arg)
    task: Task[None] = _core.go(_call, address, place, fn, keep)
    task.name = getattr(fn, "__name__", None) or "native"
    return task
