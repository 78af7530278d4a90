"""What the runners here and in tests/lab share: one run of a program, a row's
runs by turns, medians, and what machine it was.

SPDX-License-Identifier: MIT
"""

import json
import os
import pathlib
import platform
import re
import resource
import signal
import statistics
import subprocess
import sys
import time

TOP = pathlib.Path(__file__).resolve().parents[3]


def say(*words):
    print(*words, file=sys.stderr, flush=True)


# ---- one run -----------------------------------------------------------------


def busy_seconds():
    """CPU time that all programs of the machine used so far."""
    try:
        with open("/proc/stat", encoding="ascii") as f:
            fields = [int(word) for word in f.readline().split()[1:]]
    except (OSError, ValueError):
        return None
    idle = fields[3] + fields[4]
    return (sum(fields[:8]) - idle) / os.sysconf("SC_CLK_TCK")


def children_seconds():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def settle(patience):
    """Waits, at most patience seconds, until other programs are quiet."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        busy = busy_seconds()
        if busy is None:
            return
        time.sleep(0.3)
        if busy_seconds() - busy < 0.05:
            return


def run_once(command, timeout):
    """Starts one program; returns a record that says how it went.

    The record has `figures` if the program printed its one JSON object,
    `skipped` if it says that this machine can't do it (exit code 77), else
    `error`. `others` is the CPU time of all other programs meanwhile, as a
    share of the elapsed time (1.0: one whole CPU was taken).
    """
    record = {"command": command}
    busy, own, began = busy_seconds(), children_seconds(), time.monotonic()
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, start_new_session=True)
    except OSError as error:
        record["error"] = str(error)
        return record
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
        record["error"] = f"no end within {timeout:g} s"
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
    seconds = time.monotonic() - began
    record["seconds"] = round(seconds, 4)
    if busy is not None:
        taken = busy_seconds() - busy - (children_seconds() - own)
        record["others"] = round(max(taken, 0) / max(seconds, 0.01), 3)
    if "error" not in record:
        if process.returncode < 0:
            record["error"] = signal.Signals(-process.returncode).name
        elif process.returncode == 77 and out.startswith("skipped: "):
            record["skipped"] = out.splitlines()[0].partition(" ")[2]
        elif process.returncode > 0:
            record["error"] = f"exit code {process.returncode}"
        else:
            try:
                record["figures"] = json.loads(out)
                if not isinstance(record["figures"], dict):
                    raise ValueError("not one JSON object")
            except ValueError as error:
                record.pop("figures", None)
                record["error"] = f"output: {error}"
    if err.strip():
        record["stderr"] = err[-2000:]
    return record


# ---- a row -------------------------------------------------------------------


class Side:
    """A way to run every subject: thrum, or the twin built by one Go."""

    def __init__(self, kind, version, command):
        self.kind, self.version, self.command = kind, version, command


class Contender:
    """One side with one variant of a row, and its runs."""

    def __init__(self, row, side, variant):
        self.side, self.variant, self.runs = side, variant, []
        self.command = side.command(row.subject) + row.args + variant
        self.label = " ".join([side.version or side.kind, *variant]).strip()

    def failures(self):
        return [run for run in self.runs if "error" in run]

    def values(self, key):
        values = [run["figures"].get(key) for run in self.runs
                  if "figures" in run]
        return [v for v in values if isinstance(v, (int, float))]


def check_figures(row, record, kind):
    """A run that did other work than the row says is a failed run."""
    figures = record.get("figures")
    if figures is None:
        return
    for flag, value in zip(row.args[::2], row.args[1::2]):
        key = flag[2:].replace("-", "_")
        if key in figures and str(figures[key]) != value:
            record["error"] = f"{key} is {figures[key]}, not {value}"
    if figures.get("bench") != row.subject:
        record["error"] = f"bench is {figures.get('bench')}"
    for metric in row.metrics:
        if metric.alone and kind == "go":
            continue
        if not isinstance(figures.get(metric.key), (int, float)):
            record["error"] = f"no figure {metric.key}"
    if "error" in record:
        record["rejected"] = record.pop("figures")


def measure(row, sides, options):
    contenders = [Contender(row, side, variant) for side in sides
                  for variant in row.variants[side.kind]]
    for rep in range(options.reps):
        # By turns, and who is first changes as well.
        for one in contenders if rep % 2 == 0 else contenders[::-1]:
            if len(one.failures()) >= options.give_up:
                one.runs.append({"command": one.command, "error":
                                 "not started: too many failed before"})
                continue
            settle(options.settle)
            record = run_once(one.command, options.timeout)
            check_figures(row, record, one.side.kind)
            one.runs.append(record)
            if "skipped" in record:
                return contenders
            if "error" in record:
                say(f"{row.name}: {one.label}: FAILED: {record['error']}")
                for line in record.get("stderr", "").strip().splitlines()[-5:]:
                    say(f"    {line}")
    return contenders


def summary(contenders, key):
    """The best contender by median: {median, min, max, label}, or None."""
    best = None
    for one in contenders:
        values = one.values(key)
        if values:
            median = statistics.median(values)
            if best is None or median < best["median"]:
                best = {"median": median, "min": min(values),
                        "max": max(values), "label": one.label}
    return best


# ---- printing ----------------------------------------------------------------


def figure(value):
    if value is None:
        return "-"
    size = abs(value)
    if size >= 1000:
        return f"{value:,.0f}"
    if size >= 100:
        return f"{value:.0f}"
    if size >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if size >= 1 or size == 0 else f"{value:.3f}"


def spread(summed):
    if summed is None:
        return "-"
    return (f"{figure(summed['median'])} "
            f"[{figure(summed['min'])}-{figure(summed['max'])}]")


# ---- the report --------------------------------------------------------------


def first_match(path, pattern):
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            found = re.search(pattern, f.read(), re.M)
    except OSError:
        return None
    return found.group(1).strip() if found else None


def machine():
    try:
        load = [round(part, 2) for part in os.getloadavg()]
    except OSError:
        load = None
    flags = first_match("/proc/cpuinfo", r"^flags\s*:(.*)$") or ""
    return {
        "cpu": first_match("/proc/cpuinfo", r"^model name\s*:(.*)$")
               or platform.processor() or platform.machine(),
        "cpus": len(os.sched_getaffinity(0))
                if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "virtual": "hypervisor" in flags.split(),
        "memory_gib": round(int(first_match(
            "/proc/meminfo", r"^MemTotal:\s*(\d+)") or 0) / 2**20, 1),
        "huge_pages": first_match(
            "/sys/kernel/mm/transparent_hugepage/enabled", r"\[(\w+)\]"),
        "kernel": f"{platform.system()} {platform.release()}",
        "load": load,
    }


def print_machine(facts):
    print(f"machine: {facts['cpu']}, {facts['cpus']} CPUs"
          f"{' (virtual)' if facts['virtual'] else ''}, "
          f"{facts['memory_gib']} GiB, {facts['kernel']}, "
          f"huge pages {facts['huge_pages'] or 'unknown'}")
    if facts["load"]:
        print("load average: " + " ".join(f"{x:.2f}" for x in facts["load"]))
        if facts["load"][0] > 0.5:
            print("warning: other programs are running; trust the column "
                  "`others` and the smaller ends of the ranges")


def revision():
    try:
        done = subprocess.run(
            ["git", "-C", str(TOP), "describe", "--always", "--dirty"],
            capture_output=True, text=True, timeout=30, check=True)
        return done.stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None


def save(path, report):
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    part.replace(path)
