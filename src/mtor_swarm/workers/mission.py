"""The mission machine: what a unit of a search knows, and from it what it does.

Pure: `Mission.handle(given, now)` takes in one fact and returns effects; it reads no clock and no
randomness but what is handed in. Every unit runs the same machine; nobody leads. Positions are in
frame `map`, metres and radians; times are seconds of whatever clock the caller has.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import msgspec
import numpy as np

from mtor_swarm.config import MissionConfig
from mtor_swarm.events import Pose, TargetLost, TargetSeen, UnitState
from mtor_swarm.swarm.behaviours.geometry import Array, length, wrap
from mtor_swarm.swarm.tasks import roles
from mtor_swarm.swarm.tasks.belief import Belief, weight
from mtor_swarm.swarm.tasks.company import places
from mtor_swarm.swarm.tasks.coverage import Coverage
from mtor_swarm.swarm.tasks.post import Post
from mtor_swarm.swarm.tasks.ring import Ring
from mtor_swarm.workers.mission_io import Effect, Say, Sightings
from mtor_swarm.workers.part import PLAN_S, Part
from mtor_swarm.workers.pilot import Turn

ANNOUNCE_S = 2.0
LOOK_FROM_M, LOOK_ASIDE_RAD = 2.5, 0.35
"""Who is this near and looks this straight at the target should see it."""


class Mission(Part):
    """One unit's part in a search: look, approach, surround, guard, hold, return."""

    def __init__(self, config: MissionConfig, unit: str, rng: random.Random) -> None:
        super().__init__(config, unit, rng, "searching")
        self._belief = Belief(agree_m=config.agree_m, needed=config.sightings)
        self._coverage = Coverage(config)
        self._ring = Ring(config)
        self._slot = Post(arrive_m=0.08, release_m=0.25, near_m=0.2)
        self._guard = Post(arrive_m=0.3, release_m=0.9, near_m=2.5)
        self._sight: Array = np.zeros(0)
        self._announced_s = -math.inf
        self._handlers |= {
            Sightings: self._on_sightings,
            TargetSeen: self._on_seen,
            TargetLost: self._on_lost,
        }

    # What is taken in

    def _on_sightings(self, seen: Sightings, now: float) -> list[Effect]:
        if not self._odom:
            return []
        pose = self._odom.pose
        effects: list[Effect] = []
        for each in seen.items:
            if each.label != self._config.target or each.score < self._config.confidence:
                continue
            if each.x_m is None or each.y_m is None:
                continue
            away = np.array([each.x_m - pose.x_m, each.y_m - pose.y_m])
            far = float(length(away))
            centre = away * (1.0 + self._config.target_radius_m / max(far, 0.1))
            x, y = pose.x_m + float(centre[0]), pose.y_m + float(centre[1])
            if not self._possible(x, y, now):
                continue
            place = self._belief.see(x, y, weight(each.score, far), now)
            if place is self._belief.place(now) and now - self._announced_s >= ANNOUNCE_S:
                self._announced_s = now
                x, y = place.centre
                effects.append(
                    Say(
                        TargetSeen(
                            label=each.label,
                            score=each.score,
                            x_m=x,
                            y_m=y,
                            seen_from_x_m=pose.x_m,
                            seen_from_y_m=pose.y_m,
                            seen_by=self._unit,
                        )
                    )
                )
        return effects

    def _possible(self, x_m: float, y_m: float, now: float) -> bool:
        """Whether the target's centre can be there: inside the walls, and not where a unit is."""
        x_min, y_min, x_max, y_max = self._config.area
        if not (x_min <= x_m <= x_max and y_min <= y_m <= y_max):
            return False
        units = places(self._company.active(now))
        nearest = length(units - np.array([x_m, y_m])).min(initial=math.inf)
        return bool(nearest > self._config.target_radius_m)

    def _on_seen(self, seen: TargetSeen, now: float) -> list[Effect]:
        if seen.label == self._config.target and self._possible(seen.x_m, seen.y_m, now):
            far = math.hypot(seen.x_m - seen.seen_from_x_m, seen.y_m - seen.seen_from_y_m)
            self._belief.see(seen.x_m, seen.y_m, weight(seen.score, far), now, sure=True)
        return []

    def _on_lost(self, lost: TargetLost, now: float) -> list[Effect]:
        if lost.label == self._config.target:
            self._belief.strike(lost.x_m, lost.y_m, now)
        return []

    def _on_neighbour(self, state: UnitState, now: float) -> list[Effect]:
        super()._on_neighbour(state, now)
        self._coverage.look_of(state, now)
        return []

    # What is done

    def _begin(self) -> None:
        self._belief.clear()
        self._coverage.reset()

    def _leave(self) -> None:
        self._slot.leave()
        self._guard.leave()

    def _plan(self, pose: Pose, now: float) -> list[Effect]:
        self._sight = self._pilot.sight(self._coverage.bearings(pose))
        self._coverage.look(pose, self._sight, now)
        effects = self._doubt(pose, now) + super()._plan(pose, now)
        place = self._belief.place(now)
        target, cost = place.centre if place else None, None
        if target is not None and self._order == "search" and not self._latched:
            here = np.array([pose.x_m, pose.y_m])
            has_role = self._state.doing in {"approaching", "surrounding"}
            cost = roles.cost(float(length(np.array(target) - here)), has_role)
        self._state = msgspec.structs.replace(self._state, target=target, cost_m=cost)
        return effects

    def _do(self, pose: Pose, now: float) -> str:
        place = self._belief.place(now)
        if place is None:
            return self._search(pose, now)
        return self._gather(pose, np.array(place.centre), now)

    def _search(self, pose: Pose, now: float) -> str:
        self._leave()
        others = self._company.active(now)
        cell, visible = self._coverage.next(pose, others, self._sight, now)
        if visible:
            self._face(math.atan2(cell[1] - pose.y_m, cell[0] - pose.x_m))
            self._aim(cell)
        else:
            self._head_for(cell, slow_m=1.0)
        return "searching"

    def _gather(self, pose: Pose, target: Array, now: float) -> str:
        here = np.array([pose.x_m, pose.y_m])
        active = [each for each in self._company.active(now) if _able(each)]
        has_role = self._state.doing in {"approaching", "surrounding"}
        claims = [roles.Claim(each.unit, _cost(each, target)) for each in active]
        own = roles.cost(float(length(target - here)), has_role)
        chosen = roles.chosen([*claims, roles.Claim(self._unit, own)], self._config.surround)
        if self._unit in chosen:
            self._guard.leave()
            return self._surround(pose, target, [e for e in active if e.unit in chosen], now)
        self._slot.leave()
        fellows = [e for e in active if e.unit not in chosen]
        post = self._ring.guard_post(self._unit, here, target, fellows, self._company.bodies(now))
        outward = math.atan2(here[1] - target[1], here[0] - target[0])
        self._guard.stand(here, pose.yaw_rad, post, outward, now)
        if self._guard.arrived:
            self._go = self._turn_or_stay(self._guard, outward)
            self._aim(post)
        else:
            goal, shunned = self._ring.guard_way(here, target, post)
            self._head_for(goal, shown=post, shunned=shunned)
        return "guarding"

    def _surround(self, pose: Pose, target: Array, fellows: list[UnitState], now: float) -> str:
        here = np.array([pose.x_m, pose.y_m])
        slot = self._ring.slot(
            self._unit,
            here,
            target,
            fellows,
            bodies=self._company.bodies(now),
            echoes=self._pilot.points,
            moving=[at for at, _ in self._company.motions(now)],
            settled=self._slot.settled,
        )
        inward = math.atan2(target[1] - here[1], target[0] - here[0])
        self._slot.stand(here, pose.yaw_rad, slot, inward, now)
        self._aim(slot)
        if self._slot.arrived:
            self._go = self._turn_or_stay(self._slot, inward)
            return "surrounding"
        self._head_for(self._ring.way(here, target, slot), shown=slot)
        return "surrounding" if float(length(slot - here)) < 0.5 else "approaching"

    def _turn_or_stay(self, post: Post, facing: float) -> Callable[[Pose, float], Turn]:
        if post.settled:
            return lambda _pose, _now: self._pilot.stay()
        return lambda at, _now: self._pilot.turn_to(at, facing)

    def _doubt(self, pose: Pose, now: float) -> list[Effect]:
        """Look whether the target is where it is believed; say so if it is not."""
        place = self._belief.place(now)
        if place is None or self._latched:
            return []
        x, y = place.centre
        far = math.hypot(x - pose.x_m, y - pose.y_m)
        aside = wrap(math.atan2(y - pose.y_m, x - pose.x_m) - pose.yaw_rad)
        clear = float(self._pilot.sight(aside)) > far - self._config.target_radius_m - 0.4
        if far > LOOK_FROM_M or abs(float(aside)) > LOOK_ASIDE_RAD or not clear:
            return []
        place.looked_in_vain_s += PLAN_S
        if place.looked_in_vain_s < place.patience_s:
            return []
        self._belief.strike(x, y, now)
        return [Say(TargetLost(label=self._config.target, x_m=x, y_m=y))]


def _able(state: UnitState) -> bool:
    """Whether another unit takes part in the mission at all."""
    return not state.latched and state.doing not in {"holding", "returning"}


def _cost(state: UnitState, target: Array) -> float | None:
    """What another unit's part costs; from its place, until it knows of the target itself."""
    if state.cost_m is not None or state.pose is None:
        return state.cost_m
    return float(length(target - np.array([state.pose.x_m, state.pose.y_m])))
