"""Allocators over real gossip machines in virtual time: how long they take under loss.

The facts are items of the shared state `map:tasks`; who is alive is what gossip says.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable

from benchmarks.allocating import rounds
from mtor_swarm.swarm.gossip import effects as fx
from mtor_swarm.swarm.gossip import wire
from mtor_swarm.swarm.simnet.world import WALL_S, Member, World
from mtor_swarm.swarm.tasks import allocator_io as io
from mtor_swarm.swarm.tasks.allocator import Allocator

STATE = "map:tasks"
STEP_S = 0.005
LONGEST_S = 30.0


class Wired:
    """A world's watch: what gossip tells goes to the member's allocator, and back."""

    def __init__(self, seed: int, units: int, tasks: int, loss: float, bundle: int) -> None:
        self.case = rounds.case(units, tasks, random.Random(seed))
        self.world = World(seed, self)
        self._allocators: dict[str, Allocator] = {}
        self._wakes: dict[str, float] = {}
        self._told: list[tuple[Member, io.Input]] = []
        self.declared_s: dict[str, float] = {}
        for i in range(units):
            name = f"r{i:02d}"
            self._allocators[name] = Allocator(name, bundle=bundle)
            self.world.add(name, ["r00"] if i else [])
            self.world.run(self.world.now + 0.05)
        self.world.network.loss = loss
        for name, mover in zip(self._allocators, self.case.units, strict=True):
            self._give(self.world.members[name], io.Own(mover))
        self.pass_time(20.0)

    # --- the watch

    def told(self, member: Member, effect: fx.Effect) -> None:
        """Keep what the member's gossip says until its step is over."""
        if isinstance(effect, fx.SharedMerged) and effect.state == STATE:
            replica = member.machine.shared.replica
            entry = replica.states[STATE].slots[STATE, effect.item, ""].entry
            raw = None if entry.gone else entry.value
            self._told.append((member, io.Heard(effect.item, raw)))
        elif isinstance(effect, fx.MemberSeen):
            alive = effect.member.state in ("alive", "suspect")
            self._told.append((member, io.Judged(effect.member.unit, alive)))
            if not alive:
                self.declared_s.setdefault(effect.member.unit, self.world.now)

    def carried(self, member: Member, frame: wire.Frame, size: int) -> None:
        """Nothing to note."""

    def heard(self, member: Member, sender: Member, frame: wire.Frame) -> None:
        """Nothing to note."""

    def stepped(self, member: Member) -> None:
        """Nothing to note."""

    def failed(self, member: Member, item: fx.Input, error: Exception) -> None:
        """A defect: let it be seen."""
        raise error

    # --- time

    def pass_time(self, for_s: float, until: Callable[[], bool] = lambda: False) -> float:
        """Let time pass until it holds; how long that was."""
        start = self.world.now
        while self.world.now < start + for_s and not until():
            self.world.run(self.world.now + STEP_S)
            for member in self.world.up():
                if self._wakes.get(member.name, math.inf) <= WALL_S + self.world.now:
                    self._wakes[member.name] = math.inf
                    self._give(member, io.Woke())
            while self._told:
                self._give(*self._told.pop(0))
        return self.world.now - start

    def _give(self, member: Member, given: io.Input) -> None:
        for effect in self._allocators[member.name].handle(given, WALL_S + self.world.now):
            if isinstance(effect, io.Write):
                gone = effect.raw is None
                written = fx.SharedWritten(STATE, effect.key, effect.raw or b"", gone)
                self.world.give(member, written)
            elif isinstance(effect, io.Wake):
                self._wakes[member.name] = effect.at_s

    # --- what is asked

    def announce(self) -> None:
        """The first unit announces all tasks at once."""
        self._give(self.world.members["r00"], io.Announce(tuple(self.case.tasks)))

    def is_shared_out(self) -> bool:
        """Whether each task is held by one live unit, by the units' own word."""
        held = [t for each in self.world.up() for t in self._allocators[each.name].way]
        return len(held) == len(set(held)) == len(self.case.tasks)

    def score(self) -> float:
        """What the ways are worth together."""
        number = {each.id: k for k, each in enumerate(self.case.tasks)}
        return rounds.score(
            self.case, [[number[t] for t in each.way] for each in self._allocators.values()]
        )


def agreement(seed: int, units: int, tasks: int, loss: float, bundle: int) -> tuple[float, float]:
    """Time from the announcement until no task has two owners and none has none, for good; score.

    Each time that it holds and then does not, the time runs on.
    """
    wired = Wired(seed, units, tasks, loss, bundle)
    wired.announce()
    start, end = wired.world.now, math.inf
    while wired.world.now < start + 5.0:
        wired.pass_time(STEP_S)
        end = min(end, wired.world.now) if wired.is_shared_out() else math.inf
    return end - start, wired.score()


def inheritance(seed: int, units: int, tasks: int, loss: float, bundle: int) -> float:
    """Time from when somebody knows that a unit is dead until others own all its tasks."""
    wired = Wired(seed, units, tasks, loss, bundle)
    wired.announce()
    wired.pass_time(5.0)
    victim = wired.world.members[f"r{1 + seed % (units - 1):02d}"]
    wired.world.kill([victim])
    wired.pass_time(LONGEST_S, lambda: victim.name in wired.declared_s)
    return wired.pass_time(LONGEST_S, wired.is_shared_out)
