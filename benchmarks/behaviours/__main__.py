"""`python -m benchmarks.behaviours [NAME ...]`: draw the gallery and write its page."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.collections import LineCollection

from benchmarks.behaviours import flocking, page, voting
from benchmarks.behaviours.gallery import SHOWS, Show
from mtor_swarm.swarm.behaviours.geometry import unit

DOCS = Path(__file__).parents[2] / "docs"
BLUE, RED, GREY = "#1f6feb", "#d1242f", "#8c959f"


def draw(made: Show, axes: Any) -> None:
    """Where everybody went, fainter the longer ago, and where they are now."""
    went = [made.plane.bodies.position]
    for _ in range(made.steps):
        made.step()
        went.append(made.plane.bodies.position)
    if made.votes:
        axes.plot(np.array(made.votes), color=BLUE, alpha=0.6)
        axes.set(xlabel="s", ylabel="share for the better option", ylim=(-0.02, 1.02))
        return
    path = np.array(went[:: max(1, len(went) // 300)]).swapaxes(0, 1)
    legs = np.stack([path[:, :-1], path[:, 1:]], axis=2)
    fade = np.tile(np.linspace(0.05, 0.6, legs.shape[1]), len(path))
    if (trail := made.plane.memory.get("trail")) is not None:
        x_min, y_min, x_max, y_max = made.plane.area or (0.0, 0.0, 1.0, 1.0)
        axes.imshow(np.sqrt(trail), origin="lower", extent=(x_min, x_max, y_min, y_max),
                    cmap="Oranges")  # fmt: skip
    else:
        axes.add_collection(LineCollection(list(legs.reshape(-1, 2, 2)), colors=BLUE, alpha=fade))
    now = made.plane.bodies
    axes.plot(*path[:, 0].T, ".", color=GREY, markersize=4)
    nose = unit(now.heading)
    axes.quiver(*now.position.T, *nose.T, color=BLUE, scale=30, width=0.008, pivot="mid")
    axes.plot(*now.position.T, "o", color=BLUE, markersize=4)
    if len(made.marks):
        axes.plot(*np.array(made.marks).T, "x", color=RED)
    if made.trace:
        axes.plot(*np.array(made.trace).T, "--", color=RED)
    if made.plane.area is not None:
        x_min, y_min, x_max, y_max = made.plane.area
        axes.plot([x_min, x_max, x_max, x_min, x_min], [y_min, y_min, y_max, y_max, y_min],
                  color=GREY)  # fmt: skip
    axes.set_aspect("equal")
    axes.set(xlabel="m", ylabel="m")


def draw_order(axes: Any) -> None:
    """Vicsek's transition."""
    noises = flocking.NOISES
    phi, unsure = flocking.curve(noises, 5, 300)
    axes.plot(noises, phi, "o-", color=BLUE)
    axes.set(xlabel="noise, rad", ylabel="order φ", ylim=(0, 1.02))
    other = axes.twinx()
    other.plot(noises, unsure, "s--", color=RED)
    other.set_ylabel("susceptibility", color=RED)


def draw_voting(axes: Any) -> None:
    """Accuracy and time of each rule against how many votes it counts."""
    rows = voting.against_size(50, 4000.0)
    other = axes.twinx()
    majority = [row for row in rows if row[0].startswith("majority")]
    _, size, right, time_s = zip(*majority, strict=True)
    axes.plot(size, 100 * np.array(right), "o-", color=BLUE)
    other.plot(size, time_s, "s--", color=RED)
    for (title, at, share, seconds), shape in zip((rows[0], rows[-1]), "^v", strict=True):
        axes.plot(at, 100 * share, shape, color=BLUE, label=title)
        other.plot(at, seconds, shape, color=RED)
    axes.plot([], [], "o-", color=BLUE, label="majority")
    axes.set(xlabel="votes counted", ylabel="groups that agree on the better, %", ylim=(0, 104))
    axes.legend(loc="lower center", frameon=False)
    other.set_ylabel("time to agree, s", color=RED)
    other.set_ylim(0)


def pictures() -> dict[str, Callable[[Any], None]]:
    """All pictures by name, each a function that draws on axes."""
    scenes = {name: lambda axes, make=make: draw(make(), axes) for name, make in SHOWS.items()}
    return {**scenes, "order": draw_order, "voting": draw_voting}


def main(argv: Sequence[str] | None = None) -> None:
    """Draw those that are named, or all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.behaviours", description=__doc__)
    parser.add_argument("names", metavar="NAME", nargs="*", choices=[[], *pictures()])
    names = parser.parse_args(argv).names or list(pictures())
    mpl.use("agg")
    plt.rcParams.update({"font.size": 8, "axes.spines.top": False, "axes.spines.right": False})
    for name in names:
        figure, axes = plt.subplots(figsize=(4.2, 3.4), dpi=100, layout="constrained")
        pictures()[name](axes)
        figure.savefig(DOCS / "behaviours" / f"{name}.png", metadata={"Software": None})
        plt.close(figure)
    (DOCS / "behaviours.md").write_text(page.text(), encoding="utf-8")


if __name__ == "__main__":
    main()
