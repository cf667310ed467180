"""Return: each unit goes to its home and stays there."""

from __future__ import annotations

from numpy.typing import ArrayLike

from mtor_swarm.swarm.behaviours.geometry import Array
from mtor_swarm.swarm.behaviours.hold import hold
from mtor_swarm.swarm.behaviours.scene import Scene


def go_home(
    scene: Scene, *, home: ArrayLike, arrive_m: float = 0.1, speed_mps: float = 0.5
) -> Array:
    """The velocity (N, 2) in `map` to `home`, (2,) or (N, 2) in `map`.

    Source: `hold`: proportional control with a dead band.

    Inputs: the unit's position; it remembers whether it has `arrived`.

    Guarantees: at most `speed_mps`; zero once within `arrive_m`, and while not pushed away.
    """
    arrived = scene.recall("arrived", [False])
    velocity, arrived[:] = hold(
        scene.own.position,
        home,
        arrived=arrived,
        arrive_m=arrive_m,
        release_m=2.5 * arrive_m,
        speed_mps=speed_mps,
    )
    return velocity
