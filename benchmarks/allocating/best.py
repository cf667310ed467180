"""What could be had at best: by the Hungarian method, by trying all, by central greedy choice."""

from __future__ import annotations

import functools
import math

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from benchmarks.allocating.rounds import Case, score
from mtor_swarm.swarm.tasks import route

Levels = list[tuple[NDArray[np.intp], ...]]


def hungarian(case: Case) -> float:
    """The best score with one task a unit."""
    worth = np.array([[score(Case([u], [j], []), [[0]]) for j in case.tasks] for u in case.units])
    return float(worth[linear_sum_assignment(worth, maximize=True)].sum())


@functools.lru_cache(maxsize=1)
def _orders(tasks: int) -> Levels:
    """All ways through some of the tasks, by length: parent, last, next, mask."""
    parent, last, mask = np.array([0]), np.array([-1]), np.array([0])
    levels: Levels = []
    for _ in range(tasks):
        way, new = np.nonzero((mask[:, None] >> np.arange(tasks)) & 1 == 0)
        levels.append((way, last[way], new, mask[way] | 1 << new))
        last, mask = new, levels[-1][3]
    del parent
    return levels


def everything(case: Case) -> float:
    """The best score of all ways to share the tasks out and of all orders to do them in."""
    count = len(case.tasks)
    places = np.array([each.places[0] for each in case.tasks])
    rewards = np.array([each.reward for each in case.tasks])
    between = np.hypot(*(places[:, None] - places[None]).transpose(2, 0, 1))
    best = np.zeros(1 << count)
    subsets, parts = _splits(count)
    for mover in case.units:
        first = np.hypot(*(places - [mover.x_m, mover.y_m]).T)
        legs_s = np.vstack([between, first]) / mover.speed_mps  # row -1: from where the unit is
        own = np.zeros(1 << count)
        at_s, worth = np.zeros(1), np.zeros(1)
        for parent, last, new, mask in _orders(count):
            at_s = at_s[parent] + legs_s[last, new]
            worth = worth[parent] + rewards[new] * np.exp(-at_s / route.FADE_S)
            np.maximum.at(own, mask, worth)
        both = np.zeros(1 << count)
        np.maximum.at(both, subsets, best[subsets ^ parts] + own[parts])
        best = both
    return float(best.max())


@functools.lru_cache(maxsize=1)
def _splits(count: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Every subset with every part of it."""
    masks = np.arange(1 << count)
    subset, part = np.meshgrid(masks, masks, indexing="ij")
    fits = (part & ~subset) == 0
    return subset[fits], part[fits]


def greedy(case: Case, bundle: int) -> float:
    """One who knows all gives out, again and again, the task and unit that add most."""
    ways: list[list[int]] = [[] for _ in case.units]
    table = np.array([route.stop(each, case.units[0], 0.0) for each in case.tasks])
    left = list(range(len(case.tasks)))
    gains = [route.gains(each, table[[]], table) for each in case.units]
    while left:
        best = (-math.inf, 0, 0)
        for unit, (gain, _) in enumerate(gains):
            if len(ways[unit]) < bundle:
                task = left[int(np.argmax(gain[left]))]
                best = max(best, (float(gain[task]), unit, task))
        worth, unit, task = best
        if worth <= 0:
            break
        ways[unit].insert(int(gains[unit][1][task]), task)
        left.remove(task)
        gains[unit] = route.gains(case.units[unit], table[ways[unit]], table)
    return score(case, ways)
