"""Pictures of what a runtime has measured.

    python -m thrum.trace heatmap FILE [-o OUT.svg] [--title TEXT] [--class NAME]

FILE is the heat map of `thrum_report` as JSON (THRUM_REPORT_HEATMAP): how long green
threads waited from ready to run, over time, and what part of that the kernel or a
CPU quota took. With --class in place of all those of one class: migrate, pinned, domain,
normal, high or low. OUT ends in .svg or .png. Needs matplotlib, and no running runtime:
this file also works by itself (`python trace.py heatmap FILE`).
"""

from __future__ import annotations

import argparse
import importlib
import json
import pathlib
import sys
from dataclasses import dataclass
from typing import Any

Cell = tuple[int, int, int]  # column, row, how many


@dataclass
class Heatmap:
    """As thrum_report writes it. Row n has what lasted below 2**n ns."""

    begin_ns: int
    column_ns: float
    columns: int
    rows: int
    latency: list[Cell]
    kernel: list[Cell]
    classes: dict[str, list[Cell]]

    def rows_used(self) -> tuple[int, int]:
        rows = [row for _, row, _ in self.latency + self.kernel]
        return (min(rows), max(rows) + 1) if rows else (0, 1)


def cells(values: Any, columns: int, rows: int) -> list[Cell]:
    out = []
    for x, y, n in values:
        if not (0 <= x < columns and 0 <= y < rows and n > 0):
            raise ValueError(f"cell {x}, {y} of {n} is outside of the map")
        out.append((int(x), int(y), int(n)))
    return out


def load(path: str | pathlib.Path) -> Heatmap:
    """Reads a heat map; ValueError: it is none."""
    try:
        data = json.loads(pathlib.Path(path).read_text())
        if data["kind"] != "thrum-heatmap" or data["version"] != 1:
            raise ValueError("another kind or version")
        columns, rows = int(data["columns"]), int(data["rows"])
        return Heatmap(int(data["begin_ns"]), float(data["column_ns"]), columns,
                       rows, cells(data["latency"], columns, rows),
                       cells(data["kernel"], columns, rows),
                       {name: cells(values, columns, rows)
                        for name, values in data.get("classes", {}).items()})
    except (AttributeError, KeyError, OverflowError, TypeError,
            json.JSONDecodeError) as error:
        raise ValueError(f"{path}: no heat map of thrum: {error}") from error


def text_of(ns: float) -> str:
    for unit in ("ns", "us", "ms"):
        if ns < 1000:
            return f"{ns:.3g} {unit}"
        ns /= 1000
    return f"{ns:.3g} s"


def grid(values: list[Cell], heat: Heatmap, low: int, high: int) -> Any:
    """Counts by row and column; 0 is left out (a masked cell, not a dark one)."""
    numpy = importlib.import_module("numpy")
    counts = numpy.zeros((high - low, heat.columns))
    for x, y, n in values:
        counts[y - low, x] = n
    return numpy.ma.masked_equal(counts, 0)


def draw(heat: Heatmap, out: str | pathlib.Path, title: str,
         kind: str | None = None) -> None:
    """Two layers, one above the other, on the same axes. kind: a class's in place of
    the latencies of all."""
    if kind is not None and kind not in heat.classes:
        raise ValueError(f"no class {kind}: {', '.join(heat.classes) or 'none'}")
    latency = heat.latency if kind is None else heat.classes[kind]
    matplotlib = importlib.import_module("matplotlib")
    matplotlib.use("Agg")
    plt = importlib.import_module("matplotlib.pyplot")
    colors = importlib.import_module("matplotlib.colors")
    low, high = heat.rows_used()
    figure, axes = plt.subplots(2, 1, sharex=True, figsize=(12, 8),
                                layout="constrained")
    width = heat.column_ns / 1e9
    for axis, values, name in (
            (axes[0], latency, f"ready to run{': ' if kind else ''}{kind or ''}"),
            (axes[1], heat.kernel, "of all, taken by the kernel or a quota")):
        most = max((n for _, _, n in values), default=1)
        image = axis.imshow(
            grid(values, heat, low, high), origin="lower", aspect="auto",
            interpolation="nearest", cmap="inferno",
            # From below 1: a single green thread is not as dark as none.
            norm=colors.LogNorm(vmin=0.3, vmax=max(most, 2)),
            extent=(0, heat.columns * width, low, high))
        axis.set_facecolor("black")
        axis.set_title(name)
        axis.set_yticks(range(low, high + 1),
                        [text_of(2.0 ** (row - 1)) if row else "0"
                         for row in range(low, high + 1)])
        axis.set_ylabel("latency")
        figure.colorbar(image, ax=axis, label="green threads")
    axes[1].set_xlabel(f"seconds; a column is {text_of(heat.column_ns)}")
    figure.suptitle(title)
    figure.savefig(out, dpi=100)
    plt.close(figure)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m thrum.trace",
                                     description=(__doc__ or "").split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    heatmap = commands.add_parser("heatmap", help="draws a heat map")
    heatmap.add_argument("file")
    heatmap.add_argument("-o", "--out", help="FILE with .svg in place of .json")
    heatmap.add_argument("--title", default="latency of green threads")
    heatmap.add_argument("--class", dest="kind", metavar="NAME")
    args = parser.parse_args(argv)
    out = args.out or pathlib.Path(args.file).with_suffix(".svg")
    try:
        draw(load(args.file), out, args.title, args.kind)
    except ModuleNotFoundError as error:
        print(f"{error}: pip install matplotlib", file=sys.stderr)
        return 2
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    print(out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
