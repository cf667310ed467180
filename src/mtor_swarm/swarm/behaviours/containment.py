"""Containment: units stay among those that lead."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from mtor_swarm.swarm.behaviours.geometry import Array, limited
from mtor_swarm.swarm.behaviours.scene import Scene


def containment(
    scene: Scene, *, leads: ArrayLike, gain_per_s: float = 1.0, speed_mps: float = 0.5
) -> Array:
    """The velocity (N, 2) in `map`; zero for those who lead (N,), whom something else moves.

    Source: Ji, Ferrari-Trecate, Egerstedt & Buffa, "Containment control in mobile networks",
    2008: each follower goes to its neighbours' middle.

    Inputs: the neighbours' positions relative to the unit's, metres.

    Guarantees: at most `speed_mps`. With leaders at rest, and a chain of neighbours from each
    follower to one of them, all followers end within the leaders' convex hull.
    """
    pull = limited(gain_per_s * scene.mean(scene.way), speed_mps)
    return np.where(np.asarray(leads, dtype=bool)[..., None], 0.0, pull)
