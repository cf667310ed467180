"""Allocators that tell their neighbours in rounds, as the paper counts them; nobody moves."""

from __future__ import annotations

import math
import random
from collections import deque

import msgspec

from mtor_swarm.swarm.tasks import allocator_io as io
from mtor_swarm.swarm.tasks import route
from mtor_swarm.swarm.tasks import task as t
from mtor_swarm.swarm.tasks.allocator import Allocator
from mtor_swarm.swarm.tasks.flood import Flood
from mtor_swarm.swarm.tasks.route import Mover
from mtor_swarm.swarm.tasks.task import Task

NOW = 1000.0
SIDE_M = 600.0


class Case(msgspec.Struct):
    """Units, tasks, and for each unit whom it hears."""

    units: list[Mover]
    tasks: list[Task]
    near: list[set[int]]


class Result(msgspec.Struct):
    """What came of it: each unit's way, all the units' score, rounds, tasks held by several."""

    ways: list[list[int]]
    score: float
    rounds: int
    conflicts: int


def case(units: int, tasks: int, rng: random.Random) -> Case:
    """Units and tasks at random, and a radio range at random that connects them all."""
    movers = [
        Mover(x_m=rng.uniform(0, SIDE_M), y_m=rng.uniform(0, SIDE_M), speed_mps=1.0)
        for _ in range(units)
    ]
    work = [
        Task(
            id=f"t{i:02d}",
            places=[(rng.uniform(0, SIDE_M), rng.uniform(0, SIDE_M))],
            reward=rng.uniform(0.5, 1.5),
        )
        for i in range(tasks)
    ]
    range_m = rng.uniform(0.15, 0.6) * SIDE_M
    while diameter(near := hearing(movers, range_m)) < 0:
        range_m *= 1.1
    return Case(movers, work, near)


def hearing(movers: list[Mover], range_m: float) -> list[set[int]]:
    """For each unit those within that range."""
    return [
        {
            j
            for j, b in enumerate(movers)
            if j != i and math.dist((a.x_m, a.y_m), (b.x_m, b.y_m)) <= range_m
        }
        for i, a in enumerate(movers)
    ]


def diameter(near: list[set[int]]) -> int:
    """The most hops between two units; -1: some cannot reach each other."""
    most = 0
    for start in range(len(near)):
        hops = {start: 0}
        queue = deque([start])
        while queue:
            one = queue.popleft()
            for other in near[one] - hops.keys():
                hops[other] = hops[one] + 1
                queue.append(other)
        if len(hops) < len(near):
            return -1
        most = max(most, *hops.values())
    return most


class _Unit:
    def __init__(self, name: str, bundle: int) -> None:
        self.allocator = Allocator(name, bundle=bundle)
        self.flood = Flood(name)

    def give(self, given: io.Input) -> bool:
        """Whether the unit's own word changed."""
        changed = False
        for effect in self.allocator.handle(given, NOW):
            if isinstance(effect, io.Write):
                self.flood.write(effect.key, effect.raw)
                changed = True
        return changed


def settle(this: Case, bundle: int, rng: random.Random, loss: float = 0.0) -> Result:
    """Rounds until nobody changes a bid: each hears its neighbours, thinks, and tells them.

    All know the tasks from the start. Time stands still, so that nobody begins.
    """
    names = [f"r{i:02d}" for i in range(len(this.units))]
    units = [_Unit(name, bundle) for name in names]
    facts = [(t.task_key(each.id), t.encode(each)) for each in this.tasks]
    for i, unit in enumerate(units):
        unit.flood.neighbours({names[j] for j in this.near[i]})
        for each in names:
            unit.give(io.Judged(each, alive=True))
        for key, raw in facts:
            unit.give(io.Heard(key, raw))
        unit.give(io.Own(this.units[i]))
        unit.give(io.Woke())
    count = last = 0
    busy = True
    while busy:  # what is lost is said again, so that in the end nobody owes anybody a word
        count += 1
        frames = [
            (i, j, units[i].flood.frame(names[j]))
            for i in range(len(units))
            for j in sorted(this.near[i])
        ]
        for i, j, frame in frames:
            if frame is not None and rng.random() >= loss:
                for item in units[j].flood.heard(names[i], frame):
                    units[j].give(io.Heard(item.key, item.raw))
        changed = [unit.give(io.Woke()) for unit in units]
        last = count if any(changed) else last
        busy = any(changed) or any(frame and frame.items for _, _, frame in frames)
    number = {each.id: k for k, each in enumerate(this.tasks)}
    ways = [[number[each] for each in unit.allocator.way] for unit in units]
    held = [each for way in ways for each in way]
    return Result(ways, score(this, ways), last, len(held) - len(set(held)))


def score(this: Case, ways: list[list[int]]) -> float:
    """What the ways are worth together, from the definition: each task counts once."""
    total = 0.0
    counted: set[int] = set()
    for mover, way in zip(this.units, ways, strict=True):
        at, now = (mover.x_m, mover.y_m), 0.0
        for each in way:
            now += math.dist(at, this.tasks[each].places[0]) / mover.speed_mps
            at = this.tasks[each].places[0]
            if each not in counted:
                total += this.tasks[each].reward * math.exp(-now / route.FADE_S)
            counted.add(each)
    return total
