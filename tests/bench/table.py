"""Figures and the one table they are printed in."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Iterable, Sequence
from typing import Any


@dataclasses.dataclass(frozen=True)
class Figure:
    """One line: what was measured, against what, and the goal where there is one. `met` is None without a goal."""

    what: str
    measured: str
    against: str = ""
    ratio: str = ""
    goal: str = ""
    met: bool | None = None


HEADINGS = Figure("what", "measured", "against", "ratio", "goal")


def at_least(part: float, whole: float, goal: float | None = None) -> dict[str, Any]:
    """The columns of a ratio that should be high."""
    ratio = part / whole
    shown: dict[str, Any] = {"ratio": f"{ratio:.0%}"}
    return shown if goal is None else {**shown, "goal": f">= {goal:.0%}", "met": ratio >= goal}


def at_most(value: float, goal: float, unit: str = "") -> dict[str, Any]:
    """The goal of a figure that should be low."""
    return {"goal": f"<= {goal:g}{unit and ' ' + unit}", "met": value <= goal}


def times(part: float, whole: float, goal: float | None = None) -> dict[str, Any]:
    """The columns of a cost, as a multiple of what it is measured against."""
    ratio = part / whole
    shown: dict[str, Any] = {"ratio": f"{ratio:.2f} x"}
    return shown if goal is None else {**shown, "goal": f"<= {goal:g} x", "met": ratio <= goal}


def percentile(values: Iterable[float], percent: float) -> float:
    """The smallest value that so many percent of all do not exceed."""
    ordered = sorted(values)
    return ordered[max(math.ceil(len(ordered) * percent / 100), 1) - 1]


def median(values: Iterable[float]) -> float:
    return statistics.median(values)


def ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"


def mib(size: float) -> str:
    return f"{size / 2**20:.1f} MiB"


def render(figures: Sequence[Figure]) -> str:
    """The table, in Markdown that also reads well in a terminal."""
    rows = [[*_cells(HEADINGS), "met"], *([*_cells(figure), _met(figure)] for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["| " + " | ".join(map(str.ljust, row, widths)) + " |" for row in rows]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def _cells(figure: Figure) -> list[str]:
    return [figure.what, figure.measured, figure.against, figure.ratio, figure.goal]


def _met(figure: Figure) -> str:
    return {None: "", True: "yes", False: "NO"}[figure.met]
