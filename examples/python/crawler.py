#!/usr/bin/env python3
"""A web crawler, and the web that it crawls.

usage: crawler.py [PAGES [TASKS]]

The server answers with a page of links after 20 ms, as a distant one would. The
crawler is a Task per fetch, at most TASKS at once; each page is fetched once.
"""

import re
import sys
import time

import thrum
from thrum import net


# ---- the web ------------------------------------------------------------------
def page(number, pages):
    links = {(number * k + k) % pages for k in range(2, 8)}
    return "".join(f'<a href="/{n}">{n}</a>\n' for n in sorted(links)).encode()


def serve(stream, pages):
    with stream.makefile("rb") as lines:
        while request := lines.readline():
            while lines.readline().strip():  # headers
                pass
            thrum.sleep(0.02)
            body = page(int(request.split()[1][1:]), pages)
            stream.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" %
                           len(body) + body)


# ---- the crawler ----------------------------------------------------------------
class Crawler:
    def __init__(self, address, tasks):
        self.address = address
        self.room = thrum.Semaphore(tasks)
        self.seen = set()
        self.bytes = 0

    def fetch(self, path):
        with net.connect(self.address, timeout=5) as stream:
            stream.sendall(b"GET %s HTTP/1.1\r\nHost: local\r\n\r\n" %
                           path.encode())
            with stream.makefile("rb") as lines:
                length = 0
                while line := lines.readline().strip():
                    if line.lower().startswith(b"content-length:"):
                        length = int(line.split(b":")[1])
                return lines.read(length)

    def visit(self, path, scope):
        with self.room:
            body = self.fetch(path)
        self.bytes += len(body)
        for link in re.findall(rb'href="(/\d+)"', body):
            self.follow(link.decode(), scope)

    def follow(self, path, scope):
        if path not in self.seen:
            self.seen.add(path)
            scope.go(self.visit, path, scope)


def main():
    pages = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    tasks = int(sys.argv[2]) if len(sys.argv) > 2 else 100
    with net.listen(("127.0.0.1", 0)) as listener:
        web = thrum.go(listener.serve, lambda stream: serve(stream, pages))
        crawler = Crawler(("127.0.0.1", listener.port), tasks)
        began = time.monotonic()
        with thrum.scope(timeout=60) as scope:
            crawler.follow("/1", scope)
        seconds = time.monotonic() - began
    web.join()
    print(f"{len(crawler.seen)} pages, {crawler.bytes} bytes in {seconds:.2f} s; "
          f"one after the other they take {len(crawler.seen) * 0.02:.0f} s")


thrum.run(main)
