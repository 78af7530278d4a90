#!/usr/bin/env python3
"""A chat server: what one types all others read. Try it with `nc localhost PORT`.

usage: chat.py [PORT]     without one: three guests talk to each other, and leave

A guest is two Tasks, one that reads and one that writes; between them a channel,
so a slow reader holds nobody up: what it has no room for it misses.
"""

import sys

import thrum
from thrum import net


class Room:
    def __init__(self):
        self.guests = {}

    def tell(self, text, but=None):
        for name, box in self.guests.items():
            if name != but:
                box.try_send(text)

    def writes(self, stream, box):
        for text in box:
            stream.sendall(f"{text}\n".encode())

    def guest(self, stream):
        with stream.makefile("r", encoding="utf-8") as lines:
            stream.sendall(b"your name?\n")
            name = lines.readline().strip()
            if not name or name in self.guests:
                stream.sendall(b"taken\n")
                return
            box = self.guests[name] = thrum.Channel(100)
            writer = thrum.go(self.writes, stream, box)
            self.tell(f"* {name} is here", name)
            try:
                for line in lines:
                    self.tell(f"{name}: {line.strip()}", name)
            finally:
                del self.guests[name]
                self.tell(f"* {name} has left")
                box.close()
                writer.join()


def talk(address, name, lines, heard):
    """A guest of the demonstration: speaks once it has heard three arrive."""
    with net.connect(address) as stream, stream.makefile("r") as room:
        assert room.readline() == "your name?\n"
        stream.sendall(f"{name}\n".encode())
        heard.wait()
        for line in lines:
            stream.sendall(f"{line}\n".encode())
        stream.shutdown()
        for line in room:
            print(f"[{name:5}] {line}", end="")


def demo(room, listener):
    everybody = thrum.WaitGroup()
    everybody.add()
    with thrum.scope(timeout=10) as scope:
        address = ("127.0.0.1", listener.port)
        for name in ("ada", "grace", "alan"):
            scope.go(talk, address, name, [f"I am {name}"], everybody)
        while len(room.guests) < 3:
            thrum.sleep(0.001)
        everybody.done()


def main():
    room = Room()
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    with net.listen(("127.0.0.1", port)) as listener:
        if port:
            print(f"nc localhost {listener.port}")
            listener.serve(room.guest)
        server = thrum.go(listener.serve, room.guest)
        demo(room, listener)
    server.join()


try:
    thrum.run(main)
except KeyboardInterrupt:
    pass
