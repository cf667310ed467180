"""Vicsek: each takes the mean heading about it, and chance turns it a little."""

from __future__ import annotations

import numpy as np

from mtor_swarm.swarm.behaviours.geometry import Array, heading, unit
from mtor_swarm.swarm.behaviours.scene import Scene


def vicsek(scene: Scene, *, noise_rad: float = 0.5, speed_mps: float = 0.3) -> Array:
    """The velocity (N, 2) in `map`, along the mean heading of unit and neighbours.

    Source: Vicsek, Czirók, Ben-Jacob, Cohen & Shochet, "Novel type of phase transition in a system
    of self-driven particles", 1995.

    Inputs: the headings of the unit and its neighbours. The noise is even within ± `noise_rad`/2.

    Guarantees: exactly `speed_mps`. Order sets in below a critical noise that grows with density.
    """
    mean = heading(unit(scene.own.heading) + scene.total(unit(scene.near.heading)))
    turn = noise_rad * (scene.rng.random(len(mean)) - 0.5)
    return np.asarray(speed_mps * unit(mean + turn))
