"""What the mission machine takes in and what it gives out: facts and effects, plain data."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from mtor_swarm.events import (
    Command,
    MemberChanged,
    Pose,
    Sighting,
    TargetLost,
    TargetSeen,
    UnitState,
)
from mtor_swarm.swarm.behaviours.geometry import Array


@dataclass(frozen=True)
class Odom:
    """Where this unit is, and its measured speeds."""

    pose: Pose
    speed_mps: float = 0.0
    turn_rps: float = 0.0


@dataclass(frozen=True)
class Scan:
    """A lidar scan: ranges (N,), inf for no echo; angles in the unit's frame, left positive."""

    ranges: Array
    first_rad: float
    step_rad: float


@dataclass(frozen=True)
class Sightings:
    """What this unit's own camera saw in one frame; positions are the near side's."""

    items: list[Sighting]


@dataclass(frozen=True)
class Latched:
    """The stop latch of the unit itself."""

    latched: bool


@dataclass(frozen=True)
class Fact:
    """The newest fact about tasks under a key (`swarm.tasks.task`), as JSON; None: none is left.

    Taken in, it is another unit's; given out, it is to be told to all.
    """

    key: str
    raw: bytes | None


Given = (
    Odom
    | Scan
    | Sightings
    | TargetSeen
    | TargetLost
    | UnitState
    | MemberChanged
    | Command
    | Latched
    | Fact
)
"""What the machine takes in; target news are other units', a UnitState is another's beacon."""


@dataclass(frozen=True)
class Drive:
    """The velocity wanted now."""

    speed_mps: float
    turn_rps: float


@dataclass(frozen=True)
class Show:
    """The unit's own state, for the others."""

    state: UnitState


@dataclass(frozen=True)
class Say:
    """An event's data to publish."""

    data: msgspec.Struct


Effect = Drive | Show | Say | Fact
