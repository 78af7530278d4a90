#!/usr/bin/env python3
"""Does each memory order of the core do something that the models can see?

usage: weaken.py BUILD [FILE[:LINE]]

Weakens one call at a time (acquire, release and acq_rel to relaxed, seq_cst to
acq_rel) and runs the models that reach it until one fails: killed. The explorer
does it while it runs (--weaken), as a rebuilt copy would. What survives is
explained in weaken.txt, a line each:

  FILE ## the line of code ## a sentence

An order that survives without one fails this check, and so does an explanation
of an order that is killed, or gone.
"""

import collections
import concurrent.futures
import pathlib
import re
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parent.parent
SECONDS = 120  # for one program and one order
WEAKER = {"seq_cst": "acq_rel"}
STRONG = re.compile(r"\b(acquire|release|acq_rel|seq_cst)\b(?=\s*[,)])")


def code_at(file, line):
    """The statement that begins there, as one line without comments."""
    text = ""
    for part in (TOP / file).read_text().splitlines()[line - 1:line + 4]:
        text += " " + re.sub(r"//.*", "", part).strip()
        if text.count("(") <= text.count(")"):
            break
    return re.sub(r"\s+", " ", text).strip()


def programs_of(build):
    found = sorted((build / "tests/model/explore").glob("model_*"))
    return [p for p in found if p.is_file() and p.name != "model_checks"]


def sites_of(programs):
    """(file, line, order) → the programs that reach it."""
    sites = collections.defaultdict(list)
    for program in programs:
        out = subprocess.run(
            [program, "--bound", "0", "--random", "400", "--sites"],
            capture_output=True, text=True, check=False).stdout
        for path, line, order in re.findall(
                r"^site (\S+):(\d+) (\w+)$", out, re.M):
            path = path[path.rindex("core/"):]
            sites[path, int(line), order].append(program)
    return sites


def explanations():
    known = {}
    for line in (HERE / "weaken.txt").read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            file, code, why = (part.strip() for part in line.split(" ## ", 2))
            known[file, code] = why
    return known


def weaken(site, programs):
    """What killed it, or None; and whether all was explored."""
    file, line, order = site
    what = f"{file}:{line}:{WEAKER.get(order, 'relaxed')}"
    whole = True
    for program in programs:
        done = subprocess.run(
            [program, "--quick", "--weaken", what, "--seconds", str(SECONDS)],
            capture_output=True, text=True, check=False, errors="replace")
        if done.returncode == 3:
            whole = False
        elif done.returncode:
            fails = re.findall(r"^FAIL (\S+) .*?: (.*)$", done.stdout, re.M)
            name = program.name.removeprefix("model_")
            return (f"{name} {fails[0][0]}: {fails[0][1]}" if fails
                    else f"{name} crashed"), True
    return None, whole


def unreached(sites):
    """Orders in the reached files that no model comes to."""
    seen = {(file, line) for file, line, _ in sites}
    lost = []
    for file in sorted({file for file, _ in seen}):
        text = (TOP / file).read_text().splitlines()
        for number, line in enumerate(text, 1):
            # The call may have begun some lines before its order.
            near = any((file, n) in seen for n in range(number - 4, number + 1))
            if STRONG.search(re.sub(r"//.*", "", line)) and not near:
                lost.append(f"{file}:{number} {line.strip()}")
    return lost


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    only = sys.argv[2] if len(sys.argv) > 2 else ""
    programs = programs_of(build)
    if not programs:
        print("skipped: the models were not built: relacy-dev is missing")
        return 77
    took = {}
    for program in programs:
        start = time.monotonic()
        if subprocess.run([program, "--bound", "1", "--random", "1000"],
                          check=False, capture_output=True).returncode:
            print(f"{program.name} fails as it is")
            return 1
        took[program] = time.monotonic() - start
    sites = sites_of(programs)
    known = explanations()
    todo = sorted(s for s in sites
                  if only in (s[0], f"{s[0]}:{s[1]}", ""))
    print(f"{len(todo)} orders, {len(programs)} models", flush=True)
    killed, survived, bad, used, alive = 0, 0, 0, set(), set()

    def one(site):
        return site, *weaken(site, sorted(sites[site], key=took.get))

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for n, (site, by, whole) in enumerate(pool.map(one, todo), 1):
            file, line, order = site
            code = code_at(file, line)
            why = known.get((file, code))
            used.add((file, code))
            head = f"[{n}/{len(todo)}] {file}:{line} {order}"
            if by:
                killed += 1
                print(f"{head} killed by {by}", flush=True)
            else:
                survived += 1
                alive.add((file, code))
                cut = "" if whole else " (not all was explored)"
                print(f"{head} survived{cut}: {why or 'UNEXPLAINED'}\n"
                      f"  {code}", flush=True)
                bad += not why
    for file, code in sorted(set(known) - used) if not only else []:
        bad += 1
        print(f"weaken.txt explains what is not there: {file} | {code}")
    for file, code in sorted(used & set(known) - alive):
        bad += 1
        print(f"killed, but weaken.txt explains it: {file} | {code}")
    for line in unreached(sites) if not only else []:
        print(f"no model reaches {line}")
    print(f"{killed} killed, {survived} survived, {bad} not as they should be")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
