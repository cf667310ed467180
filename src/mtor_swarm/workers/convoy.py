"""A convoy: units drive along a route one behind the other, and none is left behind.

Each takes its own place on the route and those that the others' beacons tell, and keeps its gap to
the next one ahead; nobody is the leader: whoever finds no one ahead drives on as fast as the one
behind can follow. A unit that dies leaves a gap, which the next one closes.

Source: the constant-spacing policy of adaptive cruise control, speed in proportion to the error
of the gap (Swaroop & Hedrick, "String stability of interconnected systems", 1996), and with it the
bidirectional one, in which a vehicle looks back too.
"""

from __future__ import annotations

import random

import numpy as np

from mtor_swarm.config import MissionConfig
from mtor_swarm.events import Pose, UnitState
from mtor_swarm.swarm.behaviours.geometry import Array, length
from mtor_swarm.workers.part import Part
from mtor_swarm.workers.pilot import Turn

AHEAD_M = 0.9
"""The point on the road that is steered for lies so far ahead."""
GAIN_PER_S = 0.6
LOOSE = 2.0
"""Who is more than so many gaps ahead of the one behind slows down, and waits at twice that."""
STRAY_M = 1.0
"""Who is farther than this from where it was on the road last is looked for on all of it."""
ARRIVED_M, RELEASE_M = 0.15, 0.6
"""Who is this near its place at the end stands, until it finds itself so far from it."""


class Road:
    """A way through places (K, 2) in `map`, measured in metres from its first one."""

    def __init__(self, places: Array) -> None:
        self.places = places
        self._legs = length(np.diff(places, axis=0))
        self._starts = np.concatenate([[0.0], np.cumsum(self._legs)])
        self.length_m = float(self._starts[-1])

    def at(self, along_m: float) -> Array:
        """The place (2,) so far along it."""
        x, y = (np.interp(along_m, self._starts, self.places[:, axis]) for axis in (0, 1))
        return np.array([x, y])

    def along(self, point: Array, last_m: float) -> float:
        """How far along it a point (2,) is that was `last_m` along it a moment ago."""
        start, step = self.places[:-1], np.diff(self.places, axis=0)
        way = point - start
        share = np.clip((way * step).sum(-1) / np.maximum(self._legs**2, 1e-9), 0.0, 1.0)
        off = length(way - share[:, None] * step)
        along = self._starts[:-1] + share * self._legs
        near = np.where(np.abs(along - last_m) < 2 * STRAY_M, off, np.inf)
        best = near if near.min() < STRAY_M else off
        return float(along[best.argmin()])


class Convoy(Part):
    """One unit's part in a convoy."""

    def __init__(self, config: MissionConfig, unit: str, rng: random.Random) -> None:
        super().__init__(config, unit, rng, "gathering")
        self._road = Road(np.array(config.route))
        self._along: dict[str, float] = {}
        """How far along the road each unit is, this one too; before it, less than 0."""

    def _begin(self) -> None:
        self._along.clear()

    def _leave(self) -> None:
        """It has nothing in mind but the road."""

    def _do(self, pose: Pose, now: float) -> str:
        fellows = [each for each in self._company.active(now) if not each.latched]
        was, me = self._along, self._unit
        self._along = {
            each.unit: self._place(each.pose, each, was) for each in fellows if each.pose
        }
        self._along[me] = self._place(pose, self._state, was)
        own = self._along[me]
        order = sorted(self._along, key=lambda unit: (self._along[unit], unit))
        rank = order.index(me)
        end = self._road.length_m - self._config.gap_m * (len(order) - 1 - rank)
        stood = self._state.doing == "arrived"
        if own >= end - (RELEASE_M if stood else ARRIVED_M):
            self._go = lambda _pose, _now: self._pilot.stay()
            self._aim(None)
            return "arrived"
        speeds = {each.unit: each.speed_mps for each in fellows}
        limit = self._config.speed_mps
        if rank + 1 < len(order):
            ahead = order[rank + 1]
            gap = self._along[ahead] - own - self._config.gap_m
            limit = min(limit, max(0.0, speeds[ahead] + GAIN_PER_S * gap))
        if rank > 0 and own > 0.0:
            behind = (own - self._along[order[rank - 1]]) / self._config.gap_m
            limit *= min(1.0, max(0.0, 2.0 - behind / LOOSE))
        self._follow(min(own + AHEAD_M, end), limit)
        return "driving" if own >= 0.0 else "gathering"

    def _place(self, at: Pose, state: UnitState, was: dict[str, float]) -> float:
        """How far along a unit is; before the beginning, how far it is from there, less than 0."""
        here = np.array([at.x_m, at.y_m])
        to_start = float(length(self._road.places[0] - here))
        if state.doing == "gathering" and to_start > STRAY_M / 2:
            return -to_start
        return self._road.along(here, max(0.0, was.get(state.unit, 0.0)))

    def _follow(self, along_m: float, limit_mps: float) -> None:
        self._head_for(self._road.at(max(0.0, along_m)), slow_m=AHEAD_M)
        free = self._go

        def held_back(pose: Pose, now: float) -> Turn:
            speed, turn = free(pose, now)
            return min(speed, limit_mps), turn

        self._go = held_back
