"""What a unit's localisation and wheels say of it, whichever engine moves it."""

from __future__ import annotations

import math

import msgspec

from mtor_swarm.events import Pose

POSITION_NOISE_M = 0.01
YAW_NOISE_RAD = math.radians(0.3)
"""Standard deviations of what a unit's localisation says of its pose."""


class Measured(msgspec.Struct, frozen=True):
    """What a unit's localisation and wheels say: pose in `map`, velocity ahead and about z."""

    pose: Pose
    speed_mps: float
    turn_rps: float
