#!/usr/bin/env python3
"""examples/tools/thrum_top on a live process.

usage: top.py LIBRARY BUSY THRUM_TOP
"""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

from common import Cases, expect, run, scratch, with_comma

LIBRARY, BUSY, TOP = sys.argv[1:4]


class Busy:
    """The program, served at `path`, in an environment with `more`."""

    def __init__(self, path, more=()):
        self.path, self.more = str(path), dict(more)

    def __enter__(self):
        self.process = subprocess.Popen(
            [BUSY], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=dict(os.environ, THRUM_DEBUG_SOCKET=self.path, **self.more))
        expect(self.process.stdout.readline() == "ready\n", "it did not start")
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        expect(self.process.wait(60) == 0, "it ended badly")

    def top(self, *options):
        text, code = run(TOP, *options, self.path)
        expect(code == 0, "thrum_top ended with", code, text)
        return text


def tells_in_json(busy):
    text = busy.top("--json", "--every", "500")
    expect("\ufffd" not in text, "no UTF-8")
    said = json.loads(text)
    expect(said["kind"] == "thrum-snapshot", said["kind"])
    expect(said["pid"] == busy.process.pid, "another process")
    expect([p["p"] for p in said["ps"]] == [0, 1], said["ps"])
    expect(said["metrics"]["gs"] == 44, said["metrics"]["gs"])
    top = said["top"]
    expect(len(top) == 40, len(top), "Gs")
    expect(top[0]["name"] == "hog", "most CPU has", top[0])
    expect(top[0]["cpu_ns"] > 10 * top[1]["cpu_ns"], top[:2])
    expect(top[0]["state"] in ("running", "runnable"), top[0])
    expect(sorted(top, key=lambda g: -g["cpu_ns"]) == top, "not in order")
    expect({g["name"] for g in top} <= {"hog", "ping", "pong", "ü" * 23 + "?",
                                        'sleeper "quoted"'}, top)
    expect(said["waits"]["classes"]["migrate"]["ran"] > 0, said["waits"]["all"])
    cells = sum(n for _, _, n in said["heatmap"]["latency"])
    expect(cells > 0, "an empty heat map")


def draws_once(busy):
    text = busy.top("--once", "--every", "300")
    expect("\x1b" not in text, "colours without a terminal")
    lines = text.splitlines()
    expect(lines[0].startswith(f"pid {busy.process.pid} "), lines[0])
    expect(sum(line.split()[1:2] in (["running"], ["idle"])
               for line in lines) == 2, "not two Ps:", text)
    at = next(i for i, line in enumerate(lines) if "CPU %" in line)
    expect(lines[at + 1].split()[2] == "hog", lines[at + 1])
    expect(any(line.startswith("ready_migrate ") for line in lines), text)
    expect(any(line.startswith("migrate ") for line in lines), text)
    expect(any(line.startswith("ready to run,") for line in lines), text)
    text = busy.top("--once", "--every", "100", "--class", "normal")
    expect("ready to run: normal, " in text, text)


def goes_without_measuring(path):
    with Busy(path) as busy:
        said = json.loads(busy.top("--json", "--every", "50", "--light"))
        expect(said["waits"] is None and said["heatmap"] is None, "measured")
        expect(said["top"] == [], said["top"])
        text = busy.top("--once", "--every", "50", "--light")
        expect("CPU %" not in text and "ready to run" not in text, text)


def draws_until_interrupted(busy):
    top = subprocess.Popen([TOP, "--every", "50", busy.path],
                           stdout=subprocess.PIPE, text=True)
    screens = 0
    while screens < 4:
        line = top.stdout.readline()
        expect(line, "it ended after", screens)
        screens += line.count("\x1b[H")
    top.send_signal(signal.SIGINT)
    expect(top.stdout.read() is not None and top.wait(60) == 0, "did not end")


def can_be_interrupted_while_nobody_answers(busy):
    top = subprocess.Popen([TOP, "--every", "50", busy.path],
                           stdout=subprocess.PIPE, text=True)
    expect(top.stdout.readline(), "no screen")
    busy.process.send_signal(signal.SIGSTOP)
    os.waitpid(busy.process.pid, os.WUNTRACED)
    try:
        # Until it has asked, and waits.
        syscall = pathlib.Path(f"/proc/{top.pid}/wchan")
        for _ in range(100):
            if "unix_stream" in syscall.read_text():
                break
            time.sleep(0.05)
        top.send_signal(signal.SIGINT)
        top.communicate(timeout=20)
        expect(top.returncode == 0, "it ended with", top.returncode)
    except subprocess.TimeoutExpired:
        top.kill()
        expect(False, "it did not end")
    finally:
        busy.process.send_signal(signal.SIGCONT)


def says_what_is_wrong(path):
    text, code = run(TOP, "--once", str(path) + ".none")
    expect(code == 1 and "No such file" in text, code, text)
    text, code = run(TOP)
    expect(code == 2 and text.startswith("usage:"), code, text)


def ends_with_the_process(path):
    with Busy(path) as busy:
        top = subprocess.Popen([TOP, "--every", "20", busy.path],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               text=True)
        top.stdout.readline()
    out, err = top.communicate(timeout=60)
    expect(top.returncode == 1 and "has ended" in err, top.returncode, err, out)
    expect(not pathlib.Path(path).exists(), "the socket is still there")


def main():
    cases = Cases()
    with scratch() as folder:
        path = pathlib.Path(folder, "top")
        cases.case("says_what_is_wrong", says_what_is_wrong, path)
        cases.case("goes_without_measuring", goes_without_measuring, path)
        with Busy(path, with_comma(folder)) as busy:
            cases.case("tells_in_json", tells_in_json, busy)
            cases.case("draws_once", draws_once, busy)
            cases.case("draws_until_interrupted", draws_until_interrupted, busy)
            cases.case("can_be_interrupted_while_nobody_answers",
                       can_be_interrupted_while_nobody_answers, busy)
        cases.case("ends_with_the_process", ends_with_the_process, path)
    cases.end()


main()
