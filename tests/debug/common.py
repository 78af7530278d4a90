"""What the scripts of this folder share."""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile


def skip(reason):
    print(f"skipped: {reason}")
    sys.exit(77)


def need(command):
    found = shutil.which(command)
    if not found:
        skip(f"{command} is not installed")
    return found


def run(*command, **how):
    """Both outputs of a command, and its exit code."""
    done = subprocess.run(command, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=240,
                          check=False, errors="replace", **how)
    return done.stdout, done.returncode


def stripped(folder, library, *programs):
    """Copies without symbols; the environment that a program finds its library by."""
    soname = next(line.split("[")[1].split("]")[0]
                  for line in run("readelf", "-d", library)[0].splitlines()
                  if "SONAME" in line)
    for source, name in [(library, soname)] + [
            (p, pathlib.Path(p).name) for p in programs]:
        subprocess.run(["strip", "-o", str(pathlib.Path(folder, name)), source],
                       check=True)
    return dict(os.environ, LD_LIBRARY_PATH=str(folder))


def scratch():
    return tempfile.TemporaryDirectory(prefix="thrum-debug-")


COMMA = """LC_NUMERIC
decimal_point ","
thousands_sep "."
grouping 3;3
END LC_NUMERIC
"""


def with_comma(folder):
    """An environment in which a program's numbers have a comma, where there is the
    compiler of locales and what it needs."""
    source, made = pathlib.Path(folder, "comma.src"), pathlib.Path(folder, "comma")
    source.write_text(COMMA)
    if shutil.which("localedef"):
        run("localedef", "-c", "-i", str(source), str(made))
    if not made.is_dir():
        print("skipped numbers with a comma: no locale can be made")
        return {}
    return {"LOCPATH": str(folder), "LC_ALL": "", "LC_NUMERIC": "comma"}


class Cases:
    """Says how each case went, as the programs of the suite do."""

    def __init__(self):
        self.failed = False

    def case(self, name, fn, *arguments):
        try:
            fn(*arguments)
        except AssertionError as e:
            self.failed = True
            print(f"FAIL {name}: {e}")
        except Skip as e:
            print(f"skipped {name}: {e}")
        else:
            print(f"ok {name}")

    def end(self):
        sys.exit(1 if self.failed else 0)


class Skip(Exception):
    pass


def expect(what, said, *more):
    if not what:
        raise AssertionError(" ".join(str(part) for part in (said, *more)))
