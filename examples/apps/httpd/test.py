#!/usr/bin/env python3
"""What curl would not send: see test.sh.

usage: test.py PATH-OF-HTTPD ROOT

ROOT is the one that test.sh has made. Starts servers with short time-outs and
talks to them over bare sockets. Exit: 0 all well, 1 not.

SPDX-License-Identifier: MIT
"""

import hashlib
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import threading
import time

HTTPD, ROOT = sys.argv[1], pathlib.Path(sys.argv[2])
# Time-outs of the servers here, in s. What takes much longer has hung.
IDLE, HEAD, BODY, WRITE = 1.0, 0.6, 0.6, 0.7
SLACK = 10
failed = []


def check(what, holds, *more):
    if not holds:
        print(f"FAILED: {what}", *more, file=sys.stderr)
        failed.append(what)


class Server:
    def __init__(self, *options):
        self.process = subprocess.Popen(
            [HTTPD, "-p", "0", "-P", "2", "--idle", str(IDLE), "--head",
             str(HEAD), "--body", str(BODY), "--write", str(WRITE), *options,
             str(ROOT)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True)
        line = self.process.stdout.readline()
        self.port = int(re.search(r"http://[\d.]+:(\d+)/", line)[1])

    def open(self):
        return socket.create_connection(("127.0.0.1", self.port), SLACK)

    def ask(self, data, end=False):
        """All that comes until the server closes; `end`: we close first."""
        with self.open() as s:
            s.sendall(data)
            if end:
                s.shutdown(socket.SHUT_WR)
            return read_all(s)

    def files(self):
        """What it has open, but for what thrum reads of its own threads."""
        at = f"/proc/{self.process.pid}/fd"
        out = []
        for fd in os.listdir(at):
            try:
                out.append(os.readlink(f"{at}/{fd}"))
            except FileNotFoundError:
                pass  # closed meanwhile
        return sorted(f for f in out if not f.endswith("/schedstat"))

    def stop(self, status=0):
        self.process.send_signal(signal.SIGTERM)
        try:
            out = self.process.communicate(timeout=20)[1]
        except subprocess.TimeoutExpired:
            self.process.kill()
            out = self.process.communicate()[1]
        check(f"exit status {status}", self.process.returncode == status,
              self.process.returncode, out)
        return out


def read_all(s):
    data = bytearray()
    while True:
        try:
            more = s.recv(65536)
        except ConnectionResetError:
            more = b""
            data += b"(reset)"
        if not more:
            return bytes(data)
        data += more


def statuses(data):
    return [int(x) for x in re.findall(rb"HTTP/1\.1 (\d+) ", data)]


def get(path="/", more="", version="1.1"):
    return f"GET {path} HTTP/{version}\r\nHost: a\r\n{more}\r\n".encode()


def read_some(s, n):
    """The answers so far: n heads, and what has come with them."""
    data = b""
    while len(statuses(data)) < n or not data.endswith(b"\n"):
        more = s.recv(65536)
        if not more:
            break
        data += more
    return data


# ---- one request after the other ---------------------------------------------


def pipelining(server):
    many = get("/") * 500 + get("/", "Connection: close\r\n")
    check("501 at once", statuses(server.ask(many)) == [200] * 501)
    mixed = (get("/1024.bin") + get("/300000.bin", "Range: bytes=0-99999\r\n") +
             b"HEAD /big.bin HTTP/1.1\r\nHost: a\r\n\r\n" +
             b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello" +
             b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
             b"3\r\nabc\r\n0\r\nA: b\r\n\r\n" +
             get("/none") + b"\r\n" + get("/") + get("http://a/data.json") +
             b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n" +
             get("/", "Connection: close\r\n"))
    want = [200, 206, 200, 405, 405, 404, 200, 200, 204, 200]
    data = server.ask(mixed)
    check("a mixture", statuses(data) == want, statuses(data))
    check("its contents", (ROOT / "1024.bin").read_bytes() in data and
          (ROOT / "300000.bin").read_bytes()[:100000] in data)
    with server.open() as s:  # however it is cut
        for byte in mixed[:-4]:
            s.send(bytes([byte]))
        check("nothing yet", len(statuses(read_some(s, 9))) == 9)
        s.send(mixed[-4:])
        check("byte by byte", statuses(read_all(s)) == [200])
    data = server.ask(get("/", version="1.0") + get("/"))
    check("1.0 closes", statuses(data) == [200], data)
    data = server.ask(get("/", "Connection: keep-alive\r\n", "1.0") +
                      get("/", version="1.0"))
    check("1.0 stays if asked", statuses(data) == [200, 200], data)
    data = server.ask(get("/") + get("/"), end=True)
    check("half closed", statuses(data) == [200, 200], data)


def refusals(server):
    for want, request in {
            "no host": (400, b"GET / HTTP/1.1\r\n\r\n"),
            "two hosts": (400, get("/", "Host: b\r\n")),
            "bad host": (400, b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"),
            "two lengths": (400, get("/", "Content-Length: 1\r\n"
                                     "Content-Length: 1\r\n")),
            "length and chunks": (400, get("/", "Content-Length: 1\r\n"
                                           "Transfer-Encoding: chunked\r\n")),
            "no length": (400, get("/", "Content-Length: -1\r\n")),
            "chunks in 1.0": (400, get("/", "Transfer-Encoding: chunked\r\n",
                                       "1.0")),
            "other coding": (501, get("/", "Transfer-Encoding: gzip\r\n")),
            "bad chunks": (400, get("/", "Transfer-Encoding: chunked\r\n") +
                           b"x\r\n"),
            "bare LF": (400, b"GET / HTTP/1.1\nHost: a\n\n"),
            "folded": (400, get("/", " b\r\n")),
            "space before colon": (400, get("/", "A : b\r\n")),
            "no name": (400, get("/", ": b\r\n")),
            "control": (400, get("/", "A: \x01\r\n")),
            "no HTTP": (400, b"\x16\x03\x01\x02\x00\x01\r\n\r\n"),
            "HTTP/0.9": (400, b"GET /\r\n\r\n"),
            "HTTP/2.0": (505, get("/", version="2.0")),
            "relative": (400, get("index.html")),
            "fragment": (400, get("/#a")),
            "star": (400, get("*")),
            "long path": (414, get("/" + "a" * 5000)),
            "long line": (414, b"GET /" + b"a" * 20000),
            "long field": (431, get("/", "A: " + "b" * 20000)),
            "many fields": (431, get("/", "A: bcd\r\n" * 3000)),
            "large": (413, get("/", "Content-Length: 1048577\r\n")),
            "large chunk": (413, get("/", "Transfer-Encoding: chunked\r\n") +
                            b"200000\r\n" + b"a" * 0x200000 + b"\r\n0\r\n\r\n"),
            "expects else": (417, get("/", "Expect: x\r\n"
                                      "Connection: close\r\n")),
    }.items():
        data = server.ask(request[1], end=True)
        check(want, statuses(data) == [request[0]] and b"(reset)" not in data,
              data[:300])
    for path in ("/../secret", "/%2e%2e/secret", "/..%2fsecret", "//../secret",
                 "/dir/..%2f..%2fsecret", "/.", "/dir/./index.html",
                 "/outside/secret", "/absolute", "/relative", "/%2e"):
        data = server.ask(get(path, "Connection: close\r\n"))
        check(path, statuses(data) == [404], data[:300])


def bodies(server):
    with server.open() as s:
        s.sendall(b"PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
                  b"Content-Length: 100000\r\nConnection: close\r\n\r\n")
        check("continue", statuses(s.recv(1000)) == [100])
        s.sendall(b"a" * 100000)
        check("then 405", statuses(read_all(s)) == [405])


# ---- time --------------------------------------------------------------------


def took(action):
    began = time.monotonic()
    return action(), time.monotonic() - began


def time_outs(server):
    for what, request, want, limit in (
            ("no request", b"", [], IDLE), ("after one", get(), [200], IDLE),
            ("half a head", get()[:20], [408], HEAD),
            ("half a head later", get() + get()[:20], [200, 408], HEAD),
            ("half a body", get("/", "Content-Length: 9\r\n") + b"a", [408],
             BODY)):
        data, seconds = took(lambda request=request: server.ask(request))
        check(what, statuses(data) == want, data[:300])
        check(f"{what}: in time", limit * 0.9 <= seconds < limit + SLACK / 2,
              seconds)
    with server.open() as s:  # a drop now and then does not help
        def drops():
            try:
                for byte in get("/", "A: b\r\n" * 20):
                    s.send(bytes([byte]))
                    time.sleep(0.05)
            except OSError:
                pass
            return read_all(s)
        data, seconds = took(drops)
        check("slow loris", statuses(data) in ([408], []) and
              seconds < HEAD + SLACK / 2, data, seconds)
    # Who takes nothing is given up; who takes a little is not.
    with server.open() as s:
        s.sendall(get("/big.bin"))
        time.sleep(6 * WRITE)  # it takes three of them to fill the buffers
        s.settimeout(SLACK)
        check("takes nothing", len(read_all(s)) < 60_000_000)
    with server.open() as s:
        s.sendall(get("/big.bin"))
        s.recv(100)
    check("goes away", statuses(server.ask(get(), end=True)) == [200])


def places(server):
    """Of a server with two."""
    first, second = server.open(), server.open()
    for s in first, second:
        s.sendall(get())
        check("has a place", statuses(read_some(s, 1)) == [200])
    with server.open() as third:
        third.sendall(get("/", "Connection: close\r\n"))
        for _ in range(100):  # until the server has seen that somebody waits
            first.sendall(get())
            data = read_some(first, 1)
            if b"Connection: close" in data:
                break
            time.sleep(0.05)
        check("makes room", b"Connection: close" in data and
              read_all(first) == b"", data)
        check("gets it", statuses(read_all(third)) == [200])
    first.close()
    second.close()


# ---- the end -----------------------------------------------------------------


def drain():
    """What was begun is answered, and nobody else comes in."""
    server = Server("--drain", "30", "--idle", "30", "--head", "30",
                    "--write", "30")
    idle, half, large = server.open(), server.open(), server.open()
    idle.sendall(get())
    read_some(idle, 1)
    half.sendall(get() + get()[:-2])  # who answers the first has the other's head
    read_some(half, 1)
    large.sendall(get("/big.bin"))
    head = large.recv(1000)
    got = []
    server.process.send_signal(signal.SIGTERM)
    check("an idle one ends", read_all(idle) == b"")
    half.sendall(b"\r\n")
    data = read_all(half)
    check("a begun one is answered", statuses(data) == [200] and
          b"Connection: close" in data, data)
    try:
        server.open().close()
        check("nobody comes in", False)
    except ConnectionRefusedError:
        pass
    reader = threading.Thread(target=lambda: got.append(read_all(large)))
    reader.start()
    reader.join()
    body = (head + got[0]).partition(b"\r\n\r\n")[2]
    want = (ROOT / "big.bin").read_bytes()
    check("a download ends well", hashlib.sha256(body).digest() ==
          hashlib.sha256(want).digest(), len(body))
    out = server.process.communicate(timeout=20)[1]
    check("and so does the server", server.process.returncode == 0, out)
    check("its summary", "4 requests (2xx 4" in out and "cut off: 0" in out, out)


def drain_in_vain():
    server = Server("--drain", "0.5")
    with server.open() as s:
        s.sendall(get("/big.bin"))
        s.recv(1000)
        out, seconds = took(lambda: server.stop(1))
        check("cut off", "cut off: 1" in out and 0.4 < seconds < SLACK, out)


def main():
    server = Server()
    server.ask(get("/"), end=True)
    before = server.files()
    pipelining(server)
    refusals(server)
    bodies(server)
    time_outs(server)
    for _ in range(300):
        server.open().close()
    end = time.monotonic() + SLACK
    # Kept open: 300000.bin and big.bin.
    while len(now := server.files()) > len(before) + 2 and \
            time.monotonic() < end:
        time.sleep(0.1)
    check("no descriptor is lost", len(now) <= len(before) + 2, before, now)
    server.stop()
    server = Server("-n", "2", "--idle", "30")
    places(server)
    server.stop()
    drain()
    drain_in_vain()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
