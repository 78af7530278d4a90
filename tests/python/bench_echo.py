#!/usr/bin/env python3
"""An echo server in Python, 64 connections of 64 bytes each way: thrum beside
gevent, uvloop's and asyncio's streams, and a thread each.

usage: bench_echo.py [--rounds N] [--ms N] [--procs N] LOAD
       LOAD: path of bench_echo_load

The load is tests/bench/echo_load.c on the CPUs that are left. Every run is a fresh
process of this Python. A round has a short run of each side, in random order, and
what is compared is runs of one round: machines have phases in which all is slower.
Prints medians of round trips per second with their range, of the server's CPU time
for each, and of the rounds' ratios with their quartiles.
"""

import argparse
import importlib.util
import json
import platform
import random
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


def one(load, side, procs, ms):
    line = f"{sys.executable} {__file__} --side {side}"
    done = subprocess.run([load, "--server", line, "--procs", str(procs),
                           "--conns", "64", "--warm-ms", str(ms // 4),
                           "--run-ms", str(ms)], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{side}: {done.stdout}{done.stderr}")
    return json.loads(done.stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--ms", type=int, default=700, help="of a run")
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
    for _ in range(asked.rounds):
        for side in random.sample(sides, len(sides)):
            runs[side].append(one(asked.load, side, asked.procs, asked.ms))

    for side in sides:
        rates = [run["requests_per_s"] for run in runs[side]]
        ratios = [ours["requests_per_s"] / rate
                  for ours, rate in zip(runs["thrum"], rates)]
        low, _, high = statistics.quantiles(ratios, method="inclusive")
        print(f"{side:10} {statistics.median(rates):9.0f} /s  "
              f"[{min(rates):.0f}-{max(rates):.0f}]  "
              f"{statistics.median(run['server_us'] for run in runs[side]):6.1f} "
              f"us CPU each  thrum is {statistics.median(ratios):.2f}x  "
              f"[{low:.2f}-{high:.2f}]")


if __name__ == "__main__":
    main()
