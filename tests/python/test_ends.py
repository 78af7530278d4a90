"""How things end: the interpreter, a fork, Ctrl-C."""

import pytest

from exits import PROGRAM, STATES


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("how", ["", "sys.exit(3)", "raise SystemExit(3)"])
def test_exit(script, state, how):
    code, out, err = script(PROGRAM.format(state=STATES[state], how=how))
    assert (code, out, err) == (3 if how else 0, "end\n", "")


@pytest.mark.parametrize("daemon", [True, False])
def test_run_in_a_thread_ends_in_silence(script, daemon):
    code, out, err = script(f"""
        import threading, thrum, time
        threading.Thread(target=thrum.run, args=(thrum.sleep, 60),
                         daemon={daemon}).start()
        time.sleep(0.1)
        print("end")
    """)
    assert (code, out, err) == (0, "end\n", "")


def test_ctrl_c_cancels_main(script):
    code, out, err = script("""
        import os, signal, threading, thrum
        def main():
            threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
            try:
                thrum.sleep(60)
            except thrum.Cancelled:
                print("cancelled", flush=True)
                raise
        try:
            thrum.run(main)
        except KeyboardInterrupt:
            print("interrupted")
    """)
    assert (code, out, err) == (0, "cancelled\ninterrupted\n", "")


@pytest.mark.parametrize("program", ["thrum.run(hog)",
                                     "thrum.run(lambda: thrum.go(hog))"])
def test_ctrl_c_interrupts_what_computes(script, program):
    code, out, err = script(f"""
        import os, signal, threading, thrum
        ended = threading.Event()
        def hog():
            try:
                while True:
                    pass
            finally:
                ended.set()
        def press():
            while not ended.wait(0.2):
                os.kill(os.getpid(), signal.SIGINT)
        keys = threading.Thread(target=press)
        keys.start()
        try:
            {program}
        except KeyboardInterrupt:
            keys.join()
            print("interrupted")
    """)
    assert (code, out, err) == (0, "interrupted\n", "")


def test_ctrl_c_in_a_thread_s_wait(script):
    code, out, err = script("""
        import os, signal, threading, thrum
        mutex = thrum.Mutex()
        mutex.lock()
        group = thrum.WaitGroup()
        group.add()
        calls = [thrum.Channel().recv, thrum.Cond(mutex).wait, group.wait,
                 thrum.Semaphore(0).acquire]
        for call in calls:
            threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
            try:
                call()
            except KeyboardInterrupt:
                print("interrupted")
        mutex.unlock()  # the Cond has locked it again
    """)
    assert (code, out, err) == (0, 4 * "interrupted\n", "")


def test_a_runtime_that_is_dropped_stops(script):
    code, out, err = script("""
        import os, thrum, time, warnings
        def threads():
            return len(os.listdir("/proc/self/task"))
        def gone():  # a joined thread leaves /proc a moment later
            while threads() > before:
                time.sleep(0.001)
        warnings.simplefilter("always")
        before = threads()
        with warnings.catch_warnings(record=True) as told:
            thrum.Runtime(procs=2).go(thrum.sleep, 0.01).join()
            gone()
            print(told[0].category.__name__, told[0].message)
            rt = thrum.Runtime(procs=3)
            task = rt.go(thrum.sleep, 0.05)
            del rt  # its Task has it
            print(task.runtime)
            task.join()
            assert len(told) == 1, told
            del task
            assert len(told) == 2, told
            gone()
            # The last one to refer to it is a Task of its own, which cannot stop it.
            thrum.Runtime(procs=2).go(thrum.sleep, 0.02)
            while len(told) < 3:
                time.sleep(0.001)
            told.clear()  # they refer to what they tell of
            while threads() > before:
                with thrum.Runtime():  # a thread makes the next one
                    pass
    """)
    assert (code, out, err) == (0, "ResourceWarning <thrum.Runtime procs=2> was not "
                                "stopped\n<thrum.Runtime procs=3>\n", "")


def test_ctrl_c_beside_another_wakeup_fd(script):
    code, out, err = script("""
        import os, signal, thrum
        def press():
            thrum.sleep(0.1)
            os.kill(os.getpid(), signal.SIGINT)
            thrum.sleep(60)
        reads, writes = os.pipe()
        os.set_blocking(writes, False)
        for fd in -1, writes:
            signal.set_wakeup_fd(fd)
            try:
                thrum.run(press)
            except KeyboardInterrupt:
                assert signal.set_wakeup_fd(-1) == fd
        print(os.read(reads, 9))
    """)
    assert (code, out, err) == (0, r"b'\x02'" + "\n", "")


def test_ctrl_c_after_all_descriptors_were_closed(script):
    code, out, err = script("""
        import os, signal, thrum
        def press():
            thrum.sleep(0.1)
            os.kill(os.getpid(), signal.SIGINT)
            thrum.sleep(60)
        thrum.run(thrum.sleep, 0.1)
        os.closerange(3, 100)
        pipes = [os.pipe() for _ in range(40)]  # the numbers are theirs now
        for end in sum(pipes, ()):
            os.set_blocking(end, False)
        try:
            thrum.run(press)
        except KeyboardInterrupt:
            print("interrupted")
        for reads, _ in pipes:
            try:
                print(os.read(reads, 9))
            except BlockingIOError:
                pass
    """)
    assert (code, out, err) == (0, "interrupted\n", "")


def test_signals_reach_the_child_of_a_fork(script):
    code, out, err = script("""
        import os, signal, thrum, warnings
        warnings.simplefilter("ignore")
        def waits():
            thrum.sleep(0.1)
            os.kill(os.getpid(), signal.SIGINT)
            thrum.sleep(60)
        def forks():
            thrum.sleep(0.1)  # main hangs its bell meanwhile
            pid = os.fork()
            if pid:
                return os.waitpid(pid, 0)[1]
            try:
                thrum.run(waits)
            except KeyboardInterrupt:
                print("child")
        print(thrum.run(forks))
    """)
    assert (code, out, err) == (0, "child\n0\n", "")


def test_fork_in_a_task(script):
    code, out, err = script("""
        import os, thrum, warnings
        warnings.simplefilter("ignore")
        def main():
            other = thrum.go(thrum.sleep, 60)
            thrum.yield_()
            pid = os.fork()
            if pid == 0:
                try:
                    thrum.yield_()
                except RuntimeError:
                    print("child:", thrum.run(lambda: 7))
                return  # the process ends here, its output is flushed
            print("parent:", os.waitpid(pid, 0)[1], flush=True)
            other.cancel()
        thrum.run(main)
        print("end")
    """)
    assert (code, err) == (0, "")
    assert out == "child: 7\nparent: 0\nend\n"


def test_fork_in_an_offloaded_call(script):
    code, out, err = script("""
        import os, thrum, warnings
        warnings.simplefilter("ignore")
        def main():
            pid = thrum.offload(os.fork)
            if pid == 0:
                print("child:", thrum.run(lambda: 7))
                return
            print("parent:", os.waitpid(pid, 0)[1])
        thrum.run(main)
    """)
    assert (code, out, err) == (0, "child: 7\nparent: 0\n", "")


def test_fork_in_the_with_of_a_runtime(script):
    code, out, err = script("""
        import os, sys, thrum, warnings
        warnings.simplefilter("ignore")
        with thrum.Runtime() as rt:
            rt.run(thrum.yield_)
            pid = os.fork()
            if pid == 0:
                sys.exit(5)
            print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    """)
    assert (code, out, err) == (0, "5\n", "")


@pytest.mark.parametrize("ends,status", [
    ("sys.exit()", 0), ("sys.exit(5)", 5), ("sys.exit('why')", 1), ("1 / 0", 1)])
def test_exit_status_of_a_fork_in_a_task(script, ends, status):
    code, out, err = script(f"""
        import os, sys, thrum, warnings
        warnings.simplefilter("ignore")
        def main():
            pid = os.fork()
            if pid == 0:
                {ends}
            return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        print(thrum.run(main))
    """)
    assert (code, out) == (0, f"{status}\n")
    assert ("ZeroDivisionError" in err) == ("/" in ends)


def test_fork_beside_tasks(script):
    code, out, err = script("""
        import multiprocessing, thrum, warnings
        warnings.simplefilter("ignore")
        def child(n):
            return thrum.run(lambda: n * 2)
        rt = thrum.Runtime()
        rt.go(thrum.sleep, 60)
        with multiprocessing.get_context("fork").Pool(2) as pool:
            print(pool.map(child, range(4)))
    """)
    assert (code, out, err) == (0, "[0, 2, 4, 6]\n", "")


def test_import_starts_nothing(script):
    code, out, err = script("""
        import os, signal
        before = [signal.getsignal(n) for n in range(1, 32)]
        import thrum
        assert [signal.getsignal(n) for n in range(1, 32)] == before
        print(len(os.listdir("/proc/self/task")))
    """)
    assert (code, out, err) == (0, "1\n", "")
