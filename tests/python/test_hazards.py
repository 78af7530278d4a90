"""What crashed or hung a prototype once: one test for each row."""

import ctypes
import gc
import io
import json
import sys
import threading
import time

import pytest

import thrum
from conftest import hop
from thrum import go, yield_


def spread(body, n=8):
    """n Tasks of it at once, on a runtime where they change threads."""
    def main():
        return [t.result() for t in [go(body) for _ in range(n)]]
    with thrum.Runtime(procs=2, handover=0.0002) as runtime:
        return runtime.run(main)


def test_tasks_do_change_threads():
    """Else the tests below prove nothing."""
    def body():
        seen = set()
        for _ in range(100):
            hop()
            seen.add(threading.get_native_id())
        return seen
    assert len(set().union(*spread(body))) > 1


def test_frames_generators_and_callbacks_move():
    def numbers():
        for n in range(30):
            hop()
            yield n

    def deep(n):
        if n == 0:
            hop()
            return 0
        return 1 + deep(n - 1)

    def body():
        assert sum(numbers()) == 435
        assert deep(200) == 200

        def key(x):
            hop()
            return -x
        return sorted(range(20), key=key)
    assert spread(body) == [list(range(19, -1, -1))] * 8


def test_an_exception_in_flight_moves():
    def body():
        for n in range(30):
            try:
                try:
                    raise KeyError(n)
                except KeyError:
                    hop()
                    assert sys.exc_info()[1].args == (n,)
                    raise
            except KeyError as error:
                hop()
                assert error.args == (n,)
        return sys.exc_info()
    assert spread(body) == [(None, None, None)] * 8


def test_thread_locals_stay_with_their_task():
    local = threading.local()

    def body():
        local.x = me = object()
        for _ in range(50):
            hop()
            assert local.x is me
        return True
    assert spread(body) == [True] * 8


def test_gilstate_ensure_after_hops():
    """ctypes callbacks call PyGILState_Ensure; 3.11 deadlocked, 3.13 died."""
    libc = ctypes.CDLL(None)
    compare = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int),
                               ctypes.POINTER(ctypes.c_int))

    def body():
        for _ in range(20):
            hop()
        values = (ctypes.c_int * 16)(*range(16, 0, -1))

        def order(a, b):
            return a[0] - b[0]
        libc.qsort(values, 16, 4, compare(order))
        return list(values)
    assert spread(body) == [list(range(1, 17))] * 8


def test_gilstate_ensure_may_wait_inside():
    """A PyDLL call keeps the GIL: the callback is the Task's own code."""
    libc = ctypes.PyDLL(None)
    compare = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int),
                                ctypes.POINTER(ctypes.c_int))

    def body():
        values = (ctypes.c_int * 16)(*range(16, 0, -1))

        def order(a, b):
            hop()
            return a[0] - b[0]
        libc.qsort(values, 16, 4, compare(order))
        return list(values)
    assert spread(body) == [list(range(1, 17))] * 8


def test_gc_amid_it_all():
    class Loop:
        def __init__(self):
            self.me = self

    def body():
        for _ in range(50):
            Loop()
            hop()
            gc.collect(0)
        return True
    assert spread(body) == [True] * 8


def nested(n):
    return n and [nested(n - 1)]


def built(n):
    """The same, deeper than Python could recurse."""
    value = []
    for _ in range(n):
        value = [value]
    return value


@pytest.mark.parametrize("what", [
    "import", "getaddrinfo", "compile", "json", "loads", "repr", "equal", "sorted",
    "python", "deep repr", "deep json", "deep equal", "deep sorted"])
def test_deep_c_recursion(what):
    """It succeeds or raises RecursionError on the default stack."""
    def sorts(n):
        return sorted([1], key=lambda x: x if n == 0 else sorts(n - 1)[0])

    def dive(n):
        return 1 + dive(n + 1)
    calls = {
        "import": lambda: [__import__(n) for n in ("decimal", "ssl", "asyncio")],
        "getaddrinfo": lambda: __import__("socket").getaddrinfo("localhost", 1),
        "loads": lambda: json.loads("[" * 100_000),
        "equal": lambda: nested(900) == nested(900),
        "deep repr": lambda: repr(built(100_000)),
        "deep json": lambda: json.dumps(built(100_000)),
        "deep equal": lambda: built(100_000) == built(100_000),
        "deep sorted": lambda: sorts(100_000),
        "compile": lambda: compile("(" * 80 + "1" + ")" * 80, "x", "eval"),
        "json": lambda: json.dumps(nested(900)),
        "repr": lambda: repr(nested(900)),
        "sorted": lambda: sorts(100),
        "python": lambda: dive(0),
    }

    def body():
        try:
            calls[what]()
        except (RecursionError, MemoryError):
            pass
        return True
    assert spread(body, 2) == [True] * 2


def test_finalizers_at_the_end_of_a_task_must_not_wait(script):
    code, out, err = script("""
        import threading, thrum
        local = threading.local()
        class Waits:
            def __del__(self):
                thrum.sleep(0.01)
        def body():
            local.x = Waits()
        def main():
            thrum.go(body).join()
            return "fine"
        print(thrum.run(main))
    """)
    assert (code, out) == (0, "fine\n")
    assert "RuntimeError" in err and "must not wait" in err


OTHER = """
try:
    import _interpreters
except ImportError:
    import _xxsubinterpreters as _interpreters

def in_another(code):
    other = _interpreters.create()
    try:
        error = _interpreters.run_string(other, code)  # since 3.13 it returns it
        return "" if error is None else error.formatted
    except Exception as error:
        return str(error)
    finally:
        _interpreters.destroy(other)
"""


def test_another_interpreter_that_a_task_runs_is_no_task(script):
    code, out, err = script(OTHER + """
import ctypes, thrum
seen = []
@ctypes.CFUNCTYPE(None, ctypes.c_void_p)
def native(_):
    seen.append(thrum.current_task())
def main():
    thrum.go_native(native, None).join()
    for call in "sleep(0.001)", "Channel().recv()", "Runtime()", "run(print)":
        print(in_another("import thrum; thrum." + call))
    print(in_another("import thrum; assert not thrum.current_task()"))
    thrum.go_native(native, None).join()
    thrum.sleep(0.001)
    assert all(seen) and len(seen) == 2
thrum.run(main)
""")
    assert (code, err) == (0, "")
    waits, more, runtime, run, none = out.splitlines()
    assert "in another interpreter" in waits and "in another interpreter" in more
    assert "let a thread run it" in runtime and "let a thread run it" in run
    assert none == ""


def test_an_interpreter_ends_after_its_runtime(script):
    assert script(OTHER + """
print(in_another('''
import thrum
print(thrum.run(pow, 2, 3))
with thrum.Runtime() as rt:
    print(rt.go(pow, 2, 4).result(), flush=True)
'''))
""") == (0, "8\n16\n\n", "")


def test_offload_runs_beside_the_others(rt):
    def main():
        gate = threading.Event()
        blocked = go(thrum.offload, gate.wait, 20)
        yield_()
        gate.set()
        with pytest.raises(RuntimeError, match="must not wait"):
            thrum.offload(thrum.sleep, 1)
        with pytest.raises(ZeroDivisionError):
            thrum.offload(lambda: 1 / 0)
        assert thrum.offload(dict, a=1) == {"a": 1}
        assert blocked.result()  # it did not wait in vain
    rt.run(main)
    assert thrum.offload(max, 1, 2) == 2


def test_dump_names_every_task(rt):
    def waits_here():
        thrum.Channel().recv()

    def main():
        task = go(waits_here)
        yield_()
        out = io.StringIO()
        thrum.dump(out)
        task.cancel()
        return out.getvalue()
    text = rt.run(main)
    assert "waits_here (waiting: " in text and "thrum.Channel().recv()" in text


def test_current_frames_tell_tasks_apart(rt):
    def main():
        tasks = [go(thrum.sleep, 60) for _ in range(5)]

        def waits():
            thrum.sleep(60)
        tasks += [go(waits) for _ in range(5)]
        yield_()
        frames = [f.f_code.co_name for f in sys._current_frames().values()]
        for task in tasks:
            task.cancel()
        return frames.count("waits")
    assert rt.run(main) == 5
