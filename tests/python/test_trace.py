"""thrum.trace: reading heat maps, and that the picture has what the file says."""

import json
import pathlib
import subprocess
import sys

import pytest

from thrum import trace

MAP = {"kind": "thrum-heatmap", "version": 1, "begin_ns": 1000,
       "column_ns": 1e6, "columns": 10, "rows": 40,
       "latency": [[0, 12, 5], [3, 21, 1]], "kernel": [[3, 20, 1]],
       "classes": {"migrate": [[0, 12, 4]], "pinned": [[0, 12, 1], [3, 21, 1]]}}


def written(path: pathlib.Path, **changed: object) -> pathlib.Path:
    path.write_text(json.dumps(MAP | changed))
    return path


def test_a_map_is_read_as_it_is(tmp_path: pathlib.Path) -> None:
    heat = trace.load(written(tmp_path / "a.json"))
    assert heat.latency == [(0, 12, 5), (3, 21, 1)]
    assert heat.kernel == [(3, 20, 1)]
    assert heat.rows_used() == (12, 22)
    assert heat.classes["pinned"] == [(0, 12, 1), (3, 21, 1)]


@pytest.mark.parametrize("changed", [
    {"kind": "another"}, {"version": 2}, {"latency": [[10, 1, 1]]},
    {"latency": [[1, 40, 1]]}, {"kernel": [[1, 1, 0]]}, {"latency": None},
    {"classes": {"migrate": [[10, 1, 1]]}}, {"classes": [[10, 1, 1]]},
    {"columns": float("inf")}])
def test_what_is_no_map_is_refused(tmp_path: pathlib.Path,
                                   changed: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        trace.load(written(tmp_path / "a.json", **changed))


def test_errors_are_told(tmp_path: pathlib.Path) -> None:
    (tmp_path / "a.json").write_text("{")
    for name in ("a.json", "missing.json"):
        done = subprocess.run(
            [sys.executable, "-m", "thrum.trace", "heatmap", tmp_path / name],
            capture_output=True, text=True)
        assert done.returncode in (1, 2)  # 2: no matplotlib here
        assert name in done.stderr or "matplotlib" in done.stderr


def test_the_picture_has_those_cells_and_no_others(
        tmp_path: pathlib.Path) -> None:
    pytest.importorskip("matplotlib")
    heat = trace.load(written(tmp_path / "a.json"))
    low, high = heat.rows_used()
    grid = trace.grid(heat.latency, heat, low, high)
    assert grid.shape == (10, 10)
    assert grid[0, 0] == 5 and grid[9, 3] == 1
    assert grid.count() == 2
    for out in ("a.svg", "a.png"):
        assert trace.main(["heatmap", str(tmp_path / "a.json"),
                           "-o", str(tmp_path / out)]) == 0
        assert (tmp_path / out).stat().st_size > 5000
    assert trace.main(["heatmap", str(tmp_path / "a.json"), "--class", "pinned",
                       "-o", str(tmp_path / "b.svg")]) == 0
    assert trace.main(["heatmap", str(tmp_path / "a.json"), "--class", "none",
                       "-o", str(tmp_path / "c.svg")]) == 1
