"""Post: the place that a unit has taken, and whether it stands there, settled, or must move.

What is settled stays settled while its place moves a little: an estimate of the target that
improves by a few centimetres is no reason to start the wheels.
"""

from __future__ import annotations

import numpy as np

from mtor_swarm.swarm.behaviours.geometry import Array, wrap
from mtor_swarm.swarm.behaviours.hold import hold

PATIENCE_S = 20.0
"""After this long a unit that came near enough stays where it is."""


class Post:
    """One unit's post. Pure: times are given, seconds; metres and radians in frame `map`."""

    def __init__(self, *, arrive_m: float, release_m: float, near_m: float) -> None:
        self._arrive_m = arrive_m
        self._release_m = release_m
        self._near_m = near_m
        self._since_s: float | None = None
        self.arrived = False
        self.settled = False

    def leave(self) -> None:
        """The unit has no post any more."""
        self.arrived = self.settled = False
        self._since_s = None

    def stand(
        self, position: Array, yaw_rad: float, place: Array, facing: float, now: float
    ) -> None:
        """Note where the unit is, beside `place` (2,), where it shall look to `facing`."""
        if self._since_s is None:
            self._since_s = now
        tired = now - self._since_s > PATIENCE_S
        arrive_m = self._near_m if tired else self._arrive_m
        was = self.arrived
        _, there = hold(
            position,
            place,
            arrived=was,
            arrive_m=arrive_m,
            release_m=max(self._release_m, arrive_m),
        )
        self.arrived = bool(there)
        if was and not self.arrived:
            self._since_s = now
        off = abs(float(wrap(np.array(facing - yaw_rad))))
        self.settled = self.arrived and off <= (0.35 if self.settled else 0.1)
