"""patch() and debug_locks(), each in a process of its own."""

import subprocess
import sys

import pytest

HEAD = """
import thrum
thrum.patch()
import os, queue, select, selectors, socket, subprocess, sys, threading, time

def beside(wait, wake=lambda: None):
    '''Others run while wait() waits, on one P whose thread never changes.'''
    steps = []
    def other():
        for _ in range(5):
            steps.append(1)
            thrum.yield_()
        wake()
    task = thrum.go(other)
    result = wait()
    task.join()
    assert len(steps) == 5
    return result

def run(main):
    with thrum.Runtime(procs=1, handover=60.0) as rt:
        rt.run(main)
    print("fine")
"""


@pytest.fixture
def patched(script):
    def run(body):
        lines = ["    " + line for line in body.strip("\n").splitlines()]
        text = HEAD + "\ndef main():\n" + "\n".join(lines) + "\nrun(main)\n"
        done = subprocess.run([sys.executable, "-c", text], capture_output=True,
                              text=True, timeout=60)
        assert (done.returncode, done.stdout, done.stderr) == (0, "fine\n", "")
    return run


def test_locks(patched):
    patched("""
lock = threading.Lock()
with lock:
    assert lock.locked() and not lock.acquire(False)
    assert not lock.acquire(timeout=0.001)
    for wait in (lambda: lock.acquire(timeout=60),
                 lambda: select.select([os.pipe()[0]], [], [], 60)):
        try:
            with thrum.timeout(0.001):
                wait()
            assert False
        except thrum.Timeout:
            pass
assert not lock.locked()
try:
    lock.release()
except RuntimeError:
    pass
lock.acquire()
assert beside(lock.acquire, lock.release)
rlock = threading.RLock()
inside = []
def body():
    with rlock, rlock:
        inside.append(1)
        thrum.yield_()
        assert inside == [1]
        inside.pop()
for task in [thrum.go(body) for _ in range(10)]:
    task.join()
try:
    rlock.release()
except RuntimeError:
    pass
condition = threading.Condition()
def wake():
    with condition:
        condition.notify_all()
with condition:
    assert beside(condition.wait, wake)
    assert not condition.wait(0.001)
event = threading.Event()
assert beside(event.wait, event.set)
assert beside(lambda: threading.Barrier(1).wait()) == 0
""")


def test_a_cached_property_may_wait(patched):
    patched("""
import functools
made = []
class Slow:
    @functools.cached_property
    def value(self):
        made.append(1)
        time.sleep(0.001)
        return 5
slow = Slow()
tasks = [thrum.go(lambda: slow.value) for _ in range(3)]
assert [task.result() for task in tasks] == [5, 5, 5]
assert len(made) == (1 if sys.version_info < (3, 12) else 3)
""")


def test_threads_are_tasks(patched):
    patched("""
seen = []
def body(n):
    thrum.sleep(0.001)
    seen.append((n, threading.current_thread().name, threading.get_ident()))
threads = [threading.Thread(target=body, args=(n,), name=f"t{n}")
           for n in range(5)]
for t in threads:
    t.start()
for t in threads:
    t.join()
    assert not t.is_alive()
assert sorted(n for n, _, _ in seen) == list(range(5))
assert sorted(name for _, name, _ in seen) == [f"t{n}" for n in range(5)]
assert sorted(i for _, _, i in seen) == sorted(t.ident for t in threads)
def named():
    me = threading.current_thread()
    assert me is threading.current_thread() and not me.daemon
    assert threading.get_ident() in sys._current_frames()
    return me.name
for n in range(3):  # one after the other, in the same thread state
    task = thrum.go(named)
    task.name = f"task {n}"
    assert task.result() == f"task {n}"
slow = threading.Thread(target=thrum.sleep, args=(0.05,))
slow.start()
slow.join(0.001)
assert slow.is_alive()
slow.join()
local = threading.local()
local.x = 1
def other():
    assert not hasattr(local, "x")
thread = threading.Thread(target=other)
thread.start()
thread.join()
timer = threading.Timer(0.001, seen.append, ("timer",))
timer.start()
timer.join()
assert seen[-1] == "timer"
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(3) as pool:
    assert list(pool.map(abs, range(-20, 0))) == list(range(20, 0, -1))
""")


def test_a_task_that_forks_is_the_main_thread_of_the_child(patched):
    patched("""
import os
import warnings
warnings.simplefilter("ignore")
def forks():
    pid = os.fork()
    if pid == 0:
        me = threading.current_thread()
        good = (me is threading.main_thread() and me.is_alive()
                and threading.enumerate() == [me])
        os._exit(not good)
    assert os.waitpid(pid, 0)[1] == 0
forks()
thread = threading.Thread(target=forks)
thread.start()
thread.join()
""")


def test_a_child_of_a_task_ends_well(patched):
    patched("""
import multiprocessing
import warnings
warnings.simplefilter("ignore")
def waits():
    gate = threading.Lock()
    gate.acquire()
    thread = threading.Thread(target=lambda: (time.sleep(0.05), gate.release()))
    thread.start()
    gate.acquire()
    thread.join()
context = multiprocessing.get_context("fork")
threading.current_thread()
child = context.Process(target=waits)
child.start()
child.join()
assert child.exitcode == 0
""")


def test_cancelled_threads_end_in_silence(patched):
    patched("""
threading.Thread(target=time.sleep, args=(60,)).start()
told = []
threading.excepthook, before = (lambda args: told.append(args.exc_type),
                                threading.excepthook)
thread = threading.Thread(target=lambda: 1 / 0)
thread.start()
thread.join()
assert told == [ZeroDivisionError]
threading.excepthook = before
""")


def test_queues_and_time(patched):
    patched("""
q = queue.Queue(1)
assert beside(q.get, lambda: q.put(5)) == 5
q.put(1)
beside(lambda: q.put(2), q.get)
s = queue.SimpleQueue()
assert beside(s.get, lambda: s.put(6)) == 6
beside(lambda: time.sleep(0.01))
began = time.monotonic()
time.sleep(0.01)
assert time.monotonic() - began >= 0.01
""")


def test_sockets(patched):
    patched("""
a, b = socket.socketpair()
assert beside(lambda: a.recv(10), lambda: b.send(b"x")) == b"x"
a.settimeout(0.001)
assert a.gettimeout() == 0.001
try:
    a.recv(1)
except socket.timeout:
    pass
a.setblocking(False)
try:
    a.recv(1)
except BlockingIOError:
    pass
a.setblocking(True)
data = bytes(3_000_000)
task = thrum.go(a.sendall, data)
got = bytearray()
while len(got) < len(data):
    got += b.recv(1 << 20)
task.join()
server = socket.create_server(("127.0.0.1", 0))
address = server.getsockname()
held = []
client, peer = beside(server.accept,
                      lambda: held.append(socket.create_connection(address)))
with client, held[0] as other, client.makefile("rwb") as file:
    file.write(b"line\\n")
    file.flush()
    assert other.recv(100) == b"line\\n"
    other.sendall(b"back\\n")
    assert file.readline() == b"back\\n"
server.close()
try:
    socket.create_connection(address)
except ConnectionRefusedError:
    pass
u, v = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in "uv")
v.bind(("localhost", 0))
assert beside(lambda: v.recvfrom(10),
              lambda: u.sendto(b"d", v.getsockname()))[0] == b"d"
u.close(); v.close(); a.close(); b.close()
""")


def test_flags_of_sockets(patched):
    patched("""
a, b = socket.socketpair()
def would_block(call, *args):
    try:
        call(*args)
    except BlockingIOError:
        return True
beside(lambda: would_block(a.recv, 1, socket.MSG_DONTWAIT))
assert would_block(a.recv, 1, socket.MSG_DONTWAIT)
assert would_block(a.recvfrom, 1, socket.MSG_DONTWAIT)
assert would_block(a.sendall, bytes(10_000_000), socket.MSG_DONTWAIT)
a.setblocking(False)
assert would_block(a.sendall, bytes(10_000_000))
a.setblocking(True)
a.close(); b.close()
a, b = socket.socketpair()
def in_parts(call):
    b.send(b"he")
    return beside(call, lambda: (thrum.sleep(0.001), b.send(b"llo")))
room = bytearray(8)
assert in_parts(lambda: a.recv(5, socket.MSG_WAITALL)) == b"hello"
assert in_parts(lambda: a.recvfrom(5, socket.MSG_WAITALL)) == (b"hello", None)
assert in_parts(lambda: a.recv_into(room, 5, socket.MSG_WAITALL)) == 5
assert in_parts(lambda: a.recvfrom_into(room, nbytes=5, flags=socket.MSG_WAITALL)
                ) == (5, None)
assert room == b"hello\\0\\0\\0"
b.send(b"he")
assert a.recv(5, socket.MSG_WAITALL | socket.MSG_PEEK) == b"he"
b.close()
assert a.recv(5, socket.MSG_WAITALL) == b"he"
for wrong, kind in ((lambda: a.recv(-1, socket.MSG_WAITALL), ValueError),
                    (lambda: a.recv_into(room, 9, socket.MSG_WAITALL), ValueError),
                    (lambda: a.settimeout("1"), TypeError),
                    (lambda: a.settimeout(float("nan")), ValueError)):
    try:
        wrong()
        raise AssertionError("it is taken")
    except kind:
        pass
a.close()
""")


def test_sendfile_of_sockets(patched):
    patched("""
import tempfile
a, b = socket.socketpair()
with tempfile.TemporaryFile() as file:
    file.write(bytes(range(256)) * 8000)
    task = thrum.go(a.sendfile, file)
    got = bytearray()
    while len(got) < 256 * 8000:
        got += b.recv(1 << 20)
    assert task.result() == len(got) and got == bytes(range(256)) * 8000
    assert a.sendfile(file, 0, 10) == 10 and b.recv(20) == bytes(range(10))
a.close(); b.close()
""")


def test_select(patched):
    patched("""
a, b = socket.socketpair()
wake = lambda: b.send(b"x")
assert beside(lambda: select.select([a], [], []), wake) == ([a], [], [])
assert a.recv(5) == b"x"
assert select.select([a], [], [], 0.001) == ([], [], [])
poll = select.poll()
poll.register(a, select.POLLIN)
assert beside(poll.poll, wake) == [(a.fileno(), select.POLLIN)]
a.recv(5)
assert poll.poll(1) == []
for kind in (selectors.DefaultSelector, selectors.PollSelector,
             selectors.SelectSelector):
    with kind() as selector:
        selector.register(a, selectors.EVENT_READ, "data")
        assert beside(selector.select, wake)[0][0].data == "data"
        a.recv(5)
        assert selector.select(0.001) == []
import asyncio
async def coroutine():
    await asyncio.sleep(0.01)
    return 3
assert beside(lambda: asyncio.run(coroutine())) == 3
a.close(); b.close()
""")


def test_processes(patched):
    patched("""
assert beside(lambda: subprocess.run(["sleep", "0.05"]).returncode) == 0
done = beside(lambda: subprocess.run(["sh", "-c", "echo out; echo err >&2"],
                                     capture_output=True, text=True))
assert (done.stdout, done.stderr) == ("out\\n", "err\\n")
try:
    subprocess.run(["sleep", "60"], timeout=0.01)
except subprocess.TimeoutExpired:
    pass
assert subprocess.Popen(["sh", "-c", "exit 3"]).wait() == 3
""")


def test_many_processes_at_once(patched):
    patched("""
import tempfile
place = tempfile.TemporaryDirectory()
# One after another they do not come together.
program = '''read x; >$0; i=0
until [ -e 0 ] && [ -e 1 ] && [ -e 2 ] && [ -e 3 ]; do
  i=$((i + 1)); [ $i -lt 1000 ] || exit 1; sleep 0.01
done
echo $x $0'''
def shell(n):
    done = subprocess.run(["sh", "-c", program, str(n)], cwd=place.name,
                          input="said\\n", stdout=subprocess.PIPE, text=True)
    return done.stdout
tasks = [thrum.go(shell, n) for n in range(4)]
assert [t.result() for t in tasks] == [f"said {n}\\n" for n in range(4)]
place.cleanup()
assert os.popen("echo out").read() == "out\\n"
""")


def test_pipes(patched):
    patched("""
r, w = os.pipe()
assert beside(lambda: os.read(r, 10), lambda: os.write(w, b"x")) == b"x"
buffer = bytearray(3)
assert beside(lambda: os.readv(r, [buffer]), lambda: os.writev(w, [b"a", b"bc"])) == 3
assert buffer == b"abc"
data = bytes(range(256)) * 4000  # more than a pipe holds
def drain(fd):
    got = bytearray()
    while len(got) < len(data):
        got += os.read(fd, 1 << 16)
    return got
reader = thrum.go(drain, r)
assert os.write(w, data) == len(data)
assert reader.result() == data
os.set_blocking(r, False)
try:
    os.read(r, 1)
except BlockingIOError:
    pass
os.set_blocking(r, True)
os.close(r)
try:
    os.write(w, b"x")
except BrokenPipeError:
    pass
os.close(w)
""")


def test_files_of_pipes(patched):
    patched("""
r, w = os.pipe()
with os.fdopen(r) as lines, open(w, "w", buffering=1) as out:
    assert lines.mode == "r" and lines.encoding == open(__file__).encoding
    line = beside(lines.readline, lambda: print("line", file=out))
    assert line == "line\\n"
r, w = os.pipe()
with open(r, "rb", buffering=0) as raw, os.fdopen(w, "wb") as out:
    data = bytes(300_000)
    writer = thrum.go(lambda: (out.write(data), out.close()))
    assert raw.readall() == data
    writer.join()
    try:
        raw.write(b"x")
    except OSError:
        pass
with open(__file__, "rb") as file, open(os.dup(file.fileno()), "rb") as again:
    assert type(again.raw) is type(file.raw)  # a file never waits
""".replace("__file__", repr(__file__)))


def test_waits_for_processes(patched):
    patched("""
def child(*argv):
    return os.posix_spawn("/bin/sh", ["sh", "-c", *argv], os.environ)
pid = child("sleep 0.05; exit 4")
got, status = beside(lambda: os.waitpid(pid, 0))
assert (got, os.waitstatus_to_exitcode(status)) == (pid, 4)
pid = child("exit 5")
got, status = beside(os.wait)
assert (got, os.waitstatus_to_exitcode(status)) == (pid, 5)
pid = child("exit 6")
assert beside(lambda: os.waitid(os.P_PID, pid, os.WEXITED)).si_status == 6
try:
    os.waitpid(pid, 0)
except ChildProcessError:
    pass
assert beside(lambda: os.system("exit 7")) == 7 << 8
""")


def test_https_by_the_standard_library(patched, certificate):
    patched(f"""
import http.client, http.server, ssl
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        body = self.path.encode() * 10000
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args):
        pass
ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
ours.load_cert_chain({certificate!r})
theirs = ssl.create_default_context(cafile={certificate + ".crt"!r})
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.socket = ours.wrap_socket(server.socket, server_side=True,
                                 do_handshake_on_connect=False)
serving = thrum.go(server.serve_forever)
port = server.server_address[1]
def get(n):
    client = http.client.HTTPSConnection("localhost", port, context=theirs)
    for _ in range(3):  # on one connection
        client.request("GET", f"/{{n}}")
        assert client.getresponse().read() == f"/{{n}}".encode() * 10000
    client.close()
    return n
tasks = [thrum.go(get, n) for n in range(20)]
assert [t.result() for t in tasks] == list(range(20))
# Wrapped before it is connected.
for connect in ("connect", "connect_ex"):
    with theirs.wrap_socket(socket.socket(), server_hostname="localhost") as s:
        assert not beside(lambda: getattr(s, connect)(("localhost", port)))
        s.sendall(b"GET /x HTTP/1.1\\r\\nConnection: close\\r\\n\\r\\n")
        assert beside(lambda: s.recv(12)) == b"HTTP/1.1 200"
server.shutdown()
serving.join()
server.server_close()
# A peer that says nothing: the others go on, and the time passes.
with socket.create_server(("127.0.0.1", 0)) as mute:
    with socket.create_connection(mute.getsockname(), timeout=0.02) as s:
        try:
            beside(lambda: theirs.wrap_socket(s, server_hostname="localhost"))
        except TimeoutError:
            pass
        else:
            raise AssertionError
""")


def test_http_by_the_standard_library(patched):
    patched("""
import http.server, urllib.request
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = self.path.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args):
        pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
serving = thrum.go(server.serve_forever)
port = server.server_address[1]
def get(n):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/{n}") as page:
        return page.read()
tasks = [thrum.go(get, n) for n in range(20)]
assert [t.result() for t in tasks] == [f"/{n}".encode() for n in range(20)]
server.shutdown()
serving.join()
server.server_close()
""")


def test_threads_of_the_program_are_left_alone(script):
    code, out, err = script("""
        import thrum
        thrum.patch()
        import queue, threading, time
        q = queue.Queue()
        t = threading.Thread(target=lambda: (time.sleep(0.01), q.put(1)))
        t.start()
        assert q.get(timeout=10) == 1
        t.join()
        assert not t.is_alive()
        print(threading.current_thread() is threading.main_thread())
    """)
    assert (code, out, err) == (0, "True\n", "")


def test_one_part_alone(script):
    code, out, err = script("""
        import threading, time
        lock = threading.Lock
        import thrum
        thrum.patch(threading=False)
        assert threading.Lock is lock and "thrum" in time.sleep.__module__
        try:
            thrum.patch(thraeding=False)
        except TypeError as error:
            print(error)
    """)
    assert (code, out, err) == (0, "patch() knows no thraeding\n", "")


def test_debug_names_who_waits_with_a_lock(script):
    code, out, err = script("""
        import queue, threading, warnings
        import thrum
        thrum.debug_locks()
        lock, other = threading.Lock(), threading.Lock()
        rlock = threading.RLock()
        def careless():
            with lock:
                thrum.sleep(0.001)
        def nested():
            with lock, other:
                thrum.Channel().recv(timeout=0.001)
        def careful():
            with lock, rlock, rlock:
                thrum.Channel(1).send(1)  # which need not wait
            thrum.sleep(0.001)
        def woken():  # by another, who gives the lock back that it waited for
            got = queue.Queue()
            threading.Timer(0.05, got.put, (1,)).start()
            got.get()
            thrum.sleep(0.001)
        def main():
            for fn in (careless, careful, nested, woken):
                with warnings.catch_warnings(record=True) as told:
                    warnings.simplefilter("always")
                    try:
                        thrum.go(fn).join()
                    except thrum.Timeout:
                        pass
                print(*[w.message for w in told], sep="; ")
        thrum.run(main)
    """)
    assert (code, err) == (0, "")
    assert out == ("Task careless waits while it holds 1 lock(s) of threading\n\n"
                   "Task nested waits while it holds 2 lock(s) of threading\n\n")
