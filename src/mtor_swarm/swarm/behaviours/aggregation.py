"""Aggregation: units come together and keep a little distance."""

from __future__ import annotations

import numpy as np

from mtor_swarm.swarm.behaviours.geometry import Array, direction, limited
from mtor_swarm.swarm.behaviours.scene import Scene


def aggregation(
    scene: Scene,
    *,
    spacing_m: float = 0.8,
    pull_per_s: float = 0.5,
    push_per_s: float = 2.0,
    speed_mps: float = 0.5,
) -> Array:
    """The velocity (N, 2) in `map` to the neighbours' middle, and away from those too near.

    Source: Gazi & Passino, "A class of attractions/repulsion functions for stable swarm
    aggregations", 2004, with a linear pull and a push that ends at `spacing_m`.

    Inputs: the neighbours' positions relative to the unit's, metres.

    Guarantees: at most `speed_mps`, zero without neighbours. Where all see each other and nobody
    reaches that limit, their middle stays where it is.
    """
    push = push_per_s * np.clip(spacing_m - scene.far, 0.0, None)
    away = scene.total(push[..., None] * direction(scene.way))
    return limited(pull_per_s * scene.mean(scene.way) - away, speed_mps)
