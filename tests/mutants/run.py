#!/usr/bin/env python3
"""Does the suite see a defect? Applies the mutants of this folder one at a time.

usage: run.sh [OPTION...] [all | N | NAME...]

  all            every mutant; also without arguments
  N              the same as --draw N with the commit as KEY; where there is none,
                 all trees draw the same ones
  NAME           a patch, or the beginning of its name: 07-, 18-waiters-lifo

  --draw N KEY   N of them, chosen by a hash of KEY: the same KEY, the same ones
  --report FILE  writes the matrix as a Markdown table too
  --every        runs the whole suite and names every program that sees the
                 defect; takes long
  --repeat N     runs the cases that a patch names N times and counts how often
                 each fails
  --check        only looks whether the patches apply
  --list         only prints the names

The tree is copied to build/mutants/tree and built in build/mutants/build (in
$THRUM_MUTANTS_DIR if that is set), which stay there for the next time. Then,
for each patch: apply, build what changed, run, take it back.

A mutant is killed when a test program fails, crashes or hangs. First come the
cases that the patch itself names (Killed-by: lines), then, if these are blind,
the whole suite, program by program, up to 60 s. The control, an edit that
changes nothing, comes first and must survive all that the others are given.

Exit code: 0 every mutant was killed and the control survived; 1 otherwise.
Environment: JOBS, how many compilers run at once (default: cores).
"""

import argparse
import fcntl
import hashlib
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parent.parent
CONTROL = "00-control"
WATCHDOG = 10      # s a case may take; for a slow one, four times its normal
PATIENCE = 60      # s a case of the control may take
MOST = 60          # s of running tests per mutant
# Where a defect may be seen, likely places first. Not: lints and ABI checks,
# which would find the patch and not the defect; programs that die on purpose;
# conform, which lists those.
SUITES = ["capi", "stress", "unit", "model"]


class Trouble(Exception):
    """Nothing was learned about the suite."""


# ---- patches ----------------------------------------------------------------

class Patch:
    """A unified diff below a description and its Killed-by: lines."""

    def __init__(self, path):
        self.name = path.stem
        head, *parts = re.split(r"^--- a/", path.read_text(), flags=re.M)
        self.title = " ".join(re.sub(r"^Killed-by:.*$", "", head,
                                     flags=re.M).split())
        self.killers = [tuple(k.split(None, 1)) for k in
                        re.findall(r"^Killed-by:\s*(\S+ .*\S)", head, re.M)]
        self.hunks = []  # (file, old text, new text)
        for part in parts:
            file = re.search(r"^\+\+\+ b/(\S+)", part, re.M).group(1)
            for hunk in re.split(r"^@@.*@@.*\n", part, flags=re.M)[1:]:
                lines = hunk.splitlines(True)
                self.hunks.append((
                    file,
                    "".join(line[1:] for line in lines if line[0] in " -"),
                    "".join(line[1:] for line in lines if line[0] in " +")))

    def applied(self, top):
        """{file: text}. Line numbers count for nothing: a hunk's old lines must
        stand in the file exactly once."""
        texts = {}
        for file, old, new in self.hunks:
            if file not in texts:
                if not (top / file).is_file():
                    raise Trouble(f"does not apply: there is no {file}")
                texts[file] = (top / file).read_text()
            # Whole lines only.
            found = ("\n" + texts[file]).count("\n" + old)
            if found != 1:
                where = "not there" if not found else f"there {found} times"
                raise Trouble(f"does not apply: {where} in {file}:\n" +
                              "".join("    " + x for x in old.splitlines(True)))
            texts[file] = ("\n" + texts[file]).replace("\n" + old,
                                                       "\n" + new)[1:]
        return texts


def load():
    return [Patch(p) for p in sorted(HERE.glob("[0-9]*.patch"))]


def draw(patches, count, key):
    def rank(patch):
        return hashlib.sha256(f"{key} {patch.name}".encode()).hexdigest()
    return sorted(sorted(patches, key=rank)[:count], key=lambda p: p.name)


# ---- the copy ---------------------------------------------------------------

def tracked():
    """Names of the files that belong to the tree."""
    done = subprocess.run(
        ["git", "-C", str(TOP), "ls-files", "-z", "-co", "--exclude-standard"],
        capture_output=True, check=False) if shutil.which("git") else None
    if done and done.returncode == 0 and done.stdout:
        names = os.fsdecode(done.stdout).split("\0")
        return {n for n in names if n and (TOP / n).is_file()}
    return {p.relative_to(TOP).as_posix() for p in TOP.rglob("*")
            if p.is_file() and p.relative_to(TOP).parts[0] not in
            ("build", ".git") and "__pycache__" not in p.parts}


class Copy:
    """The tree that is broken and mended, and its build."""

    def __init__(self, base):
        self.tree = base / "tree"
        self.build = base / "build"
        self.log = base / "build.log"
        self.programs = {}

    def sync(self):
        """Touches only files that differ: so little is built anew."""
        names = tracked()
        for name in names:
            to = self.tree / name
            data = (TOP / name).read_bytes()
            if not to.is_file() or to.read_bytes() != data:
                to.parent.mkdir(parents=True, exist_ok=True)
                to.write_bytes(data)
                shutil.copymode(TOP / name, to)
        for path in sorted(self.tree.rglob("*")):
            if path.is_file() and \
                    path.relative_to(self.tree).as_posix() not in names:
                path.unlink()

    def ran(self, *command):
        with open(self.log, "a") as log:
            return subprocess.run(command, stdout=log, stderr=log,
                                  check=False).returncode == 0

    def setup(self):
        self.log.write_text("")
        if not (self.build / "build.ninja").exists():
            shutil.rmtree(self.build, ignore_errors=True)
            if not self.ran("meson", "setup", str(self.build), str(self.tree),
                            "-Dexamples=false", "-Dbindings=disabled"):
                raise Trouble(f"meson setup failed: see {self.log}")

    def ninja(self, *targets):
        self.log.write_text("")
        jobs = os.environ.get("JOBS") or str(os.cpu_count() or 1)
        command = ["ninja", "-C", str(self.build), "-j", jobs, *targets]
        if not self.ran(*command) and not (
                "run the build again" in self.log.read_text() and
                self.ran(*command)):
            tail = "".join(self.log.read_text().splitlines(True)[-15:])
            raise Trouble("does not build:\n" + tail)

    def introspect(self):
        found = subprocess.run(
            ["meson", "introspect", str(self.build), "--tests"],
            capture_output=True, text=True, check=True).stdout
        for test in json.loads(found):
            exe = pathlib.Path(test["cmd"][0])
            suite = test["suite"][0].split(":")[-1]
            if suite in SUITES and self.build in exe.parents:
                name = f"{suite}/{test['name'].split()[-1]}"
                self.programs[name] = Program(name, exe, test["env"],
                                              self.build)
        self.programs = dict(sorted(
            self.programs.items(),
            key=lambda item: SUITES.index(item[0].split("/")[0])))

    def put(self, texts):
        """Replaces files; returns what they were."""
        before = {f: (self.tree / f).read_text() for f in texts}
        for file, text in texts.items():
            (self.tree / file).write_text(text)
        return before


# ---- running ----------------------------------------------------------------

class Result:
    def __init__(self, seconds, how="", cases=()):
        self.seconds = seconds
        self.how = how            # "": passed, or not over in its time
        self.cases = list(cases)  # those that failed


class Program:
    """A test program: of tests/support/check.h, of doctest or of the explorer."""

    def __init__(self, name, exe, env, build):
        self.name = name
        self.exe = exe
        self.env = env
        self.build = build
        self.target = exe.relative_to(build).as_posix()
        self.kind = name.split("/")[0]

    def command(self, cases):
        if not cases:
            return [str(self.exe)]
        if self.kind == "model":
            return [str(self.exe), "--only", cases[0]]
        if self.kind == "unit":
            # Commas separate doctest's filters, and its ? is any character.
            return [str(self.exe), "--test-case=" + ",".join(
                c.replace(",", "?") for c in cases)]
        return [str(self.exe), *cases]

    def cases(self):
        """Of a program of check.h."""
        done = subprocess.run([str(self.exe), "--list"], text=True,
                              capture_output=True, env=self.environment(10),
                              timeout=20, check=False)
        return done.stdout.split() if done.returncode == 0 else []

    def environment(self, watchdog):
        env = {k: v for k, v in os.environ.items()
               if not k.startswith("THRUM_")}
        env.update(self.env)
        env["THRUM_TEST_TIMEOUT"] = str(watchdog)
        return env

    def run(self, cases, watchdog, limit):
        """None: the program knows no such case."""
        began = time.monotonic()
        child = subprocess.Popen(
            self.command(cases), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            errors="replace", cwd=self.build, env=self.environment(watchdog),
            start_new_session=True, preexec_fn=lambda: resource.setrlimit(
                resource.RLIMIT_CORE, (0, 0)))
        late = False
        try:
            text, _ = child.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            late = True
            os.killpg(child.pid, signal.SIGKILL)  # with what it started
            text, _ = child.communicate()
        seconds = time.monotonic() - began
        if cases and self.unknown(cases, child.returncode, text):
            return None
        if not late and child.returncode in (0, 77):
            return Result(seconds)
        failed = self.failures(text)
        if late:
            # An explorer that has not found anything yet does not hang.
            if cases and self.kind != "model":
                return Result(seconds, "hangs", failed or cases)
            return Result(seconds)
        how = "fails"
        if "still running" in text:
            how = "hangs"
        elif child.returncode < 0:
            how = signal.Signals(-child.returncode).name
        return Result(seconds, how, failed or cases or ["?"])

    def unknown(self, cases, code, text):
        if self.kind == "model":
            return not re.search(rf"^(ok|FAIL)\s+{re.escape(cases[0])}\b",
                                 text, re.M) and code == 0
        if self.kind == "unit":
            return bool(re.search(r"test cases:\s*0 \|", text))
        return "no case of that name" in text

    def failures(self, text):
        if self.kind == "unit":
            text = re.sub(r"\x1b\[[0-9;]*m", "", text)
            found = re.findall(r"^TEST CASE:\s+(.*\S)", text, re.M)
            found += re.findall(r"^FAIL: (?:still running, given up: )?"
                                r"(.*?)(?:: leaves .*)?$", text, re.M)
        else:
            found = re.findall(r"^FAIL\s+(\w+)", text, re.M)
            if not found and self.kind != "model":  # it died without a word
                passed = re.findall(r"^(?:ok|skipped) (\w+)", text, re.M)
                found = [c for c in self.cases() if c not in passed][:1]
        return list(dict.fromkeys(found))


# ---- judging ----------------------------------------------------------------

class Judge:
    def __init__(self, copy, options):
        self.copy = copy
        self.options = options
        self.normal = {}  # (program, case): s in the control
        self.rows = []    # (name, title, verdict, s, build s)

    def say(self, name, text):
        print(f"{name:32} {text}", flush=True)

    def built(self, patch, killers):
        """Applies and builds; returns what to put back, and the seconds."""
        began = time.monotonic()
        before = self.copy.put(patch.applied(self.copy.tree))
        try:
            targets = {self.copy.programs[p].target for p, _ in killers
                       if p in self.copy.programs}
            self.copy.ninja(*sorted(targets or {
                p.target for p in self.copy.programs.values()}))
        except BaseException:
            self.copy.put(before)
            raise
        return before, time.monotonic() - began

    def watchdog(self, program, case):
        return max(WATCHDOG, int(4 * self.normal.get((program, case), 0)) + 1)

    def named(self, patch):
        """The cases that the patch names, less those that are gone."""
        return [(self.copy.programs[program], case)
                for program, case in patch.killers
                if (program, case) in self.normal]

    def row(self, patch, verdict, seconds, build_s):
        self.say(patch.name, f"{verdict} in {seconds:.1f} s "
                 f"(build {build_s:.0f} s)")
        self.rows.append((patch.name, patch.title, verdict, seconds, build_s))

    def control(self, patch, cases):
        """Every case that a mutant is given, and none fails."""
        before, build_s = self.built(patch, cases)
        seconds, count, bad = 0.0, 0, ""
        try:
            for name, case in cases:
                got = name in self.copy.programs and self.copy.programs[
                    name].run([case], PATIENCE, PATIENCE + 20)
                if not got:
                    self.say(patch.name, f"note: there is no {name} {case}")
                    continue
                count += 1
                seconds += got.seconds
                self.normal[name, case] = got.seconds
                if got.how:
                    bad = bad or f"{name} {case} ({got.how})"
        finally:
            self.copy.put(before)
        self.row(patch, f"KILLED by {bad}" if bad else
                 f"survives {count} cases", seconds, build_s)
        return not bad

    def mutant(self, patch):
        """The cases that the patch names. None: they are blind."""
        try:
            before, build_s = self.built(patch, patch.killers)
        except Trouble as trouble:
            self.say(patch.name, str(trouble))
            self.rows.append((patch.name, patch.title, "DOES NOT BUILD", 0, 0))
            return False
        try:
            if self.options.repeat:
                return self.repeated(patch)
            spent = 0.0
            for program, case in self.named(patch):
                limit = self.watchdog(program.name, case)
                got = program.run([case], limit, min(limit + 10, MOST))
                if got:
                    spent += got.seconds
                    if got.how:
                        self.row(patch, f"killed by {program.name} {case} "
                                 f"({got.how})", spent, build_s)
                        return True
        finally:
            self.copy.put(before)
        if not self.options.every:
            self.say(patch.name, "not seen by the cases that it names; "
                     "the whole suite follows")
        return None

    def whole_suite(self, control, mutants):
        """For mutants that no named case has seen: everything, up to MOST s,
        less what fails in the control as well."""
        before, _ = self.built(control, [])
        try:
            for program in list(self.copy.programs.values()):
                got = program.run([], WATCHDOG, 10 * MOST)
                if got.how:
                    self.say(control.name, f"left out: {program.name} fails "
                             f"without a defect ({', '.join(got.cases)})")
                    del self.copy.programs[program.name]
        finally:
            self.copy.put(before)
        good = True
        for patch in mutants:
            before, build_s = self.built(patch, [])
            try:
                spent, verdict = self.hunt(patch)
            finally:
                self.copy.put(before)
            self.row(patch, verdict, spent, build_s)
            good &= not verdict.startswith("SURVIVED")
        return good

    def hunt(self, patch):
        spent, verdict = 0.0, "SURVIVED"
        for program in self.copy.programs.values():
            limit = 2 * MOST if self.options.every else MOST - spent
            if limit <= 0:
                break
            got = program.run([], WATCHDOG, limit)
            spent += got.seconds
            if got.how:
                verdict = f"killed by {program.name} {got.cases[0]} ({got.how})"
                if not self.options.every:
                    break
                self.say(patch.name, f"{program.name}: {', '.join(got.cases)} "
                         f"({got.how}, {got.seconds:.1f} s)")
        return spent, verdict

    def repeated(self, patch):
        for program, case in self.named(patch):
            hits, total, ways = 0, 0.0, set()
            for _ in range(self.options.repeat):
                limit = self.watchdog(program.name, case)
                got = program.run([case], limit, limit + 10)
                hits += bool(got and got.how)
                total += got.seconds if got else 0
                ways.add(got.how if got else "no such case")
            self.say(patch.name, f"{hits}/{self.options.repeat} "
                     f"{program.name} {case} {total / self.options.repeat:.2f} "
                     f"s ({', '.join(sorted(ways - {''}))})")
        return True

    def write_report(self, path):
        with open(path, "w") as file:
            file.write("| mutant | defect | verdict | run, s | build, s |\n"
                       "|---|---|---|---|---|\n")
            for name, title, verdict, seconds, build_s in self.rows:
                file.write(f"| {name} | {title} | {verdict} | {seconds:.1f} | "
                           f"{build_s:.0f} |\n")


# ---- the command ------------------------------------------------------------

def commit():
    """What the draw goes by, and how to call it."""
    if not shutil.which("git"):
        return "", "no commit, for git is missing"
    done = subprocess.run(
        ["git", "-C", str(TOP), "rev-parse", "--verify", "--quiet", "HEAD"],
        capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return "", "no commit, for there is none"
    return done.stdout.strip(), f"commit {done.stdout.strip()[:12]}"


def chosen(options, mutants):
    names = [n for n in options.names if n != "all"]
    count, key, by = 0, "", ""
    if options.draw:
        count, key = int(options.draw[0]), options.draw[1]
        by = f"key {key}"
    elif len(names) == 1 and names[0].isdigit():
        count = int(names[0])
        key, by = commit()
    if by:
        drawn = draw(mutants, count, key)
        if not options.list:
            print(f"drawn by {by}: {', '.join(p.name for p in drawn)}",
                  flush=True)
        return drawn
    for name in names:
        if not any(p.name.startswith(name) for p in mutants):
            raise Trouble(f"no mutant of that name: {name}")
    return [p for p in mutants
            if not names or any(p.name.startswith(n) for n in names)]


def judge(options, mutants, stale, control):
    base = pathlib.Path(os.environ.get("THRUM_MUTANTS_DIR") or
                        TOP / "build" / "mutants").resolve()
    base.mkdir(parents=True, exist_ok=True)
    lock = open(base / "lock", "w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise Trouble(f"another run is at work in {base}") from None
    copy = Copy(base)
    copy.sync()
    copy.setup()
    copy.ninja("sources-unchanged.h")  # a new file: configures anew
    copy.introspect()
    the = Judge(copy, options)
    the.rows = [(p.name, p.title, "DOES NOT APPLY", 0, 0) for p in stale]
    mutants = [p for p in mutants if p not in stale]
    cases = list(dict.fromkeys(k for p in mutants for k in p.killers))
    good, blind = True, mutants
    if not options.every:
        good = the.control(control, cases)
        verdicts = [(patch, the.mutant(patch)) for patch in mutants]
        blind = [patch for patch, seen in verdicts if seen is None]
        good &= all(seen is not False for _, seen in verdicts)
    if blind:
        good &= the.whole_suite(control, blind)
    if options.report:
        the.write_report(options.report)
    return good


def main():
    parser = argparse.ArgumentParser(
        usage=argparse.SUPPRESS, add_help=False)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--draw", nargs=2)
    parser.add_argument("--report")
    parser.add_argument("--every", action="store_true")
    parser.add_argument("--repeat", type=int, default=0)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("-h", "--help", action="store_true")
    options = parser.parse_args()
    if options.help:
        print(__doc__)
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    patches = load()
    try:
        control = next(p for p in patches if p.name == CONTROL)
        mutants = chosen(options, [p for p in patches if p is not control])
        if options.list:
            print("\n".join(p.name for p in mutants))
            return 0
        stale = []
        for patch in patches:  # all of them, also those that are not drawn
            try:
                patch.applied(TOP)
            except Trouble as trouble:
                stale.append(patch)
                print(f"{patch.name}: {trouble}")
        if options.check:
            print(f"{len(patches)} patches, {len(stale)} do not apply")
            return 1 if stale else 0
        good = judge(options, mutants, stale, control) and not stale
    except Trouble as trouble:
        print(trouble)
        return 1
    print("all killed, the control survives" if good else
          "NOT all killed, or the control does not survive")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
