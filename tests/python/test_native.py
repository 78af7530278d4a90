"""C functions as green threads; deadlocks are told."""

import ctypes
import subprocess
import sysconfig
import threading
import time

import pytest

import thrum
from thrum import go, go_native
from conftest import hop

SOURCE = r"""
#include <stdint.h>
#include <unistd.h>
struct sum { int64_t n, result; };
void sum(void* arg) {
  struct sum* s = arg;
  for (int64_t i = 1; i <= s->n; ++i) { s->result += i; }
}
void nap(void* arg) { usleep(*(unsigned*)arg); }
static volatile int waiting;
void meet(void* arg) {          /* two at once, or never an end */
  (void)arg;
  __atomic_fetch_add(&waiting, 1, __ATOMIC_SEQ_CST);
  while (waiting < 2) { usleep(100); }
}
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    place = tmp_path_factory.mktemp("native")
    (place / "x.c").write_text(SOURCE)
    compiler = sysconfig.get_config_var("CC").split()[0]
    try:
        subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", place / "x.so",
                        place / "x.c"], check=True)
    except FileNotFoundError:
        pytest.skip("there is no C compiler")
    return ctypes.CDLL(str(place / "x.so"))


class Sum(ctypes.Structure):
    _fields_ = [("n", ctypes.c_int64), ("result", ctypes.c_int64)]


def test_it_runs_and_ends(rt, library):
    def main():
        sums = [Sum(n) for n in range(1, 60)]
        tasks = [go_native(library.sum, s) for s in sums]
        for task in tasks:
            assert task.result() is None
        assert [s.result for s in sums] == [n * (n + 1) // 2
                                            for n in range(1, 60)]
        assert tasks[0].name == "sum"
    rt.run(main)


def test_kinds_of_functions_and_arguments(rt, library):
    address = ctypes.cast(library.sum, ctypes.c_void_p).value

    def main():
        one = Sum(4)
        go_native(address, ctypes.addressof(one)).join()
        go_native(library.sum, ctypes.pointer(one)).join()
        room = bytearray(bytes(one))
        go_native(library.sum, room).join()
        assert (one.result, Sum.from_buffer(room).result) == (20, 30)
        capsule = ctypes.pythonapi.PyCapsule_New
        capsule.restype = ctypes.py_object
        capsule.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
        go_native(capsule(address, b"f", None), one).join()
        assert one.result == 30
        for bad in (len, "sum", None):
            with pytest.raises(TypeError):
                go_native(bad)
        with pytest.raises(ValueError):
            go_native(0)
        with pytest.raises(TypeError):
            go_native(library.sum, b"cannot be written")
    rt.run(main)


def test_cffi(rt, library):
    cffi = pytest.importorskip("cffi")
    ffi = cffi.FFI()
    ffi.cdef("struct sum { int64_t n, result; }; void sum(void*);")
    lib = ffi.dlopen(library._name)

    def main():
        one = ffi.new("struct sum*", [5, 0])
        go_native(ffi.addressof(lib, "sum"), one).join()
        return one.result
    assert rt.run(main) == 15


def test_two_run_at_once(rt, library):
    def main():
        tasks = [go_native(library.meet), go_native(library.meet)]
        for task in tasks:
            task.join(timeout=30)
    rt.run(main)


def test_arguments_live_until_the_end(rt, library):
    def main():
        task = go_native(library.nap, ctypes.c_uint(20000))
        go_native(library.nap, ctypes.c_uint(20000))  # nobody waits for it
        task.join()
    rt.run(main)


def test_callbacks_into_python(rt):
    kind = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
    seen = []

    @kind
    def back(arg):
        try:
            thrum.sleep(0.001)
        except RuntimeError as error:
            seen.append((arg, str(error)))

    def main():
        for n in range(1, 20):
            go_native(back, n).join()
            hop()
        assert [n for n, _ in seen] == list(range(1, 20))
        assert "must not wait" in seen[0][1]
    rt.run(main)


def test_only_in_a_runtime():
    with pytest.raises(RuntimeError, match="no runtime here"):
        go_native(ctypes.CDLL(None).abs)


# ---- deadlocks ----------------------------------------------------------------

def test_a_deadlock_is_told(script):
    code, out, err = script("""
        import thrum
        def other(a, b):
            a.send(b.recv())
        def main():
            a, b = thrum.Channel(), thrum.Channel()
            thrum.go(other, a, b)
            a.recv()
        try:
            thrum.run(main)
        except thrum.DeadlockError as error:
            print("told:", error)
    """)
    assert code == 0 and out.startswith("told: ")
    assert "every Task waits" in err and "Task other (waiting: chan_recv)" in err


def test_what_another_thread_or_time_ends_is_no_deadlock(script):
    code, out, err = script("""
        import threading, time, thrum
        def main():
            a = thrum.Channel()
            threading.Thread(target=lambda: (time.sleep(1.3), a.send(1))).start()
            assert a.recv() == 1
            thrum.go(lambda: (thrum.sleep(1.3), a.send(2)))
            return a.recv()
        print(thrum.run(main))
    """)
    assert (code, out, err) == (0, "2\n", "")


@pytest.mark.parametrize("start", [
    "_thread.start_new_thread(lambda: (time.sleep(1.3), a.send(1)), ())",
    "other.go(lambda: (thrum.sleep(1.3), a.send(1)))"])
def test_nor_is_what_a_thread_or_a_runtime_unseen_ends(script, start):
    code, out, err = script(f"""
        import _thread, time, thrum
        a = thrum.Channel()
        with thrum.Runtime() as rt, thrum.Runtime() as other:
            {start}
            print(rt.run(a.recv))
    """)
    assert (code, out, err) == (0, "1\n", "")
