"""A perimeter: units watch the edge of an area; what comes in is verified, tracked, surrounded.

One unit's word is not enough to send the others: the nearest one that has not seen the intruder
goes and looks, while those who have stay in sight of it. Once as many have seen it as the mission
asks for, it is surrounded as a search's target is.
"""

from __future__ import annotations

import math
import random

import numpy as np

from mtor_swarm.config import MissionConfig
from mtor_swarm.events import Pose, TargetLost, TargetSeen
from mtor_swarm.swarm.behaviours.geometry import Array, direction, length
from mtor_swarm.swarm.tasks import roles
from mtor_swarm.swarm.tasks.belief import Belief
from mtor_swarm.workers.mission import Mission
from mtor_swarm.workers.mission_io import Effect, Say, Sightings

KEPT = 8
"""Sightings of an intruder that count, the newest: it walks."""
WITNESS_S = 60.0
"""So long a unit's word counts."""
LOOK_FROM_M = 1.8
"""From here it is looked at, without driving up to it."""


class Perimeter(Mission):
    """One unit's part in the watch over a perimeter."""

    def __init__(self, config: MissionConfig, unit: str, rng: random.Random) -> None:
        super().__init__(config, unit, rng)
        self._belief = Belief(agree_m=config.agree_m, needed=config.sightings, kept=KEPT)
        self._witnesses: dict[str, float] = {}

    def _begin(self) -> None:
        super()._begin()
        self._witnesses.clear()

    def _on_sightings(self, seen: Sightings, now: float) -> list[Effect]:
        effects = super()._on_sightings(seen, now)
        if any(isinstance(e, Say) and isinstance(e.data, TargetSeen) for e in effects):
            self._witnesses[self._unit] = now
        return effects

    def _on_seen(self, seen: TargetSeen, now: float) -> list[Effect]:
        known = {each.unit for each in self._company.active(now)}
        if seen.label == self._config.target and seen.seen_by in known:
            self._witnesses[seen.seen_by] = now
        return super()._on_seen(seen, now)

    def _on_lost(self, lost: TargetLost, now: float) -> list[Effect]:
        self._witnesses.clear()
        return super()._on_lost(lost, now)

    def _gather(self, pose: Pose, target: Array, now: float) -> str:
        fresh = {unit for unit, seen_s in self._witnesses.items() if now - seen_s < WITNESS_S}
        active = self._company.active(now)
        # A swarm that is too small to have so many witnesses goes by all that there are.
        lacking = min(self._config.witnesses, len(active) + 1) - len(fresh)
        if lacking <= 0:
            return super()._gather(pose, target, now)
        self._leave()
        if self._unit in fresh:
            self._look_at(pose, target)
            return "tracking"
        here = {each.unit: each.pose for each in active} | {self._unit: pose}
        claims = [
            roles.Claim(unit, math.hypot(at.x_m - target[0], at.y_m - target[1]))
            for unit, at in here.items()
            if at and unit not in fresh
        ]
        if self._unit in roles.chosen(claims, lacking):
            self._look_at(pose, target)
            return "verifying"
        return self._search(pose, now)

    def _look_at(self, pose: Pose, target: Array) -> None:
        way = target - np.array([pose.x_m, pose.y_m])
        if float(length(way)) > LOOK_FROM_M:
            self._head_for(target - (LOOK_FROM_M - 0.3) * direction(way))
        else:
            self._face(math.atan2(way[1], way[0]))
            self._aim(target)
