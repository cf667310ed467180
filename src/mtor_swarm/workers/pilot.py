"""The pilot: from a place to go to, to a forward speed and a turn rate, past what is in the way.

Pure: time and chance are handed in. It keeps what behaviours cannot: the last scan, the last
direction, and whether the unit gets anywhere at all.
"""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Sequence

import numpy as np

from mtor_swarm.events import Pose
from mtor_swarm.swarm.behaviours.avoid import avoid, free_way
from mtor_swarm.swarm.behaviours.disperse import disperse
from mtor_swarm.swarm.behaviours.geometry import Array, heading, length, unit
from mtor_swarm.swarm.behaviours.steer import face, steer

SECTORS = 120
"""The scan is thinned to the nearest echo of each sector of 3°."""
STUCK_S, STUCK_M = 5.0, 0.25
"""A unit that wants to drive and stays this near for this long tries something else..."""
TRAIL_S = 0.25
ESCAPE_S = 2.5
"""...for this long."""
GHOST_M, GHOST_REACH_M = 0.35, 1.8
"""Another unit that comes closer is imagined this far to its right, so that both keep right."""
CROWD_M = 0.9

Turn = tuple[float, float]
"""Forward speed in m/s and turn rate in rad/s."""
STILL: Turn = (0.0, 0.0)
NOTHING: Array = np.zeros((0, 2))


class Pilot:
    """Drives one unit."""

    def __init__(self, *, speed_mps: float, clearance_m: float, rng: random.Random) -> None:
        self._speed_mps = speed_mps
        self._clearance_m = clearance_m
        self._rng = rng
        self.points: Array = np.zeros((0, 2))
        """The last scan's echoes, (N, 2) in frame `map`."""
        self.ranges: Array = np.zeros(0)
        self._first_rad = 0.0
        self._step_rad = 1.0
        self._last = math.nan
        self._trail: deque[tuple[float, Array]] = deque(maxlen=64)
        self._escape: tuple[float, Array] | None = None

    def scan(self, pose: Pose, ranges: Array, first_rad: float, step_rad: float) -> None:
        """Take in a scan (N,) from `pose`; angles in the unit's frame, left positive."""
        self.ranges, self._first_rad, self._step_rad = ranges, first_rad, step_rad
        angles = first_rad + step_rad * np.arange(ranges.size)
        per = max(1, ranges.size // SECTORS)
        whole = ranges[: ranges.size // per * per].reshape(-1, per)
        pick = whole.argmin(axis=1) + per * np.arange(whole.shape[0])
        near, angles = ranges[pick], angles[pick]
        real = np.isfinite(near)
        here = np.array([pose.x_m, pose.y_m])
        self.points = here + near[real, None] * unit(pose.yaw_rad + angles[real])

    def sight(self, bearing_rad: Array) -> Array:
        """How far the lidar saw in these directions (...), in the unit's own frame."""
        if not self.ranges.size:
            return np.full(np.shape(bearing_rad), np.inf)
        turn = (np.asarray(bearing_rad) - self._first_rad) % (2 * np.pi)
        index = np.rint(turn / self._step_rad).astype(int) % self.ranges.size
        return np.asarray(self.ranges[index])

    def turn_to(self, pose: Pose, direction_rad: float) -> Turn:
        """Turn on the spot towards a direction in `map`."""
        self._rest()
        speed, turn = face(direction_rad, pose.yaw_rad)
        return float(speed), float(turn)

    def stay(self) -> Turn:
        """Stand still."""
        self._rest()
        return STILL

    def drive(
        self,
        pose: Pose,
        goal: Array,
        others: Sequence[tuple[Array, Array]],
        now: float,
        *,
        slow_m: float = 0.0,
        shunned: Array = NOTHING,
    ) -> Turn:
        """Drive to `goal` (2,), frame `map`; others are (position, velocity).

        `slow_m` is what remains of the way after the goal, for which there is no need to slow;
        `shunned` (N, 2) are points to keep clear of as if something stood there.
        """
        here = np.array([pose.x_m, pose.y_m])
        way = self._detour(here, goal, now) - here
        points = np.concatenate([self.points - here, shunned - here, self._ghosts(here, others)])
        near = np.array([p for p, _ in others]).reshape(-1, 2)
        push = disperse(here, near, np.ones(len(near), dtype=bool), reach_m=CROWD_M)
        remains = float(length(way)) + slow_m
        if remains > CROWD_M:
            way = way + 2.0 * push
        chosen, free = avoid(points, way, self._last, clearance_m=self._clearance_m)
        self._last = float(chosen)
        if free <= 0.0:
            # Nothing is open: turn slowly, so that the camera and the next scans may find a way.
            return 0.0, 0.5
        speed = min(self._speed_mps, 0.06 + 1.0 * remains, 0.1 + float(free))
        v, w = steer(speed * unit(chosen), pose.yaw_rad)
        ahead = float(free_way(points, np.array([pose.yaw_rad]), np.array(0.29))[0])
        return min(float(v), max(0.0, ahead)), float(w)

    def _rest(self) -> None:
        self._trail.clear()
        self._escape = None
        self._last = math.nan

    def _detour(self, here: Array, goal: Array, now: float) -> Array:
        """The goal, or for a while some open place, if the unit has not moved for long."""
        if self._escape is not None:
            until, place = self._escape
            if now < until and float(length(place - here)) > 0.15:
                return place
            self._rest()
        if not self._trail or now - self._trail[-1][0] >= TRAIL_S:
            self._trail.append((now, here))
        while now - self._trail[0][0] > STUCK_S:
            old = self._trail.popleft()[1]
            if max(float(length(old - each)) for _, each in self._trail) < STUCK_M:
                fan = np.array([self._rng.uniform(-math.pi, math.pi) for _ in range(16)])
                free = free_way(self.points - here, fan, np.array(0.29))
                best = int(np.minimum(free, 1.0).argmax())
                place = here + min(1.0, max(0.0, float(free[best]))) * unit(fan[best])
                self._escape = (now + ESCAPE_S, place)
                return place
        return goal

    def _ghosts(self, here: Array, others: Sequence[tuple[Array, Array]]) -> Array:
        """Points (G, 2), relative to here, that make units which meet pass on the right."""
        found = []
        for position, velocity in others:
            way = position - here
            far = float(length(way))
            if not 1e-6 < far < GHOST_REACH_M or float(velocity @ way) >= -0.05 * far:
                continue
            left = unit(heading(way) + np.pi / 2)
            found.append(way + GHOST_M * left)
            found.append(way + 0.5 * velocity)
        return np.array(found).reshape(-1, 2)
