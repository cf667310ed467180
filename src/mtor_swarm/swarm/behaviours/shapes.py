"""Shapes that formations take: places about (0, 0), the front towards +x."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mtor_swarm.errors import ConfigError
from mtor_swarm.swarm.behaviours.geometry import Array, length, unit

STROKES = {
    "A": "00 24 40,12 32", "B": "00 04 34 43 32 02,32 41 30 00", "C": "43 34 14 03 01 10 30 41",
    "D": "00 04 24 43 41 20 00", "E": "44 04 00 40,02 32", "F": "44 04 00,02 32",
    "G": "43 34 14 03 01 10 30 41 42 22", "H": "00 04,40 44,02 42", "I": "20 24",
    "J": "44 41 30 10 01", "K": "00 04,44 02 40", "L": "04 00 40", "M": "00 04 22 44 40",
    "N": "00 04 40 44", "O": "10 01 03 14 34 43 41 30 10", "P": "00 04 34 43 32 02",
    "Q": "10 01 03 14 34 43 41 30 10,22 40", "R": "00 04 34 43 32 02,22 40",
    "S": "43 34 14 03 12 32 41 30 10 01", "T": "04 44,24 20", "U": "04 01 10 30 41 44",
    "V": "04 20 44", "W": "04 10 23 30 44", "X": "00 44,04 40", "Y": "04 22 44,22 20",
    "Z": "04 44 00 40",
}  # fmt: skip
"""Each letter's strokes, as points (x, y) of a square of side 4."""


def places(shape: str, count: int, spacing_m: float = 1.0) -> Array:
    """Where `count` units stand (count, 2), their middle at (0, 0).

    `shape` is a name in `SHAPES`, or `letters:MTOR` for a word. Neighbours stand `spacing_m`
    apart; those in letters that far apart along the strokes. ConfigError for a shape that there
    is not.
    """
    name, _, word = shape.partition(":")
    if name == "letters":
        at = _letters(word, count)
    elif name in SHAPES:
        at = SHAPES[name](count)
    else:
        raise ConfigError(
            f"there is no formation {shape!r}; there are {', '.join(SHAPES)} and letters:WORD"
        )
    return np.asarray(spacing_m * (at - at.mean(axis=0)))


def fitted(positions: ArrayLike, at: ArrayLike) -> NDArray[np.int64]:
    """Which of the places `at` (N, 2) each unit (N, 2) takes: the ways add up to little.

    Starts from the nearest pairs and swaps as long as two ways, squared, get shorter. Everyone who
    knows the same positions comes to the same answer.
    """
    goals, units = np.asarray(at, dtype=np.float64), np.asarray(positions, dtype=np.float64)
    goals = goals - goals.mean(axis=0) + units.mean(axis=0)
    cost = length(units[:, None] - goals) ** 2
    slot, left = np.empty(len(units), dtype=np.int64), cost.copy()
    for _ in range(len(units)):
        i, j = np.unravel_index(left.argmin(), left.shape)
        slot[i], left[i], left[:, j] = j, np.inf, np.inf
    while True:  # each swap shortens the sum, so there is an end
        now = cost[np.arange(len(units)), slot]
        gain = now[:, None] + now - cost[:, slot] - cost[:, slot].T
        i, j = np.unravel_index(gain.argmax(), gain.shape)
        if gain[i, j] <= 1e-9:
            return slot
        slot[[i, j]] = slot[[j, i]]


def _line(count: int) -> Array:
    return np.stack([np.zeros(count), np.arange(count)], axis=-1).astype(np.float64)


def _column(count: int) -> Array:
    return np.asarray(-_line(count)[:, ::-1])


def _wedge(count: int) -> Array:
    rank = (np.arange(count) + 1) // 2
    side = np.where(np.arange(count) % 2, 1.0, -1.0)
    return np.asarray(np.stack([-rank, side * rank], axis=-1) / np.sqrt(2.0))


def _circle(count: int) -> Array:
    if count < 2:
        return np.zeros((count, 2))
    return np.asarray(unit(np.arange(count) * 2 * np.pi / count) / (2 * np.sin(np.pi / count)))


def _grid(count: int) -> Array:
    side = int(np.ceil(np.sqrt(count)))
    rank, file = np.divmod(np.arange(count), side)
    return np.stack([-rank, file], axis=-1).astype(np.float64)


def _letters(word: str, count: int) -> Array:
    """Places along the strokes; the word is read with +y to its right, seen from behind: x up."""
    strange = sorted({each for each in word if each not in STROKES})
    if strange or not word:
        raise ConfigError(f"formation letters:{word} needs a word of A to Z in capitals")
    lines = [
        np.array(
            [[int(point[0]) + 6 * n, int(point[1])] for point in stroke.split()], dtype=np.float64
        )
        for n, letter in enumerate(word)
        for stroke in STROKES[letter].split(",")
    ]
    starts = np.concatenate([line[:-1] for line in lines])
    legs = np.concatenate([np.diff(line, axis=0) for line in lines])
    ends = np.cumsum(length(legs))
    along = (np.arange(count) + 0.5) * ends[-1] / count
    leg = np.searchsorted(ends, along)
    part = 1.0 - (ends[leg] - along) / length(legs)[leg]
    at = starts[leg] + part[:, None] * legs[leg]
    return np.asarray(at[:, ::-1] * [1.0, -1.0] * count / ends[-1])


SHAPES: dict[str, Callable[[int], Array]] = {
    "line": _line,
    "column": _column,
    "wedge": _wedge,
    "circle": _circle,
    "grid": _grid,
}
"""Abreast, one behind another, a V with its tip in front, a ring, a square."""
