"""bindings/python/API.md: each example prints what it says, and no name is left out."""

import pathlib
import re

import pytest

import thrum

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


def test_every_name_has_an_example():
    code = "\n".join(BLOCKS)
    missing = [name for name in thrum.__all__
               if not re.search(rf"\b(thrum\.|import ){name}\b", code)]
    assert not missing
