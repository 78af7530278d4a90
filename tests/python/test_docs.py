"""API.md and docstrings: each example prints what it says, and no name is left out."""

import doctest
import functools
import inspect
import pathlib
import re
import sys

import pytest

import thrum
from thrum import net

TEXT = (pathlib.Path(__file__).parents[2] / "bindings" / "python" /
        "API.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", TEXT, re.S)


def expected(block):
    """Its last comment, line by line."""
    lines = []
    for line in reversed(block.splitlines()):
        if not line.startswith("# "):
            break
        lines.insert(0, line[2:] + "\n")
    return "".join(lines)


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_example(script, block):
    assert expected(block)
    code, out, err = script(block)
    assert (code, out, err) == (0, expected(block), "")


NAMES = ["net"] + sorted(
    f"{module}{name}" for module, names in (("", thrum.__all__), ("net.", net.__all__))
    for name in names if name not in ("net", "version", "build_info", "Address"))

DOCTEST = """
import asyncio, ctypes, doctest, sys, thrum, threading, warnings
from thrum import net
globs = {{**globals(), "__name__": "__main__"}}
doctest.run_docstring_examples({name}, globs, name="{name}")
"""


@pytest.mark.parametrize("name", NAMES)
def test_docstring(script, name):
    """It has an example that names it and prints what it says."""
    thing = functools.reduce(getattr, name.split("."), thrum)
    last = name.split(".")[-1]
    code = "".join(example.source for example in
                   doctest.DocTestParser().get_examples(inspect.getdoc(thing)))
    assert re.search(rf"\b{last}\b", code) or issubclass(thing, BaseException)
    if name in ("Port", "go_remote") and sys.version_info < (3, 12):
        pytest.skip("interpreters with a GIL each came with CPython 3.12")
    assert script(DOCTEST.format(name="thrum." + name)) == (0, "", "")


def test_methods_have_docstrings():
    types = {name: thing for name in NAMES if inspect.isclass(
        thing := functools.reduce(getattr, name.split("."), thrum))}
    of_python = {*dir(BaseException), *dir(TimeoutError)}
    missing = [f"{name}.{method}" for name, type in types.items()
               for method in dir(type) if method.strip("_") == method not in of_python
               and not inspect.getdoc(getattr(type, method))]
    assert not missing


def test_every_name_has_an_example():
    code = "\n".join(BLOCKS)
    missing = [name for name in thrum.__all__
               if not re.search(rf"\b(thrum\.|import ){name}\b", code)]
    assert not missing
