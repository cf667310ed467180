"""The form that every benchmark has: figures, each with its goal and a baseline of the same run.

A benchmark is a module of this package with `run(quick: bool) -> list[Figure]`; its docstring's
first line tells what it measures.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Literal

import msgspec
from rich.console import Console
from rich.table import Table


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One measured figure. `goal` None: nothing is asked of it; `baseline` None: there is none."""

    name: str
    value: float
    unit: str = ""
    goal: float | None = None
    better: Literal["less", "more"] = "less"
    baseline: float | None = None

    @property
    def ok(self) -> bool:
        """Whether the goal is reached."""
        if self.goal is None:
            return True
        return self.value <= self.goal if self.better == "less" else self.value >= self.goal

    @property
    def ratio(self) -> float | None:
        """The figure as a multiple of the baseline."""
        return self.value / self.baseline if self.baseline else None


def as_json(figures: Sequence[Figure]) -> str:
    """What `--json` writes: `{"figures": [{name, value, unit, goal, baseline, ok}]}`."""
    rows = [
        {
            "name": each.name,
            "value": each.value,
            "unit": each.unit,
            "goal": each.goal,
            "baseline": each.baseline,
            "ok": each.ok,
        }
        for each in figures
    ]
    return json.dumps({"figures": rows}, indent=2) + "\n"


def show(title: str, figures: Sequence[Figure], console: Console) -> None:
    """Print the figures as a table."""
    table = Table("figure", title=title, title_justify="left", box=None)
    for heading in ("value", "goal", "baseline", "ratio"):
        table.add_column(heading, justify="right")
    table.add_column("")
    for each in figures:
        sign = "≤" if each.better == "less" else "≥"
        table.add_row(
            each.name,
            f"{each.value:.4g} {each.unit}".strip(),
            "" if each.goal is None else f"{sign} {each.goal:g}",
            "" if each.baseline is None else f"{each.baseline:.4g}",
            "" if each.ratio is None else f"{each.ratio:.2f}",
            "" if each.goal is None else "reached" if each.ok else "missed",
        )
    console.print(table)
