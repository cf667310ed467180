"""A unit's part in a mission, whatever that is about: orders, the stop latch, others, wheels.

Pure. A mission's machine inherits it and says what is to be done (`_do`), five times a second; the
wheels follow every pose. Positions are in frame `map`, metres and radians; times are seconds of
whatever clock the caller has.
"""

from __future__ import annotations

import abc
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
    UnitChanged,
    UnitState,
)
from mtor_swarm.swarm.behaviours.geometry import Array, length, wrap
from mtor_swarm.swarm.tasks.company import Company
from mtor_swarm.workers.choice import Choice
from mtor_swarm.workers.mission_io import Drive, Effect, Given, Latched, Odom, Say, Scan, Show
from mtor_swarm.workers.pilot import NOTHING, STILL, Pilot, Turn

PLAN_S = 0.2
"""Goals are thought over this often; the wheels follow every pose."""
SHOW_S, SHOW_STILL_S = 0.1, 1.0
"""Least time between two states told, and the most while nothing changes."""
HOME_M = 0.3


class Part(abc.ABC):
    """What every mission's machine does. `handle` takes in what its `_handlers` know."""

    def __init__(self, config: MissionConfig, unit: str, rng: random.Random, doing: str) -> None:
        self._config = config
        self._unit = unit
        self._company = Company(unit)
        self._pilot = Pilot(speed_mps=config.speed_mps, clearance_m=config.clearance_m, rng=rng)
        self._odom: Odom | None = None
        self._home: Pose | None = None
        self._order = "search"
        self._ordered_by = ""
        self._latched = False
        self._state = UnitState(unit=unit, doing=doing)
        self._go: Callable[[Pose, float], Turn] = lambda _pose, _now: STILL
        self._choice = Choice(
            reflex=self._obey_reflex, order=self._obey_order, mission=self._pursue
        )
        self._planned_s = self._shown_s = -math.inf
        self._shown: UnitState | None = None
        self._handlers: dict[type, Callable[[Any, float], list[Effect]]] = {
            Odom: self._on_odom,
            Scan: self._on_scan,
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
        """Take in one fact; the effects are in the order in which they are to be carried out.

        What the mission is not about is let pass.
        """
        handler = self._handlers.get(type(given))
        return handler(given, now) if handler else []

    @abc.abstractmethod
    def _do(self, pose: Pose, now: float) -> str:
        """Choose where to go (`_go`, `_aim`), being neither held nor sent home; its name."""

    @abc.abstractmethod
    def _begin(self) -> None:
        """Begin the mission anew."""

    @abc.abstractmethod
    def _leave(self) -> None:
        """The unit stands now: let go of what it had in mind."""

    # What is taken in

    def _on_scan(self, scan: Scan, now: float) -> list[Effect]:
        if self._odom:
            self._pilot.scan(self._odom.pose, scan.ranges, scan.first_rad, scan.step_rad)
        return []

    def _on_neighbour(self, state: UnitState, now: float) -> list[Effect]:
        self._company.hear(state, now)
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
            self._begin()
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
        effects: list[Effect] = []
        doing = self._choice.take(pose, now, effects)
        if doing != self._state.doing:
            effects.append(Say(UnitChanged(doing=doing, was=self._state.doing)))
        self._state = msgspec.structs.replace(self._state, doing=doing, latched=self._latched)
        return effects

    def _obey_reflex(self, pose: Pose, now: float, effects: list[Effect]) -> str | None:
        return self._stand() if self._latched else None

    def _obey_order(self, pose: Pose, now: float, effects: list[Effect]) -> str | None:
        if self._order == "rest":
            return self._stand()
        if self._order == "return":
            return self._return(np.array([pose.x_m, pose.y_m]), effects)
        return None

    def _pursue(self, pose: Pose, now: float, effects: list[Effect]) -> str:
        return self._do(pose, now)

    def _stand(self) -> str:
        self._leave()
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

    def _face(self, direction_rad: float) -> None:
        self._go = lambda at, _now: self._pilot.turn_to(at, direction_rad)

    def _aim(self, goal: Array | None) -> None:
        point = None if goal is None else (float(goal[0]), float(goal[1]))
        self._state = msgspec.structs.replace(self._state, goal=point)
