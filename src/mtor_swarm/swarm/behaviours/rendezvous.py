"""Rendezvous: all meet in one point, and nobody loses sight of another on the way."""

from __future__ import annotations

import numpy as np

from mtor_swarm.swarm.behaviours.geometry import Array, length, limited
from mtor_swarm.swarm.behaviours.scene import Scene

STEPS = 60
"""Of the search for a circumcentre; the error is about the circle's radius over this."""


def rendezvous(
    scene: Scene, *, reach_m: float = np.inf, gain_per_s: float = 1.0, speed_mps: float = 0.5
) -> Array:
    """The velocity (N, 2) in `map` to the middle of the smallest circle around all within sight.

    Source: Ando, Oasa, Suzuki & Yamashita, "Distributed memoryless point convergence algorithm",
    1999; the circle by Bădoiu & Clarkson, "Smaller core-sets for balls", 2003.

    Inputs: the relative positions of the neighbours, all those within `reach_m`.

    Guarantees: at most `speed_mps`. Neighbours stay within `reach_m` of each other, if all keep to
    this rule and `gain_per_s` times the step is at most 1; so a connected group meets.
    """
    points = np.concatenate([np.zeros((len(scene.way), 1, 2)), scene.way], axis=1)
    centre = points.mean(axis=1)
    for step in range(1, STEPS + 1):  # points of nobody lie in the unit's own place
        furthest = length(points - centre[:, None]).argmax(axis=1)[:, None, None]
        extreme = np.take_along_axis(points, furthest, axis=1)[:, 0]
        centre = centre + (extreme - centre) / (step + 1)
    return limited(gain_per_s * _leashed(centre, scene, reach_m), speed_mps)


def _leashed(goal: Array, scene: Scene, reach_m: float) -> Array:
    """The goal (N, 2), drawn nearer until it lies in the circle over the way to each neighbour.

    That circle's middle is halfway to the neighbour, its radius half the reach: whoever stays in
    it stays within reach of the other, who stays in it too.
    """
    if not np.isfinite(reach_m):
        return goal
    square = np.maximum((goal**2).sum(axis=-1), 1e-12)[:, None]
    along = (goal[:, None] * scene.way).sum(axis=-1)
    room = np.maximum(reach_m**2 - (scene.way**2).sum(axis=-1), 0.0)
    share = (along + np.sqrt(along**2 + square * room)) / (2 * square)
    share = np.where(scene.mask, share, 1.0).min(axis=1, initial=1.0)
    return np.asarray(goal * share[:, None])
