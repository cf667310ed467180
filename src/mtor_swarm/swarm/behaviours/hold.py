"""Hold: go to a post and stay there, without trembling.

Source: proportional control with a dead band (any control text); the band keeps a unit that has
arrived still although its pose estimate and its post move a little.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from mtor_swarm.swarm.behaviours.geometry import Array, length


def hold(
    position: ArrayLike,
    post: ArrayLike,
    *,
    arrived: ArrayLike = False,
    arrive_m: float = 0.1,
    release_m: float = 0.25,
    gain_per_s: float = 1.2,
    least_mps: float = 0.06,
    speed_mps: float = 0.5,
) -> tuple[Array, Array]:
    """The velocity (..., 2) to `post`, and whether the unit has arrived there (...).

    `position` and `post` (..., 2) in frame `map`; `arrived` (...) is the last answer. Guarantees:
    zero once within `arrive_m`, and until the post is further than `release_m` away again; never
    above `speed_mps`.
    """
    way = np.asarray(post, dtype=np.float64) - np.asarray(position)
    far = length(way)
    there = np.where(np.asarray(arrived, dtype=bool), far <= release_m, far <= arrive_m)
    speed = np.clip(gain_per_s * far, least_mps, speed_mps)
    velocity = way * (speed / np.maximum(far, 1e-9))[..., None]
    return np.where(there[..., None], 0.0, velocity), np.asarray(there)
