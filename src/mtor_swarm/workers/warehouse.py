"""A warehouse: orders to bring goods from a shelf to a dock, shared out by bids, without a leader.

Every unit knows the list of orders from the mission's file; whoever comes first by name announces
what nobody has announced. Who does which is agreed on by `swarm.tasks.allocator`.
"""

from __future__ import annotations

import math
import random

import msgspec
import numpy as np

from mtor_swarm.config import MissionConfig
from mtor_swarm.events import MemberChanged, Pose
from mtor_swarm.swarm.behaviours.geometry import length
from mtor_swarm.swarm.tasks import allocator_io as io
from mtor_swarm.swarm.tasks.allocator import Allocator
from mtor_swarm.swarm.tasks.route import Mover
from mtor_swarm.swarm.tasks.task import Task
from mtor_swarm.workers import mission_io as m
from mtor_swarm.workers.part import HOME_M, Part

ANNOUNCE_S, TURN_S = 3.0, 2.0
"""The first unit by name announces the orders after so long, the next ones each later."""
CATCH_UP_S = 4.0
"""A unit that starts takes no order for so long: first it shall hear which are delivered."""
ARRIVE_M = 0.45
"""Near enough to a shelf or dock: another unit may just be leaving it."""
HANDLE_S = 1.0
"""What it takes to pick something up, or put it down."""
PACE = 0.8
"""Of its speed a unit makes good, with turns and detours: what it expects when it bids."""


class Job(msgspec.Struct):
    """An order under way: the places still to come to, and since when the unit is at the first."""

    task: Task
    places: list[tuple[float, float]]
    since_s: float = math.inf


def orders(config: MissionConfig) -> list[Task]:
    """The mission's orders: shelves and docks take turns, so that not all meet at one dock."""
    picks, drops = config.picks, config.drops
    return [
        Task(
            id=f"order{number + 1}",
            kind="deliver",
            places=[picks[number % len(picks)], drops[number % len(drops)]],
            dwell_s=2 * HANDLE_S,
        )
        for number in range(config.orders)
    ]


class Warehouse(Part):
    """One unit's part in a warehouse."""

    def __init__(self, config: MissionConfig, unit: str, rng: random.Random) -> None:
        super().__init__(config, unit, rng, "idle")
        self._allocator = Allocator(unit)
        self._wake_s = math.inf
        self._began_s: float | None = None
        self._announced = False
        self._job: Job | None = None
        self._handlers[m.Fact] = self._on_fact

    def _begin(self) -> None:
        """Orders are not begun anew: what is delivered is delivered."""

    def _leave(self) -> None:
        """Its tasks it leaves by saying that it takes none."""

    def _on_fact(self, fact: m.Fact, now: float) -> list[m.Effect]:
        return self._agree(io.Heard(fact.key, fact.raw), now)

    def _on_member(self, member: MemberChanged, now: float) -> list[m.Effect]:
        super()._on_member(member, now)
        if member.state == "suspect":
            return []
        return self._agree(io.Judged(member.unit, alive=member.state == "alive"), now)

    def _agree(self, given: io.Input, now: float) -> list[m.Effect]:
        effects: list[m.Effect] = []
        for each in self._allocator.handle(given, now):
            if isinstance(each, io.Write):
                effects.append(m.Fact(each.key, each.raw))
            elif isinstance(each, io.Wake):
                self._wake_s = each.at_s
            elif isinstance(each, io.Begin):
                self._job = Job(each.task, list(each.task.places))
            elif isinstance(each, io.Stop):
                self._job = None
            elif isinstance(each, io.Say):
                effects.append(m.Say(each.data))
        return effects

    def _plan(self, pose: Pose, now: float) -> list[m.Effect]:
        self._began_s = now if self._began_s is None else self._began_s
        able = self._order == "search" and not self._latched
        able &= now - self._began_s >= CATCH_UP_S
        speed = PACE * self._config.speed_mps
        mover = Mover(x_m=pose.x_m, y_m=pose.y_m, speed_mps=speed)
        effects = self._agree(io.Own(mover, able=able), now)
        effects += self._announce(now - self._began_s, now)
        if now >= self._wake_s:
            self._wake_s = math.inf
            effects += self._agree(io.Woke(), now)
        if able:
            effects += self._handle(pose, now)
        return effects + super()._plan(pose, now)

    def _announce(self, since_s: float, now: float) -> list[m.Effect]:
        """Announce those orders that nobody has, once, and not all units at a time."""
        before = sum(each.unit < self._unit for each in self._company.active(now))
        if self._announced or since_s < ANNOUNCE_S + TURN_S * before:
            return []
        self._announced = True
        known = self._allocator.board.tasks
        lacking = tuple(each for each in orders(self._config) if each.id not in known)
        return self._agree(io.Announce(lacking), now) if lacking else []

    def _handle(self, pose: Pose, now: float) -> list[m.Effect]:
        """Pick up or put down, where the unit is to; say so when the order is done."""
        job = self._job
        if job is None:
            return []
        away = math.dist((pose.x_m, pose.y_m), job.places[0])
        job.since_s = min(job.since_s, now) if away <= ARRIVE_M else math.inf
        if now - job.since_s < HANDLE_S:
            return []
        job.places.pop(0)
        job.since_s = math.inf
        if job.places:
            return self._agree(io.Progressed(job.task.id, 0.5), now)
        self._job = None
        return self._agree(io.Ended(job.task.id, ok=True), now)

    def _do(self, pose: Pose, now: float) -> str:
        if self._job is None:
            return self._rest(pose)
        place = np.array(self._job.places[0])
        if self._job.since_s <= now:
            self._go = lambda _pose, _now: self._pilot.stay()
            self._aim(place)
        else:
            self._head_for(place)
        return "delivering" if len(self._job.places) == 1 else "picking"

    def _rest(self, pose: Pose) -> str:
        """Without an order a unit waits where it came from, out of the others' way."""
        assert self._home is not None
        home = np.array([self._home.x_m, self._home.y_m])
        if float(length(home - np.array([pose.x_m, pose.y_m]))) > HOME_M:
            self._head_for(home)
        else:
            self._go = lambda _pose, _now: self._pilot.stay()
            self._aim(None)
        return "idle"
