"""Interpreters with a GIL of their own."""

import os
import sys
import tempfile
import threading

import pytest

import thrum
from thrum import Port, go_remote

if sys.version_info < (3, 12):
    pytest.skip("interpreters with a GIL each need CPython 3.12",
                allow_module_level=True)


@pytest.fixture
def rt2():
    with thrum.Runtime(procs=2, interpreters=2) as runtime:
        yield runtime


def test_calls_by_path_and_by_source(rt2):
    def main():
        assert thrum.parallelism() == "interpreters"
        assert go_remote("math:sqrt", 16).result() == 4
        assert go_remote("os.path:join", "a", "b").result() == "a/b"
        assert go_remote(os.path.basename, "a/b").result() == "b"
        source = """
def main(n, *, plus=0):
    return [n + plus]
"""
        assert go_remote(source, 1, plus=2).result() == [3]
        tasks = [go_remote("operator:mul", n, n) for n in range(40)]
        assert [t.result() for t in tasks] == [n * n for n in range(40)]
        assert tasks[0].name.startswith("mul in interpreter")
    rt2.run(main)
    assert thrum.parallelism() in ("interpreters", "free-threaded")


def test_each_has_its_own_globals(rt2):
    source = """
count = 0
def main():
    global count
    count += 1
    return count
"""

    def main():
        return [go_remote(source, interpreter=n).result() for n in (0, 0, 1)]
    assert rt2.run(main) == [1, 2, 1]


def test_two_compute_at_once(rt2):
    """Each waits, computing, for what the other one does: with one GIL it would
    take a switch interval for each step."""
    source = """
import os, time
def main(path, mine, other):
    for step in range(3):
        open(f"{path}/{mine}{step}", "w").close()
        end = time.monotonic() + 30
        while not os.path.exists(f"{path}/{other}{step}"):
            if time.monotonic() > end:
                raise TimeoutError
    return True
"""
    def main():
        with tempfile.TemporaryDirectory() as place:
            tasks = [go_remote(source, place, *names) for names in ("ab", "ba")]
            return [t.result() for t in tasks]
    assert rt2.run(main) == [True, True]


def test_errors_come_back(rt2):
    source = """
def main(what):
    if what == "local":
        class Local(Exception):
            pass
        raise Local("mine")
    if what == "lambda":
        return lambda: 0
    return 1 / 0
"""

    def main():
        with pytest.raises(ZeroDivisionError) as caught:
            go_remote(source, "").result()
        assert "In interpreter" in caught.value.__notes__[0]
        assert "in main" in caught.value.__notes__[0]
        with pytest.raises(RuntimeError, match="Local: mine"):
            go_remote(source, "local").result()
        with pytest.raises(Exception, match="(?i)pickle|local"):
            go_remote(source, "lambda").result()
        with pytest.raises(ModuleNotFoundError):
            go_remote("no_such_module:f").result()
        with pytest.raises(AttributeError):
            go_remote("math:nothing").result()
        with pytest.raises(ValueError, match="module:function"):
            go_remote("math")
        with pytest.raises(ValueError, match="no name"):
            go_remote(lambda: 0)
        with pytest.raises(IndexError):
            go_remote("math:sqrt", 4, interpreter=2)
        with pytest.raises(Exception, match="(?i)pickle|local"):
            go_remote("math:sqrt", lambda: 0).result()
        assert go_remote("math:sqrt", 4).result() == 2
    rt2.run(main)


def test_ports_lead_there_and_back(rt2):
    source = """
def main(into, out):
    for value in into:
        if value == "port":
            port = into.recv()
            port.send({"deep": [1, (2, b"3")]})
        else:
            out.send(value * 2)
    out.close()
"""

    def main():
        into, out, third = Port(), Port(4), Port(1)
        task = go_remote(source, into, out)
        for n in range(20):
            into.send(n)
            assert out.recv() == 2 * n
        into.send("port")
        into.send(third)
        assert third.recv() == {"deep": [1, (2, b"3")]}
        into.send("x")
        into.close()
        assert list(out) == ["xx"]
        task.join()
        with pytest.raises(thrum.Timeout):
            third.recv(timeout=0.001)
        with pytest.raises(thrum.ClosedError):
            out.send(1)
    rt2.run(main)


def test_ports_that_are_left_full_are_freed(rt2):
    def main():
        for _ in range(100):
            a, b = Port(2), Port(1)
            b.send("x")
            a.send([b, b"y" * 1000])
            a.send(a)  # a circle ends when it is received
            del b
            assert a.recv()[0].recv() == "x"
            a.recv()
    rt2.run(main)


def test_many_wait_in_one(rt2):
    source = """
import thrum
def main(n):
    thrum.sleep(0.02)
    return sum(t.result() for t in [thrum.go(abs, -i) for i in range(n)])
"""

    def main():
        tasks = [go_remote(source, 10) for _ in range(100)]
        return [t.result() for t in tasks]
    assert rt2.run(main) == [45] * 100


def test_cancel_reaches_it(rt2):
    source = """
import thrum
def main(told):
    try:
        told.send("begun")
        thrum.sleep(60)
    except thrum.Cancelled:
        told.send("cancelled")
        raise
"""

    def main():
        told = Port(2)
        task = go_remote(source, told)
        assert told.recv() == "begun"
        task.cancel()
        assert told.recv(timeout=30) == "cancelled"
        assert isinstance(task.exception(), thrum.Cancelled)
        with pytest.raises(thrum.Timeout), thrum.timeout(0.05):
            go_remote(source, Port(2)).result()
    rt2.run(main)


def test_a_runtime_of_its_own_ends_with_it():
    with thrum.Runtime(interpreters=1):
        go_remote("""
import thrum
def main():
    thrum.Runtime(procs=1).go(thrum.sleep, 60)
""").join()


def test_several_threads_stop_it():
    for _ in range(5):
        rt = thrum.Runtime(interpreters=2)
        threads = [threading.Thread(target=rt.stop) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not rt.live


def test_functions_of_the_script(tmp_path):
    import subprocess
    path = tmp_path / "script.py"
    path.write_text("""
import thrum
def double(n):
    return 2 * n
if __name__ == "__main__":
    print(thrum.run(lambda: thrum.go_remote(double, 21).result(), interpreters=1))
""")
    done = subprocess.run([sys.executable, path], capture_output=True, text=True,
                          timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "42\n", "")


def test_where_none_are_made(rt):
    def main():
        with pytest.raises(RuntimeError, match="interpreters=N"):
            go_remote("math:sqrt", 4)
        with pytest.raises(RuntimeError, match="by a thread"):
            thrum.Runtime(interpreters=1)
    rt.run(main)


@pytest.mark.parametrize("state", ["pass", "time.sleep(0.6)", "thrum.sleep(60)",
                                   "spin()", "thrum.Channel().recv()"])
def test_exit(script, state):
    code, out, err = script(f'''
        import time, thrum
        source = """
        import thrum, time
        def spin():
            while True: pass
        def main():
            {state}
        """.replace("\\n        ", "\\n")
        rt = thrum.Runtime(procs=2, interpreters=2)
        with_rt = rt.__enter__()
        for _ in range(3):
            thrum.go_remote(source)
        time.sleep(0.1)
        print("end")
    ''')
    assert (code, out, err) == (0, "end\n", "")
