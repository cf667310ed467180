"""The mission machine: what a unit of a search knows, and from it what it does.

Pure: `Mission.handle(given, now)` takes in one fact and returns effects; it reads no clock and no
randomness but what is handed in. Every unit runs the same machine; nobody leads. Positions are in
frame `map`, metres and radians; times are seconds of whatever clock the caller has.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np

from mtor_swarm.config import MissionConfig
from mtor_swarm.events import (
    Command,
    CommandAcknowledged,
    MemberChanged,
    Pose,
    TargetLost,
    TargetSeen,
    UnitChanged,
    UnitState,
)
from mtor_swarm.swarm.behaviours.geometry import Array, length, wrap
from mtor_swarm.swarm.tasks import roles
from mtor_swarm.swarm.tasks.belief import Belief, weight
from mtor_swarm.swarm.tasks.company import Company, places
from mtor_swarm.swarm.tasks.coverage import Coverage
from mtor_swarm.swarm.tasks.post import Post
from mtor_swarm.swarm.tasks.ring import Ring
from mtor_swarm.workers.mission_io import (
    Drive,
    Effect,
    Given,
    Latched,
    Odom,
    Say,
    Scan,
    Show,
    Sightings,
)
from mtor_swarm.workers.pilot import NOTHING, STILL, Pilot, Turn

PLAN_S = 0.2
"""Goals are thought over this often; the wheels follow every pose."""
ANNOUNCE_S = 2.0
SHOW_S, SHOW_STILL_S = 0.1, 1.0
"""Least time between two states told, and the most while nothing changes."""
LOOK_FROM_M, LOOK_ASIDE_RAD = 2.5, 0.35
"""Who is this near and looks this straight at the target should see it."""
HOME_M = 0.3


class Mission:
    """One unit's part in a search: look, approach, surround, guard, hold, return."""

    def __init__(self, config: MissionConfig, unit: str, rng: random.Random) -> None:
        self._config = config
        self._unit = unit
        self._belief = Belief(agree_m=config.agree_m, needed=config.sightings)
        self._company = Company(unit)
        self._coverage = Coverage(config)
        self._pilot = Pilot(speed_mps=config.speed_mps, clearance_m=config.clearance_m, rng=rng)
        self._ring = Ring(config)
        self._slot = Post(arrive_m=0.08, release_m=0.25, near_m=0.2)
        self._guard = Post(arrive_m=0.3, release_m=0.9, near_m=2.5)
        self._odom: Odom | None = None
        self._home: Pose | None = None
        self._order = "search"
        self._ordered_by = ""
        self._latched = False
        self._state = UnitState(unit=unit, doing="searching")
        self._go: Callable[[Pose, float], Turn] = lambda _pose, _now: STILL
        self._planned_s = self._shown_s = self._announced_s = -math.inf
        self._shown: UnitState | None = None
        self._handlers: dict[type, Callable[[Any, float], list[Effect]]] = {
            Odom: self._on_odom,
            Scan: self._on_scan,
            Sightings: self._on_sightings,
            TargetSeen: self._on_seen,
            TargetLost: self._on_lost,
            UnitState: self._on_neighbour,
            MemberChanged: self._on_member,
            Command: self._on_command,
            Latched: self._on_latched,
        }

    @property
    def state(self) -> UnitState:
        """What this unit tells of itself."""
        return self._state

    def handle(self, given: Given, now: float) -> list[Effect]:
        """Take in one fact; the effects are in the order in which they are to be carried out."""
        return self._handlers[type(given)](given, now)

    # What is taken in

    def _on_scan(self, scan: Scan, now: float) -> list[Effect]:
        if self._odom:
            self._pilot.scan(self._odom.pose, scan.ranges, scan.first_rad, scan.step_rad)
        return []

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
        self._company.hear(state, now)
        self._coverage.look_of(state, now)
        return []

    def _on_member(self, member: MemberChanged, now: float) -> list[Effect]:
        self._company.judge(member.unit, member.state, now)
        return []

    def _on_latched(self, latch: Latched, now: float) -> list[Effect]:
        self._latched = latch.latched
        self._planned_s = -math.inf
        return []

    def _on_command(self, command: Command, now: float) -> list[Effect]:
        if command.verb not in {"search", "return"} or self._unit not in command.units:
            return []
        held = "held: begins when it is released" if self._latched else ""
        effects: list[Effect] = [
            Say(CommandAcknowledged(command=command.id, status="accepted", reason=held))
        ]
        self._order, self._ordered_by = command.verb, command.id
        self._planned_s = -math.inf
        if command.verb == "search":
            self._belief.clear()
            self._coverage.reset()
            effects.append(self._done())
        return effects

    def _done(self) -> Effect:
        return Say(CommandAcknowledged(command=self._ordered_by, status="done"))

    def _on_odom(self, odom: Odom, now: float) -> list[Effect]:
        self._odom = odom
        self._home = self._home or odom.pose
        effects: list[Effect] = []
        if now - self._planned_s >= PLAN_S:
            self._planned_s = now
            effects += self._plan(odom.pose, now)
        speed, turn = self._go(odom.pose, now)
        effects.append(Drive(speed, turn))
        self._state = msgspec.structs.replace(
            self._state, pose=odom.pose, speed_mps=odom.speed_mps, turn_rps=odom.turn_rps
        )
        if self._worth_showing(now):
            self._shown, self._shown_s = self._state, now
            effects.append(Show(self._state))
        return effects

    def _worth_showing(self, now: float) -> bool:
        since = now - self._shown_s
        was, state = self._shown, self._state
        if was is None or was.pose is None or state.pose is None or since >= SHOW_STILL_S:
            return True
        moved = (
            math.hypot(state.pose.x_m - was.pose.x_m, state.pose.y_m - was.pose.y_m) > 0.01
            or abs(float(wrap(state.pose.yaw_rad - was.pose.yaw_rad))) > 0.02
        )
        known = ("doing", "goal", "target", "latched")
        changed = any(getattr(was, key) != getattr(state, key) for key in known)
        return (moved or changed) and since >= SHOW_S

    # What is done

    def _plan(self, pose: Pose, now: float) -> list[Effect]:
        here = np.array([pose.x_m, pose.y_m])
        sight = self._pilot.sight(self._coverage.bearings(pose))
        self._coverage.look(pose, sight, now)
        effects = self._doubt(pose, now)
        place = self._belief.place(now)
        target = place.centre if place else None
        if self._latched or self._order == "rest":
            doing = self._stand()
        elif self._order == "return":
            doing = self._return(here, effects)
        elif target is None:
            doing = self._search(pose, sight, now)
        else:
            doing = self._gather(pose, np.array(target), now)
        cost = None
        if target is not None and self._order == "search" and not self._latched:
            has_role = doing in {"approaching", "surrounding"}
            cost = roles.cost(float(length(np.array(target) - here)), has_role)
        if doing != self._state.doing:
            effects.append(Say(UnitChanged(doing=doing, was=self._state.doing)))
        self._state = msgspec.structs.replace(
            self._state, doing=doing, target=target, cost_m=cost, latched=self._latched
        )
        return effects

    def _stand(self) -> str:
        self._slot.leave()
        self._guard.leave()
        self._go = lambda _pose, _now: self._pilot.stay()
        self._aim(None)
        return "holding"

    def _return(self, here: Array, effects: list[Effect]) -> str:
        assert self._home is not None
        home = np.array([self._home.x_m, self._home.y_m])
        if float(length(home - here)) < HOME_M:
            self._order = "rest"
            effects.append(self._done())
            return self._stand()
        self._head_for(home)
        return "returning"

    def _search(self, pose: Pose, sight: Array, now: float) -> str:
        self._slot.leave()
        self._guard.leave()
        others = self._company.active(now)
        cell, visible = self._coverage.next(pose, others, sight, now)
        if visible:
            way = math.atan2(cell[1] - pose.y_m, cell[0] - pose.x_m)
            self._go = lambda at, _now: self._pilot.turn_to(at, way)
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

    def _head_for(
        self,
        goal: Array,
        *,
        slow_m: float = 0.0,
        shown: Array | None = None,
        shunned: Array = NOTHING,
    ) -> None:
        def drive(pose: Pose, now: float) -> Turn:
            others = self._company.motions(now)
            return self._pilot.drive(pose, goal, others, now, slow_m=slow_m, shunned=shunned)

        self._go = drive
        self._aim(goal if shown is None else shown)

    def _aim(self, goal: Array | None) -> None:
        point = None if goal is None else (float(goal[0]), float(goal[1]))
        self._state = msgspec.structs.replace(self._state, goal=point)

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
