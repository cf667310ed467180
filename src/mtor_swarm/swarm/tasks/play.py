"""Many allocators in virtual time over a graph of who hears whom: for tests and benchmarks.

Units drive in a straight line to their tasks' places and dwell there. Who is dead or out of reach
is known to the others after `notice_s`, as gossip would tell them. Same seed, same run.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Collection, Iterable

import msgspec

from mtor_swarm.swarm.tasks import allocator_io as io
from mtor_swarm.swarm.tasks.allocator import Allocator
from mtor_swarm.swarm.tasks.flood import Flood, Frame
from mtor_swarm.swarm.tasks.route import Mover
from mtor_swarm.swarm.tasks.task import MAX_BUNDLE, Task

Graph = Callable[[str], Iterable[str]]
"""Whom a unit hears."""


class Job(msgspec.Struct):
    """What a unit is doing: the places still to be reached, and the time still to be spent."""

    task: Task
    places: list[tuple[float, float]]
    dwell_s: float


class Player:
    """One unit: its allocator, its copy of the facts, where it is and what it does."""

    def __init__(self, name: str, own: io.Own, bundle: int) -> None:
        self.name = name
        self.own = own
        self.allocator = Allocator(name, bundle=bundle)
        self.flood = Flood(name)
        self.wake_s = math.inf
        self.job: Job | None = None
        self.done: list[str] = []


class Play:
    """The swarm. `said` has all events, as (time, unit, data); `refused` what was refused why."""

    def __init__(
        self,
        owns: dict[str, io.Own],
        graph: Graph,
        *,
        rng: random.Random,
        loss: float = 0.0,
        step_s: float = 0.05,
        notice_s: float = 1.0,
        bundle: int = MAX_BUNDLE,
    ) -> None:
        self.now = 1000.0
        self.step_s, self.notice_s, self.loss, self.bundle = step_s, notice_s, loss, bundle
        self._graph, self._rng = graph, rng
        self._sides: tuple[frozenset[str], ...] = (frozenset(owns),)
        self._verdicts: list[tuple[float, str, str, bool]] = []
        self._flying: list[tuple[str, str, Frame]] = []
        self.players: dict[str, Player] = {}
        self.said: list[tuple[float, str, msgspec.Struct]] = []
        self.refused: list[io.Refused] = []
        self.frames = 0
        for name, own in owns.items():
            self.players[name] = Player(name, own, bundle)
        for name, own in owns.items():
            self.give(name, own)
            for other in owns:
                self.give(name, io.Judged(other, alive=True))

    # --- what happens to it

    def give(self, name: str, given: io.Input) -> None:
        """Hand a unit an input and do what it wants done."""
        player = self.players[name]
        for effect in player.allocator.handle(given, self.now):
            match effect:
                case io.Write(key, raw):
                    player.flood.write(key, raw)
                case io.Wake(at_s):
                    player.wake_s = at_s
                case io.Begin(task, _):
                    player.job = Job(task, list(task.places), task.dwell_s)
                case io.Stop():
                    player.job = None
                case io.Refused():
                    self.refused.append(effect)
                case _:
                    self.said.append((self.now, name, effect.data))

    def announce(self, name: str, *tasks: Task) -> None:
        """Somebody at that unit announces tasks."""
        self.give(name, io.Announce(tasks))

    def kill(self, name: str) -> None:
        """The unit is dead; the others know after `notice_s`."""
        del self.players[name]
        self._verdicts += [(self.now + self.notice_s, n, name, False) for n in self.players]

    def revive(self, name: str, own: io.Own) -> None:
        """The unit comes back and knows nothing."""
        self.players[name] = Player(name, own, self.bundle)
        self.give(name, own)
        for other in self.players:
            self.give(name, io.Judged(other, alive=True))
            self._verdicts.append((self.now + self.step_s, other, name, True))

    def part(self, *sides: Collection[str]) -> None:
        """From now on only units of one side hear each other."""
        old, self._sides = self._sides, tuple(frozenset(each) for each in sides)
        for one in self.players:
            for other in self.players:
                was, now = self._together(one, other, old), self._together(one, other, self._sides)
                if was != now:
                    delay_s = self.step_s if now else self.notice_s
                    self._verdicts.append((self.now + delay_s, one, other, now))

    # --- time

    def run(self, for_s: float, until: Callable[[], bool] = lambda: False) -> bool:
        """Let time pass, until the condition holds; whether it does."""
        end = self.now + for_s
        while self.now < end and not until():
            self.step()
        return until()

    def step(self) -> None:
        """One step: verdicts, frames of the step before, thinking, driving, frames."""
        self.now += self.step_s
        due = [each for each in self._verdicts if each[0] <= self.now]
        self._verdicts = [each for each in self._verdicts if each[0] > self.now]
        for _, to, about, alive in due:
            if to in self.players:
                self.give(to, io.Judged(about, alive))
        flying, self._flying = self._flying, []
        for sender, to, frame in flying:
            if to in self.players and self._rng.random() >= self.loss:
                for item in self.players[to].flood.heard(sender, frame):
                    self.give(to, io.Heard(item.key, item.raw))
        for name, player in self.players.items():
            if player.wake_s <= self.now:
                player.wake_s = math.inf
                self.give(name, io.Woke())
            self._work(player)
        self._send()

    def _send(self) -> None:
        for name, player in self.players.items():
            near = {
                each
                for each in self._graph(name)
                if each in self.players and self._together(name, each, self._sides)
            }
            player.flood.neighbours(near)
            for each in sorted(near):
                frame = player.flood.frame(each)
                if frame:
                    self.frames += 1
                    self._flying.append((name, each, frame))

    def _work(self, player: Player) -> None:
        job, mover = player.job, player.own.mover
        if job is None:
            return
        left_m = mover.speed_mps * self.step_s
        x_m, y_m = mover.x_m, mover.y_m
        while job.places and left_m > 0:
            to_x, to_y = job.places[0]
            away_m = math.hypot(to_x - x_m, to_y - y_m)
            share = min(1.0, left_m / away_m) if away_m else 1.0
            x_m, y_m = x_m + share * (to_x - x_m), y_m + share * (to_y - y_m)
            left_m -= away_m
            if share == 1.0:
                job.places.pop(0)
        moved = Mover(
            x_m=x_m, y_m=y_m, speed_mps=mover.speed_mps, range_m=mover.range_m, load_s=mover.load_s
        )
        player.own = msgspec.structs.replace(player.own, mover=moved)
        self.give(player.name, player.own)
        if not job.places and player.job is job:
            job.dwell_s -= self.step_s
            if job.dwell_s <= 0:
                player.job = None
                player.done.append(job.task.id)
                self.give(player.name, io.Ended(job.task.id, ok=True))

    @staticmethod
    def _together(one: str, other: str, sides: tuple[frozenset[str], ...]) -> bool:
        return any(one in side and other in side for side in sides)

    # --- what is asked of it

    def owners(self) -> dict[str, set[str]]:
        """Which live units hold each task that is not over, by their own word."""
        found: dict[str, set[str]] = {}
        for name, player in self.players.items():
            for task in player.allocator.way:
                found.setdefault(task, set()).add(name)
        return found

    def is_quiet(self) -> bool:
        """Whether nothing is under way and nobody is about to think."""
        return not self._flying and all(
            each.wake_s > self.now + self.step_s for each in self.players.values()
        )
