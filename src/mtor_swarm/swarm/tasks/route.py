"""What one more task would add to a unit's score, and where on its way it fits best.

A task is worth its reward, less the later it is done: `reward · exp(-t / FADE_S)`, the
time-discounted reward of Choi, Brunet, How: "Consensus-Based Decentralized Auctions for Robust
Task Allocation" (IEEE T-RO 25(4), 2009). A task put into the way delays those behind it; what it
adds is its own worth less what they lose. Lengths are metres in frame `map`, times seconds from
now.
"""

from __future__ import annotations

import math

import msgspec
import numpy as np
from numpy.typing import NDArray

from mtor_swarm.swarm.tasks.task import Task

FADE_S = 300.0
"""What is done that much later is worth 1/e of it."""

Table = NDArray[np.float64]
"""Stops, (N, 8): where each begins (x, y) and ends (x, y), length inside, dwell, reward, until."""
ENTER, LEAVE = slice(0, 2), slice(2, 4)
INSIDE_M, DWELL_S, REWARD, UNTIL_S = 4, 5, 6, 7


class Mover(msgspec.Struct, frozen=True, kw_only=True):
    """The unit: where it is, how fast it goes, how far its battery takes it, when it is free."""

    x_m: float
    y_m: float
    speed_mps: float = 0.5
    range_m: float = float("inf")
    load_s: float = 0.0


def stop(task: Task, mover: Mover, now: float) -> list[float]:
    """A task as a row of a table; one without a place is where the unit is."""
    places = task.places or [(mover.x_m, mover.y_m)]
    inside = sum(map(math.dist, places, places[1:]))
    until = task.until_s - now if task.until_s else math.inf
    return [*places[0], *places[-1], inside, task.dwell_s, task.reward, until]


def gains(mover: Mover, way: Table, jobs: Table, first: int = 0) -> tuple[Table, NDArray[np.intp]]:
    """What each of the jobs (C, 8) adds to the way (n, 8), (C,), and at which place of it, (C,).

    -inf if it cannot be done: too late, too far for the battery, or others would be too late. The
    first `first` stops of the way stay where they are.
    """
    speed, end = mover.speed_mps, len(way)
    ends = np.vstack([[[mover.x_m, mover.y_m]], way[:, LEAVE]])
    legs_m = np.append(_length(ends[:-1] - way[:, ENTER]), 0.0)
    spent_s = way[:, INSIDE_M] / speed + way[:, DWELL_S]
    done_s = mover.load_s + np.cumsum(legs_m[:end] / speed + spent_s)
    free_s = np.append(mover.load_s, done_s)
    worth = way[:, REWARD] * np.exp(-done_s / FADE_S)
    behind = np.append(np.cumsum(worth[::-1])[::-1], 0.0)
    slack_s = np.append(np.minimum.accumulate((way[:, UNTIL_S] - done_s)[::-1])[::-1], np.inf)

    to_m = _length(ends[:, None] - jobs[None, :, ENTER])
    on_m = np.zeros_like(to_m)
    on_m[:end] = _length(way[:, None, ENTER] - jobs[None, :, LEAVE])
    detour_m = to_m + jobs[:, INSIDE_M] + on_m - legs_m[:, None]
    delay_s = detour_m / speed + jobs[:, DWELL_S]
    own_s = free_s[:, None] + (to_m + jobs[:, INSIDE_M]) / speed + jobs[:, DWELL_S]
    gain = jobs[:, REWARD] * np.exp(-own_s / FADE_S)
    gain -= (1 - np.exp(-delay_s / FADE_S)) * behind[:, None]
    length_m = legs_m.sum() + way[:, INSIDE_M].sum()
    gain[own_s > jobs[:, UNTIL_S]] = -np.inf
    gain[delay_s > slack_s[:, None]] = -np.inf
    gain[length_m + detour_m > mover.range_m] = -np.inf
    gain[:first] = -np.inf
    at = gain.argmax(axis=0)
    return gain[at, np.arange(len(jobs))], at


def _length(vectors: Table) -> Table:
    return np.asarray(np.hypot(vectors[..., 0], vectors[..., 1]))
