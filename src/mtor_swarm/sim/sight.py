"""What a camera and a detector would tell together, without either: range, view and occlusion.

A thing is named when enough of its width shows, most of the times only, with a score, and at a
place that is a little off.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import msgspec
import numpy as np

from mtor_swarm.events import Pose, Sighting
from mtor_swarm.swarm.behaviours.geometry import Array, wrap

EDGE_RAD = 0.08
"""What is this near the edge of the picture shows only in part."""
SLACK_M = 0.15


class Thing(msgspec.Struct):
    """Something that can be seen and named: a disc at a place in `map`. It may be moved."""

    label: str
    x_m: float
    y_m: float
    radius_m: float = 0.3


class Sight(msgspec.Struct, frozen=True, kw_only=True):
    """How well things are seen."""

    range_m: float = 3.0
    fov_rad: float = 1.3
    chance: float = 0.8
    """That a frame which shows a thing makes a sighting."""
    scores: tuple[float, float] = (0.45, 0.95)
    bearing_noise_rad: float = 0.03
    range_noise_m: float = 0.03

    def look(
        self,
        thing: Thing,
        pose: Pose,
        free: Callable[[str, Array], Array],
        dice: np.random.Generator,
    ) -> Sighting | None:
        """The sighting of a thing from `pose`, if there is one.

        `free` says how far rays go in directions of `map`, past the thing of that label.
        """
        dx, dy = thing.x_m - pose.x_m, thing.y_m - pose.y_m
        far, bearing = math.hypot(dx, dy), math.atan2(dy, dx)
        off = float(wrap(bearing - pose.yaw_rad))
        if far > self.range_m or abs(off) > self.fov_rad / 2 - EDGE_RAD:
            return None
        half = math.atan2(0.8 * thing.radius_m, far)
        rays = free(thing.label, bearing + np.array([-half, 0.0, half]))
        if (rays > far - thing.radius_m - SLACK_M).sum() < 2 or dice.random() >= self.chance:
            return None
        score = float(dice.uniform(*self.scores))
        off += float(dice.normal(0.0, self.bearing_noise_rad))
        near = max(0.05, far - thing.radius_m + float(dice.normal(0.0, self.range_noise_m)))
        way = pose.yaw_rad + off
        return Sighting(
            label=thing.label, score=score, left=0.0, top=0.0, width=1.0, height=1.0,
            bearing_rad=off, range_m=near,
            x_m=pose.x_m + near * math.cos(way), y_m=pose.y_m + near * math.sin(way),
        )  # fmt: skip
