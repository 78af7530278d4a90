"""What pip has installed, and what goes into an sdist."""

import importlib.util
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile

import pytest

import thrum
from thrum import _core

HERE = pathlib.Path(thrum.__file__).parent
SOURCE = pathlib.Path(__file__).parents[2] / "bindings" / "python"


def test_it_carries_its_libraries():
    if not shutil.which("ldd"):
        pytest.skip("there is no ldd to ask")
    found = subprocess.run(["ldd", _core.__file__], capture_output=True,
                           text=True, check=True).stdout
    for line in found.splitlines():
        if "libuv" in line or "libmimalloc" in line:
            assert str(HERE) in line.split("=>")[1]


def test_it_is_typed():
    assert (HERE / "py.typed").exists() and (HERE / "_core.pyi").exists()
    for name in thrum.__all__:
        assert getattr(thrum, name) is not None


def test_completion_shows_every_name(script):
    code, out, err = script("""
        import thrum
        print(set(thrum.__all__) - set(dir(thrum)))
    """)
    assert (code, out, err) == (0, "set()\n", "")


def test_sdist(tmp_path):
    if not (importlib.util.find_spec("mesonpy") and shutil.which("swig") and
            shutil.which("git") and
            (SOURCE.parents[1] / ".git").exists()):
        pytest.skip("needs mesonpy, SWIG and a checkout")
    env = {**os.environ, "PATH": f"{pathlib.Path(sys.executable).parent}:"
                                 f"{os.environ['PATH']}"}
    done = subprocess.run(
        [sys.executable, "-c", "import mesonpy, sys; "
         "print(mesonpy.build_sdist(sys.argv[1]))", tmp_path],
        cwd=SOURCE, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    made = tmp_path / done.stdout.split()[-1]
    with tarfile.open(made) as tar:
        members = {m.name.partition("/")[2]: m for m in tar.getmembers()}
    core = "subprojects/thrum/"
    for name in ("meson.build", "thrum/__init__.py", "thrum_python.i",
                 core + "meson.build", core + "bindings/thrum.i",
                 core + "capi/include/thrum/net.h", core + "core/sources.sh",
                 core + "subprojects/libuv.wrap"):
        assert members[name].isfile(), name
