#!/usr/bin/env python3
"""test.py: what kv answers, byte by byte, and what it keeps.

usage: test.py PATH-OF-KV [TEST...]

Each test starts a server of its own on a free port, in a folder of its own.

SPDX-License-Identifier: MIT
"""

import os
import pathlib
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

KV = os.path.abspath(sys.argv[1])
WORK = tempfile.TemporaryDirectory(prefix="kv.")
ROUNDS = int(os.environ.get("KV_ROUNDS", "6"))  # of kill -9


def folder_new():
    return tempfile.mkdtemp(dir=WORK.name)


class Server:
    """A kv that has said that it is ready. Ends with the block, gracefully."""

    def __init__(self, *options, folder=None, expect=0):
        self.folder = folder or folder_new()
        self.expect = expect
        self.ended = False
        self.process = subprocess.Popen(
            [KV, "--port", "0", *options], cwd=self.folder,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        if "ready" not in line:
            raise AssertionError(self.process.communicate()[1])
        self.port = int(line.split("port ")[1].split(",")[0])

    def __enter__(self):
        return self

    def end(self, signo=signal.SIGTERM):
        """Once: after its last signal kv leaves them to the system, and ends."""
        if not self.ended and self.process.poll() is None:
            self.process.send_signal(signo)
        self.ended = True

    def __exit__(self, kind, *_):
        self.end()
        try:
            self.said = self.process.communicate(timeout=30)[1]
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        if kind is None:
            same(self.process.returncode, self.expect)

    def kill(self):
        self.process.kill()
        self.process.wait()


class Conn:
    def __init__(self, server, small=False):
        self.socket = socket.socket()
        if small:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.settimeout(30)
        self.socket.connect(("127.0.0.1", server.port))
        self.file = self.socket.makefile("rb")

    def send(self, data):
        self.socket.sendall(data)

    def ask(self, *words):
        self.send(request(*words))
        return self.reply()

    def reply(self):
        line = self.file.readline()
        if not line:
            raise EOFError
        kind, rest = line[:1], line[1:-2]
        if kind == b"$":
            n = int(rest)
            return None if n < 0 else self.file.read(n + 2)[:-2]
        if kind in b"*>":
            return [self.reply() for _ in range(int(rest))]
        if kind == b"%":
            return {self.reply(): self.reply() for _ in range(int(rest))}
        if kind == b":":
            return int(rest)
        return None if kind == b"_" else (kind + rest).decode()

    def exact(self, sent, expected):
        self.send(sent)
        same(self.file.read(len(expected)), expected)

    def gone(self):
        try:
            return self.socket.recv(1) == b""
        except ConnectionError:
            return True


def request(*words):
    parts = [w if isinstance(w, bytes) else str(w).encode() for w in words]
    return b"*%d\r\n" % len(parts) + b"".join(
        b"$%d\r\n%s\r\n" % (len(p), p) for p in parts)


def same(got, expected):
    if got != expected:
        raise AssertionError(f"{str(got)[:300]}, expected {str(expected)[:300]}")


def starts(got, expected):
    if not str(got).startswith(expected):
        raise AssertionError(f"{str(got)[:300]}, expected {expected}…")


def soon(true, seconds=10):
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise AssertionError("not within the time")
        time.sleep(0.01)


# ---- requests and answers ----------------------------------------------------


def test_protocol():
    with Server("--no-log") as server:
        c = Conn(server)
        c.exact(b"PING\r\n", b"+PONG\r\n")
        c.exact(b"  ping 'a b' \n\r\n", b"$3\r\na b\r\n")
        c.exact(b'ECHO "\\x41\\n\\"q"\r\n', b'$4\r\nA\n"q\r\n')
        c.exact(b"*0\r\n*-1\r\n" + request("SET", "k", b"\0\r\n") +
                request("GET", "k"), b"+OK\r\n$3\r\n\0\r\n\r\n")
        c.exact(request("GET", "no") + request("MGET", "k", "no"),
                b"$-1\r\n*2\r\n$3\r\n\0\r\n\r\n$-1\r\n")
        c.exact(request("HELLO", "4"),
                b"-NOPROTO unsupported protocol version\r\n")
        same(c.ask("HELLO", "3", "SETNAME", "me")[b"proto"], 3)
        c.exact(request("GET", "no"), b"_\r\n")
        same(c.ask("CLIENT", "GETNAME"), b"me")
        same(c.ask("CONFIG", "GET", "save"), {b"save": b""})
        same(c.ask("HELLO", "2")[4:6], [b"proto", 2])
        # One byte at a time, then all at once.
        whole = b"".join(request("SET", f"k{i}", i) + request("GET", f"k{i}")
                         for i in range(3000))
        for byte in whole[:400]:
            c.send(bytes([byte]))
        c.send(whole[400:])
        for i in range(3000):
            same((c.reply(), c.reply()), ("+OK", str(i).encode()))
        same(c.ask("QUIT"), "+OK")
        same(c.gone(), True)
        for bad, why in (
                (b"*1\r\nPING\r\n", "expected '$', got 'P'"),
                (b"*x\r\n", "invalid multibulk length"),
                (b"*2000000\r\n", "invalid multibulk length"),
                (b"*1\r\n$-5\r\n", "invalid bulk length"),
                (b"*1\r\n$999999999\r\n", "invalid bulk length"),
                (b"*1\r\n$1\r\nabc", "no line end behind a bulk string"),
                (b"SET a 'b\r\n", "unbalanced quotes in request"),
                (b"a" * 70000, "too big inline request")):
            c = Conn(server)
            c.send(b"PING\r\n" + bad)
            same(c.reply(), "+PONG")
            same(c.reply(), f"-ERR Protocol error: {why}")
            same(c.gone(), True)


def test_commands():
    with Server("--no-log") as server:
        c = Conn(server)
        wrong = "-ERR wrong number of arguments for "
        integer = "-ERR value is not an integer or out of range"
        for ask, answer in (
                ("SET a 1", "+OK"), ("SET a 2 NX", None), ("GET a", b"1"),
                ("SET a 2 XX GET", b"1"), ("SET n 2 XX", None),
                ("SET a 3 EX 100", "+OK"), ("TTL a", 100),
                ("SET a 4 KEEPTTL", "+OK"), ("TTL a", 100), ("PERSIST a", 1),
                ("PERSIST a", 0), ("TTL a", -1), ("TTL none", -2),
                ("SET a 5 PX 90000", "+OK"), ("SET a 6", "+OK"),
                ("TTL a", -1), ("EXPIRE a 50", 1), ("EXPIRE none 50", 0),
                ("TTL a", 50), ("PEXPIRE a 70000", 1), ("TTL a", 70),
                ("SET a 1 EX 0",
                 "-ERR invalid expire time in 'set' command"),
                ("SET a 1 EX x", integer),
                ("SET a 1 NX XX", "-ERR syntax error"),
                ("SET a 1 EX", "-ERR syntax error"),
                ("SET a 1 EX 9223372036854775807",
                 "-ERR invalid expire time in 'set' command"),
                ("GETSET a 7", b"6"), ("SETNX a 8", 0), ("SETNX b 8", 1),
                ("INCR a", 8), ("DECR a", 7), ("INCRBY a 10", 17),
                ("DECRBY a -3", 20), ("INCR new", 1), ("STRLEN a", 2),
                ("APPEND a xyz", 5), ("GET a", b"20xyz"), ("INCR a", integer),
                ("APPEND fresh x", 1), ("SET a 9223372036854775807", "+OK"),
                ("INCR a", "-ERR increment or decrement would overflow"),
                ("INCRBY a 1.5", integer),
                ("DECRBY a -9223372036854775808",
                 "-ERR decrement would overflow"),
                ("MSET x 1 y 2 x 3", "+OK"), ("MGET x y z", [b"3", b"2", None]),
                ("MSET x", wrong + "'mset' command"),
                ("MSET x 1 y", wrong + "'mset' command"),
                ("EXISTS x y z x", 3), ("TYPE x", "+string"),
                ("TYPE z", "+none"), ("DEL x y z x", 2), ("DBSIZE", 4),
                ("GET", wrong + "'get' command"),
                ("NoSuch x", "-ERR unknown command 'NoSuch'"),
                ("SELECT 0", "+OK"), ("SELECT 1",
                                      "-ERR DB index is out of range"),
                ("ECHO hi", b"hi"), ("CLIENT SETNAME x", "+OK"),
                ("CLIENT GETNAME", b"x"),
                ("CLIENT SETINFO LIB-NAME y", "+OK"),
                ("COMMAND DOCS", []), ("COMMAND COUNT", 44),
                ("CONFIG GET appendonly", [b"appendonly", b"no"]),
                ("CONFIG SET appendfsync always", "+OK"),
                ("CONFIG GET appendfsync", [b"appendfsync", b"always"]),
                ("PUBLISH nobody x", 0), ("FLUSHALL", "+OK"), ("DBSIZE", 0)):
            got = c.ask(*ask.split())
            if got != answer:
                raise AssertionError(f"{ask}: {got}, expected {answer}")
        text = c.ask("INFO").decode()
        for part in ("# Server", "redis_version:7", "connected_clients:1",
                     "# Keyspace"):
            same(part in text, True)
        same(b"name=x" in c.ask("CLIENT", "LIST"), True)


def test_keys():
    with Server("--no-log") as server:
        c = Conn(server)
        names = {f"key:{i}".encode() for i in range(20000)}
        for name in names:
            c.send(request("SET", name, 1))
        for _ in names:
            c.reply()
        same(set(c.ask("KEYS", "*")), names)
        same(sorted(c.ask("KEYS", "key:1?[0-3]7")),
             sorted(n for n in names
                    if len(n) == 8 and n[4:5] == b"1" and n[6:7] in b"0123"
                    and n[7:] == b"7"))
        # Whoever stays is seen, though the tables grow and shrink meanwhile.
        stay, seen, cursor, turn = set(list(names)[:500]), set(), b"0", 0
        while True:
            cursor, part = c.ask("SCAN", cursor, "COUNT", 200)
            seen.update(part)
            turn += 1
            if turn == 5:
                for i in range(30000):
                    c.send(request("SET", f"more:{i}", 1))
                for _ in range(30000):
                    c.reply()
            if turn == 40:
                for name in names - stay:
                    c.send(request("DEL", name))
                for _ in names - stay:
                    c.reply()
            if cursor == b"0":
                break
        same(stay - seen, set())
        cursor, found = b"0", set()
        while True:
            cursor, part = c.ask("SCAN", cursor, "MATCH", "key:*", "COUNT", 999)
            found.update(part)
            if cursor == b"0":
                break
        same(found, stay)


def test_expiry():
    with Server("--no-log") as server:
        c = Conn(server)
        for i in range(5000):
            c.send(request("SET", f"k{i}", i, "PX", 150 + i % 300))
        for _ in range(5000):
            same(c.reply(), "+OK")
        c.ask("SET", "lazy", 1, "PX", 1)
        time.sleep(0.005)
        same(c.ask("GET", "lazy"), None)
        same(c.ask("INCR", "lazy"), 1)
        soon(lambda: c.ask("DBSIZE") == 1)  # nobody asks for them
        same(c.ask("TTL", "lazy"), -1)


def test_large():
    with Server("--no-log", "--max-request", "16") as server:
        c, d = Conn(server), Conn(server)
        for size in (0, 1, 1000, 1023, 1024, 8191, 8192, 16384, 100000,
                     9 << 20):
            text = os.urandom(size)
            same(c.ask("SET", f"v{size}", text), "+OK")
            same(d.ask("GET", f"v{size}"), text)
        same(d.ask("MGET", "v100000", "v0", "v9437184", "v1"),
             [c.ask("GET", k) for k in ("v100000", "v0", "v9437184", "v1")])
        c.send(request("GET", "v100000") * 300 + request("PING"))
        for _ in range(300):
            same(len(c.reply()), 100000)
        same(c.reply(), "+PONG")
        same(c.ask("MSET", *range(20000)), "+OK")
        c.send(b"*2\r\n$3\r\nGET\r\n$17000000\r\n")
        same(c.reply(), "-ERR Protocol error: invalid bulk length")


# ---- publish and subscribe -------------------------------------------------------


def test_pubsub():
    with Server("--no-log") as server:
        a, b, p = Conn(server), Conn(server), Conn(server)
        b.ask("HELLO", 3)
        same(a.ask("SUBSCRIBE", "news"), [b"subscribe", b"news", 1])
        same(a.ask("PSUBSCRIBE", "n*s"), [b"psubscribe", b"n*s", 2])
        same(b.ask("SUBSCRIBE", "news"), [b"subscribe", b"news", 1])
        same(p.ask("PUBLISH", "news", "hi"), 3)
        same(a.reply(), [b"message", b"news", b"hi"])
        same(a.reply(), [b"pmessage", b"n*s", b"news", b"hi"])
        same(b.file.read(5), b">3\r\n$")
        b.file.readline(), b.file.readline()
        same((b.reply(), b.reply()), (b"news", b"hi"))
        starts(a.ask("GET", "x"), "-ERR Can't execute 'get'")
        same(a.ask("PING"), [b"pong", b""])
        same(b.ask("SET", "x", 1), "+OK")  # RESP3 may
        same(a.ask("UNSUBSCRIBE", "news"), [b"unsubscribe", b"news", 1])
        same(a.ask("PUNSUBSCRIBE"), [b"punsubscribe", b"n*s", 0])
        same(a.ask("UNSUBSCRIBE"), [b"unsubscribe", None, 0])
        same(a.ask("GET", "x"), b"1")
        same(p.ask("PUBLISH", "news", "hi"), 1)
        b.socket.close(), b.file.close()
        soon(lambda: p.ask("PUBLISH", "news", "hi") == 0)
        # Order, with many of both.
        readers = [Conn(server) for _ in range(8)]
        for r in readers:
            r.ask("SUBSCRIBE", "c0", "c1", "c2"), r.reply(), r.reply()

        def publish(channel):
            w = Conn(server)
            for i in range(2000):
                w.send(request("PUBLISH", channel, i))
            for i in range(2000):
                w.reply()

        writers = [threading.Thread(target=publish, args=(f"c{i}",))
                   for i in range(3)]
        for w in writers:
            w.start()
        for r in readers:
            nexts = {b"c0": 0, b"c1": 0, b"c2": 0}
            for _ in range(6000):
                kind, channel, text = r.reply()
                same((kind, int(text)), (b"message", nexts[channel]))
                nexts[channel] += 1
        for w in writers:
            w.join()


# ---- bounds ---------------------------------------------------------------------


def test_bounds():
    with Server("--no-log", "--max-clients", "4", "--max-behind", "1") as server:
        conns = [Conn(server) for _ in range(4)]
        for c in conns:
            same(c.ask("PING"), "+PONG")
        same(Conn(server).reply(), "-ERR max number of clients reached")
        conns.pop().socket.close()
        conns.pop().socket.close()
        a, b = conns
        del c
        soon(lambda: b"connected_clients:2" in a.ask("INFO", "clients"))
        # Who does not read what it listens to is shut out; nobody waits for it.
        slow = Conn(server, small=True)
        slow.ask("SUBSCRIBE", "flood")
        text = b"x" * 100000
        soon(lambda: a.ask("PUBLISH", "flood", text) == 0)
        # Who does not read its answers reads no more requests, and nobody else
        # notices.
        b.ask("SET", "big", b"x" * 1000000)
        deaf = Conn(server, small=True)
        deaf.send(request("GET", "big") * 100)
        same(b.ask("STRLEN", "big"), 1000000)
        for _ in range(100):
            same(len(deaf.reply()), 1000000)


def test_errors():
    def fails(*options, folder=None):
        run = subprocess.run([KV, *options], cwd=folder or tempfile.gettempdir(),
                             capture_output=True, text=True, timeout=30)
        return run.returncode, run.stderr

    with Server("--no-log") as server:
        code, text = fails("--no-log", "--port", str(server.port))
        same((code, "take another port (--port N)" in text), (1, True))
    code, text = fails("--port", "0", "--log", "/no/such/folder/log")
    same((code, "name a file in a folder that can be written" in text),
         (1, True))
    with Server() as server:
        code, text = fails("--port", "0", folder=server.folder)
        same((code, "in use by another kv" in text), (1, True))
    for bad in (["--port", "x"], ["--port"], ["--what", "1"],
                ["--appendfsync", "often"]):
        same(fails(*bad)[0], 2)


# ---- the log ----------------------------------------------------------------------


def test_log():
    folder = folder_new()
    with Server(folder=folder) as server:
        c = Conn(server)
        c.ask("SET", "gone", 1), c.ask("FLUSHALL")
        c.ask("SET", "a", b"\r\n\0"), c.ask("SET", "b", 1, "EX", 1000)
        c.ask("MSET", "m1", 1, "m2", 2, "m3", 3), c.ask("DEL", "m2", "none")
        c.ask("APPEND", "a", "tail"), c.ask("APPEND", "new", "x")
        c.ask("INCRBY", "n", 41), c.ask("INCR", "n")
        c.ask("EXPIRE", "m1", 1000), c.ask("PERSIST", "m1")
        c.ask("PEXPIRE", "m3", 1), c.ask("SET", "short", 1, "PX", 1)
        c.ask("SET", "again", "old", "PX", 1)
        time.sleep(0.01)
        c.ask("APPEND", "again", "new")
        state = sorted(c.ask("KEYS", "*"))
        same(state, sorted([b"a", b"b", b"m1", b"new", b"n", b"again"]))
    with Server(folder=folder) as server:
        c = Conn(server)
        same(sorted(c.ask("KEYS", "*")), state)
        same(c.ask("MGET", "a", "b", "m1", "new", "n", "again"),
             [b"\r\n\0tail", b"1", b"1", b"x", b"42", b"new"])
        same(990 <= c.ask("TTL", "b") <= 1000, True)
        same(c.ask("TTL", "m1"), -1)


def test_torn():
    last = request("SET", "b", "x" * 50)
    whole = request("SET", "a", 1) + last
    for tail, cut in ((b"", False), (last[:1], True), (last[:20], True),
                      (last[:-1], True), (b"\0" * 5000, True),
                      (last[:40] + b"\0" * 3000000, True)):
        folder = pathlib.Path(folder_new())
        (folder / "kv.aof").write_bytes(whole + tail)
        with Server(folder=folder) as server:
            c = Conn(server)
            same(c.ask("MGET", "a", "b"), [b"1", b"x" * 50])
            c.ask("SET", "c", 1)
        same("cut off, the rest is kept" in server.said, cut)
        same((folder / "kv.aof").read_bytes(), whole + request("SET", "c", 1))
    for bad in (whole[:30] + b"garbage" + whole, b"PING\r\n" + whole,
                request("GET", "x")):
        folder = pathlib.Path(folder_new())
        (folder / "kv.aof").write_bytes(whole + bad)
        run = subprocess.run([KV, "--port", "0"], cwd=folder, text=True,
                             capture_output=True, timeout=30)
        same((run.returncode, "is damaged at byte" in run.stderr), (1, True))
        same((folder / "kv.aof").read_bytes(), whole + bad)


class Writer(threading.Thread):
    """Counts up keys of its own, several requests on their way at a time, and
    knows what was acknowledged."""

    KEYS = 7

    def __init__(self, server, number, start):
        super().__init__()
        self.number, self.at, self.acknowledged = number, start, start
        self.conn = Conn(server)

    def key(self, n):
        return f"w{self.number}:{n % self.KEYS}"

    def run(self):
        try:
            while True:
                batch = random.randint(1, 5)
                self.conn.send(b"".join(
                    request("SET", self.key(self.at + i), self.at + i)
                    for i in range(batch)))
                self.at += batch
                for _ in range(batch):
                    same(self.conn.reply(), "+OK")
                    self.acknowledged += 1
        except (OSError, EOFError, ValueError):
            pass


def test_kill():
    """kill -9 loses nothing that was acknowledged."""
    folder = folder_new()
    counts = [0] * 8
    for _ in range(ROUNDS):
        server = Server("--appendfsync", "always", folder=folder)
        writers = [Writer(server, i, n) for i, n in enumerate(counts)]
        for w in writers:
            w.start()
        time.sleep(random.uniform(0.05, 0.4))
        server.kill()
        for w in writers:
            w.join()
        with Server("--appendfsync", "always", folder=folder) as server:
            c = Conn(server)
            for w in writers:
                for n in range(max(0, w.acknowledged - w.KEYS), w.acknowledged):
                    got = c.ask("GET", w.key(n))
                    if got is None or not n <= int(got) < w.at:
                        raise AssertionError(f"{w.key(n)}: {got}, {n} was acknowledged")
                counts[w.number] = w.at
    print(f"kv: {ROUNDS} kills, {sum(counts)} changes")


def test_stop():
    """What was asked before SIGTERM is answered and kept."""
    folder = folder_new()
    with Server(folder=folder) as server:
        idle, busy = Conn(server), Conn(server)
        same(idle.ask("PING"), "+PONG")
        busy.send(b"".join(request("SET", f"k{i}", i) for i in range(20000)))
        same(busy.reply(), "+OK")
        server.end()
        answered = 1
        try:
            while busy.reply() == "+OK":
                answered += 1
        except (EOFError, ConnectionError):
            pass
        same(idle.gone(), True)
    with Server(folder=folder) as server:
        same(Conn(server).ask("DBSIZE") >= answered, True)


def main():
    tests = {name[5:]: test for name, test in globals().items()
             if name.startswith("test_")}
    for name in sys.argv[2:] or tests:
        try:
            tests[name]()
        except Exception as error:
            print(f"FAILED: {name}: {type(error).__name__}: {error}",
                  file=sys.stderr)
            raise
    print(f"kv: {len(sys.argv[2:]) or len(tests)} tests passed")


if __name__ == "__main__":
    main()
