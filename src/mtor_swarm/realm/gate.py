"""The reflex gate: what was wanted and what the lidar sees become what the wheels may do.

A pure machine, fed by its owner, who has the clock. Frame: the unit's own (REP 103), x ahead, the
lidar at its centre; the hull is a circle. The centre always moves along x, however the unit turns,
so nothing reaches the hull without first standing in the straight corridor that the hull sweeps,
ahead or behind: that corridor is what is watched, as wide as the hull and `SIDE_M` more.

Free way is what is left until something in the corridor is `stop_distance_m` from the hull. Speed
falls linearly with it and is never more than can be braked within it. The stop for something near
is the one thing that may exceed the deceleration limit: a soft stop into a person is none.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from mtor_swarm.config import ReflexConfig

SIDE_M = 0.03
"""What is passed at the side stays at least this far from the hull."""
CLEAR_M = 0.05
"""A blocked way is free again only from here on, so that noise does not make it flicker."""
LONGEST_STEP_S = 0.1
"""However long ago the last step was, the ramp gains no more than this time."""

LATCHED = "held by a stop command until a release"
NOT_FINITE = "the wanted velocity is not a number: look at what publishes wanted_vel"
NO_SCAN = "no scan arrives: is the lidar running?"
TOUCHED = "something touches the hull"
AHEAD, BEHIND = "something is too near ahead", "something is too near behind"


class Velocity(msgspec.Struct, frozen=True):
    """Forward metres a second, and radians a second, counter-clockwise positive."""

    v_mps: float = 0.0
    w_rps: float = 0.0


class Scan(msgspec.Struct, frozen=True):
    """One turn of the lidar. Ranges in metres, shape (n,); inf, NaN and 0 are no return.

    Ranges outside `range_min_m` to `range_max_m` are no return either (sensor_msgs/LaserScan).
    """

    ranges: NDArray[np.float64] | Sequence[float]
    angle_min_rad: float
    increment_rad: float
    range_min_m: float
    range_max_m: float


class Verdict(msgspec.Struct, frozen=True):
    """What the wheels may do now; `blocked` when something holds back what is wanted."""

    velocity: Velocity
    blocked: bool = False
    reason: str = ""


class Gate:
    """The last gate before the wheels. `latched` is its owner's to set."""

    def __init__(self, config: ReflexConfig) -> None:
        self.latched = False
        self._config = config
        self._wanted = Velocity()
        self._wanted_at = -math.inf
        self._scan_at = -math.inf
        self._free = {1: math.inf, -1: math.inf}
        self._touched = False
        self._angles_key = (0, 0.0, 0.0)
        self._angles: NDArray[np.float64] = np.zeros(0)
        self._measured = Velocity()
        self._given: Velocity | None = None
        self._given_at = -math.inf
        self._blocked = 0

    @property
    def moving(self) -> bool:
        """Whether the last velocity given was not zero."""
        return self._given is not None and self._given != Velocity()

    def want(self, velocity: Velocity, now: float) -> None:
        """Somebody wants this velocity; it holds for `wanted_timeout_s`."""
        self._wanted, self._wanted_at = velocity, now

    def stand(self, now: float) -> None:
        """The wheels were told to stand, past the gate: the next ramp begins there."""
        self._given, self._given_at = Velocity(), now

    def measure(self, velocity: Velocity) -> None:
        """The odometry's velocity; what is not a number changes nothing."""
        if math.isfinite(velocity.v_mps) and math.isfinite(velocity.w_rps):
            self._measured = velocity

    def scan(self, scan: Scan, now: float) -> None:
        """A scan that has just arrived."""
        ranges = np.asarray(scan.ranges, dtype=np.float64)
        angles = self._directions(ranges.size, scan.angle_min_rad, scan.increment_rad)
        if not np.isfinite(angles).all() or np.isnan(ranges).all():
            return  # no measurement: without one the gate closes by itself
        # REP 117: minus infinity is an object too close to measure
        ranges = np.where(np.isneginf(ranges), scan.range_min_m, ranges)
        returned = np.isfinite(ranges) & (ranges > 0.0) & np.isfinite(angles)
        returned &= (ranges >= scan.range_min_m) & (ranges <= scan.range_max_m)
        distance, angle = ranges[returned], angles[returned]
        half = self._config.hull_radius_m + SIDE_M
        x, y = distance * np.cos(angle), distance * np.sin(angle)
        inside = np.abs(y) < half
        x, y = x[inside], y[inside]
        gap = np.abs(x) - np.sqrt(half * half - y * y) - self._config.stop_distance_m
        for way in self._free:
            self._free[way] = float(np.min(gap[x * way > 0.0], initial=math.inf))
        self._touched = bool(np.any(distance <= self._config.hull_radius_m))
        self._scan_at = now

    def step(self, now: float) -> Verdict:
        """What the wheels may do at `now`, in seconds of any steady clock."""
        wanted, reason = self._allowed(now)
        velocity = self._ramp(wanted, now)
        cap = self._cap(1 if velocity.v_mps > 0.0 else -1, now)
        speed = min(max(velocity.v_mps, -cap), cap)
        turn = 0.0 if self._touched else velocity.w_rps
        self._given, self._given_at = Velocity(speed, turn), now
        blocked, why = self._hindered(wanted, reason, now)
        return Verdict(self._given, blocked, why)

    def _directions(self, count: int, start: float, increment: float) -> NDArray[np.float64]:
        """The angle of each range; a lidar's do not change, so they are kept."""
        key = (count, start, increment)
        if key != self._angles_key:
            self._angles_key = key
            self._angles = start + increment * np.arange(count, dtype=np.float64)
        return self._angles

    def _allowed(self, now: float) -> tuple[Velocity, str]:
        """What is wanted, within the speed limits; or standing still, and why."""
        wanted = self._wanted
        if self.latched:
            return Velocity(), LATCHED
        if not (math.isfinite(wanted.v_mps) and math.isfinite(wanted.w_rps)):
            return Velocity(), NOT_FINITE
        if now - self._wanted_at > self._config.wanted_timeout_s:
            return Velocity(), ""
        if now - self._scan_at > self._config.scan_timeout_s:
            return Velocity(), NO_SCAN if wanted != Velocity() else ""
        most_v, most_w = self._config.max_speed_mps, self._config.max_turn_rps
        return Velocity(
            min(max(wanted.v_mps, -most_v), most_v), min(max(wanted.w_rps, -most_w), most_w)
        ), ""

    def _ramp(self, wanted: Velocity, now: float) -> Velocity:
        """As near to what is wanted as the acceleration limits let it come in this step."""
        config = self._config
        old = self._measured if self._given is None else self._given
        step_s = min(max(now - self._given_at, 0.0), LONGEST_STEP_S)
        most_v = config.max_acceleration_mps2 * step_s
        most_w = config.max_turn_acceleration_rps2 * step_s
        v = old.v_mps + min(max(wanted.v_mps - old.v_mps, -most_v), most_v)
        w = old.w_rps + min(max(wanted.w_rps - old.w_rps, -most_w), most_w)
        return Velocity(
            min(max(v, -config.max_speed_mps), config.max_speed_mps),
            min(max(w, -config.max_turn_rps), config.max_turn_rps),
        )

    def _left(self, way: int, now: float) -> float:
        """Free metres ahead (1) or behind (-1), less what was driven since the scan."""
        driven = max(self._measured.v_mps * way, 0.0) * min(
            max(now - self._scan_at, 0.0), self._config.scan_timeout_s
        )
        return max(self._free[way] - driven, 0.0)

    def _cap(self, way: int, now: float) -> float:
        """The most speed that the free way allows."""
        config = self._config
        left = self._left(way, now)
        slow = max(config.slow_distance_m - config.stop_distance_m, CLEAR_M)
        return min(
            config.max_speed_mps * min(left / slow, 1.0),
            math.sqrt(2.0 * config.max_acceleration_mps2 * left),
        )

    def _hindered(self, wanted: Velocity, reason: str, now: float) -> tuple[bool, str]:
        """Whether what is wanted is held back, and by what."""
        way = (wanted.v_mps > 0.0) - (wanted.v_mps < 0.0)
        need = CLEAR_M if way == self._blocked else 0.0
        self._blocked = way if way and self._left(way, now) <= need else 0
        if reason:
            return reason == NO_SCAN, reason
        if self._touched and wanted.w_rps:
            return True, TOUCHED
        if self._blocked:
            return True, AHEAD if way > 0 else BEHIND
        return False, ""
