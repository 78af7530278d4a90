#!/usr/bin/env python3
"""An echo server in Python, 64 connections of 64 bytes each way: thrum beside
gevent, uvloop's and asyncio's streams, and a thread each.

usage: bench_echo.py [--runs N] [--procs N] LOAD     LOAD: path of bench_echo_load

The load is tests/bench/echo_load.c on the CPUs that are left. Every run is a fresh
process of this Python; sides alternate. Prints medians of round trips per second
with their range, and of the server's CPU time for each.
"""

import argparse
import importlib.util
import json
import platform
import statistics
import subprocess
import sys


def say(port):
    print(port, flush=True)


def thrum_server(procs):
    import thrum
    from thrum import net

    def echo(stream):
        recv, send = stream.recv, stream.sendall
        while data := recv(4096):
            send(data)

    def main():
        with net.listen(("127.0.0.1", 0)) as listener:
            say(listener.port)
            listener.serve(echo)
    thrum.run(main, procs=procs)


def gevent_server(procs):
    from gevent import socket
    from gevent.server import StreamServer

    def echo(stream, _):
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        recv, send = stream.recv, stream.sendall
        while data := recv(4096):
            send(data)
    server = StreamServer(("127.0.0.1", 0), echo)
    server.start()
    say(server.server_port)
    server.serve_forever()


def asyncio_server(procs):
    import asyncio

    async def echo(reader, writer):
        while data := await reader.read(4096):
            writer.write(data)
            await writer.drain()

    async def main():
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        say(server.sockets[0].getsockname()[1])
        await server.serve_forever()
    asyncio.run(main())


def uvloop_server(procs):
    import uvloop
    uvloop.install()
    asyncio_server(procs)


def threading_server(procs):
    import socket
    import threading

    def echo(stream):
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while data := stream.recv(4096):
            stream.sendall(data)
    with socket.create_server(("127.0.0.1", 0)) as server:
        say(server.getsockname()[1])
        while True:
            stream, _ = server.accept()
            threading.Thread(target=echo, args=(stream,), daemon=True).start()


SIDES = ["thrum", "gevent", "uvloop", "asyncio", "threading"]


def one(load, side, procs):
    line = f"{sys.executable} {__file__} --side {side}"
    done = subprocess.run([load, "--server", line, "--procs", str(procs),
                           "--conns", "64"], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{side}: {done.stdout}{done.stderr}")
    return json.loads(done.stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--procs", type=int, default=1)
    parser.add_argument("--side")
    parser.add_argument("load", nargs="?")
    asked = parser.parse_args()
    if asked.side:
        globals()[f"{asked.side}_server"](asked.procs)
        return
    import thrum
    print(f"CPython {platform.python_version()}; {thrum.build_info}")
    sides = [side for side in SIDES if importlib.util.find_spec(side)]
    for side in set(SIDES) - set(sides):
        print(f"{side:10} skipped: it is not installed")
    runs = {side: [] for side in sides}
    for _ in range(asked.runs):
        for side in sides:
            runs[side].append(one(asked.load, side, asked.procs))
    def middle(side, key):
        return statistics.median(run[key] for run in runs[side])

    for side in sides:
        rates = [run["requests_per_s"] for run in runs[side]]
        ratio = middle("thrum", "requests_per_s") / statistics.median(rates)
        print(f"{side:10} {statistics.median(rates):9.0f} /s  "
              f"[{min(rates):.0f}-{max(rates):.0f}]  "
              f"{middle(side, 'server_us'):6.1f} us CPU each  "
              f"thrum is {ratio:.2f}x")


if __name__ == "__main__":
    main()
