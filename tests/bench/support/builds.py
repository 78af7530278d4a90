"""Builds what the runners here and in tests/lab start: thrum's programs, and
their twins with every Go that is at hand, and the peer in Rust.

SPDX-License-Identifier: MIT
"""

import glob
import os
import pathlib
import re
import shutil
import subprocess

from runs import TOP, Side, say

PEERS = TOP / "tests" / "bench" / "peers"
GO_SOURCE, TOKIO_SOURCE = PEERS / "go", PEERS / "tokio"

# A release that the go command can fetch for itself, newer than what Linux
# distributions ship. --go-release names others.
GO_RELEASES = ["go1.27.3"]


def build(command, env=None, cwd=None, timeout=1800):
    """Runs a build step at low priority; returns an error text or None."""
    nice = shutil.which("nice")
    full = ([nice, "-n", "10"] if nice else []) + [str(c) for c in command]
    try:
        done = subprocess.run(full, cwd=cwd, env=env, timeout=timeout,
                              stdin=subprocess.DEVNULL, text=True, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if done.returncode != 0:
        return f"{' '.join(full)}\n{done.stdout[-4000:]}"
    return None


def build_thrum(options, subjects, room="bench"):
    """room: the folder of tests/ that the programs are in."""
    folder = pathlib.Path(options.build)
    program = folder / "tests" / room
    if not options.no_build:
        if not (folder / "build.ninja").exists():
            say(f"setting up {folder}")
            error = build(["meson", "setup", folder, TOP, "-Dtests=true",
                           "-Dexamples=false", "-Dbindings=disabled"])
            if error:
                return None, error
        say("building thrum")
        ninja = shutil.which("ninja") or "ninja-build"
        # A second try: the first ends early when source files came or went
        # since the folder was set up.
        command = [ninja, "-C", folder] + [
            f"tests/{room}/{room}_{subject}" for subject in subjects]
        error = build(command) and build(command)
        if error:
            return None, error
    return Side("thrum", "", lambda s: [str(program / f"{room}_{s}")]), None


def go_env(**extra):
    env = dict(os.environ, GOFLAGS="", GOWORK="off", CGO_ENABLED="0")
    env.pop("GODEBUG", None)
    env.pop("GOGC", None)
    env.pop("GOMEMLIMIT", None)
    env.update(extra)
    return env


def go_version(binary, toolchain, timeout):
    """("go1.27.3", its own go command), or None if it can't be had."""
    env = go_env(GOTOOLCHAIN=toolchain)
    answers = []
    for question in (["version"], ["env", "GOROOT"]):
        try:
            done = subprocess.run([binary, *question], env=env, text=True,
                                  timeout=timeout, capture_output=True,
                                  check=True, stdin=subprocess.DEVNULL)
        except (OSError, subprocess.SubprocessError):
            return None
        answers.append(done.stdout.strip())
    found = re.search(r"\bgo\d[\w.]*", answers[0])
    own = os.path.join(answers[1], "bin", "go")
    if not found or not os.path.exists(own):
        return None
    return found.group(0), own


def version_key(version):
    return [int(number) for number in re.findall(r"\d+", version)]


def find_gos(options):
    """All Go commands at hand, {version: go command}, the newest first."""
    # Debian's versioned packages (golang-1.19-go) put nothing on the PATH.
    places = (list(options.with_go) + [shutil.which("go")] +
              sorted(glob.glob("/usr/lib/go-*/bin/go")) +
              ["/usr/bin/go", "/usr/local/go/bin/go"])
    found = {}
    for place in places:
        if place and os.path.exists(place):
            answer = go_version(place, "local", 60)
            if answer:
                found.setdefault(*answer)
    if not found:
        return {}
    # The go command fetches a newer release by itself if it may.
    newest = max(found, key=version_key)
    for release in options.go_release:
        if version_key(release) > version_key(newest):
            answer = go_version(found[newest], release, 300)
            if answer:
                found.setdefault(*answer)
            else:
                say(f"{release} cannot be had through {newest}: left out")
    return {version: found[version]
            for version in sorted(found, key=version_key, reverse=True)}


def build_go(version, command, options):
    folder = pathlib.Path(options.build).parent / "bench-go" / version
    binary = folder / "bench"
    if options.no_build and binary.exists():
        return Side("go", version, lambda s: [str(binary), s]), None
    say(f"building the twin with {version}")
    folder.mkdir(parents=True, exist_ok=True)
    # Each Go gets a go.mod of its own age: under an older `go` line it would
    # behave as an older release in some places.
    line = re.match(r"go(\d+\.\d+)", version).group(1)
    module = (GO_SOURCE / "go.mod").read_text(encoding="utf-8")
    (folder / "go.mod").write_text(
        re.sub(r"(?m)^go .*$", f"go {line}", module), encoding="utf-8")
    error = build([command, "build", "-buildvcs=false",
                   f"-modfile={folder / 'go.mod'}",
                   "-o", binary, "."], cwd=GO_SOURCE,
                  env=go_env(GOTOOLCHAIN="local"))
    if error:
        return None, error
    return Side("go", version, lambda s: [str(binary), s]), None


def go_sides(options):
    gos = find_gos(options)
    if options.go == "newest":
        wanted = list(gos)[:1]
    elif options.go == "all":
        wanted = list(gos)
    else:
        wanted = [v for v in gos if v.startswith(options.go)]
    sides = []
    for version in wanted:
        side, error = build_go(version, gos[version], options)
        if side:
            sides.append(side)
        else:
            say(f"the twin does not build with {version}:\n{error}")
    if not sides:
        say(f"no Go to compare with (asked for: {options.go}; "
            f"found: {', '.join(gos) or 'none'})")
    return sides, list(gos)


def build_tokio(options):
    """(binary, version of tokio, error text or None)"""
    folder = pathlib.Path(options.build).parent / "bench-tokio"
    binary = folder / "target" / "release" / "echo"
    if not (options.no_build and binary.exists()):
        cargo = shutil.which("cargo")
        if not cargo:
            return None, None, "no cargo (the package has the same name)"
        say("building the server in tokio")
        # A copy, since cargo writes its lock file beside Cargo.toml.
        shutil.copytree(TOKIO_SOURCE, folder, dirs_exist_ok=True)
        error = build([cargo, "build", "--release", "--quiet",
                       "--target-dir", folder / "target"], cwd=folder)
        if error:
            return None, None, error
    lock = (folder / "Cargo.lock").read_text(encoding="utf-8")
    found = re.search(r'name = "tokio"\nversion = "(.*)"', lock)
    return binary, found.group(1) if found else "", None
