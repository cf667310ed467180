"""Pure: whether a mission of any kind is done, from the ground truth that no unit can read."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

import numpy as np

from mtor_swarm.config import MissionConfig
from mtor_swarm.errors import WorldError
from mtor_swarm.events import Event, payload
from mtor_swarm.sim.judge import Judge, Rules, Truth
from mtor_swarm.sim.kinematic import HULL_M, Kinematic
from mtor_swarm.swarm.behaviours.geometry import heading
from mtor_swarm.swarm.behaviours.search import cells, in_view
from mtor_swarm.task_events import TaskDone
from mtor_swarm.workers.warehouse import orders

LOOK_EVERY_S = 0.4
"""As often as a camera's frames are looked at."""
PASSED_M = 1.0
"""Who comes this near a place of a convoy's route has passed it."""
STILL_S = 3.0
BEFORE_M, SLOW_MPS = 0.8, 0.1
"""Who is this near a shelf or a dock, and this slow, can pick up and put down."""


class Verdict(Protocol):
    """Watches a run."""

    def watch(self, time_s: float, truth: Mapping[str, Truth], said: Sequence[Event] = ()) -> str:
        """Why the mission is done, once it is; empty before. To be called often.

        `truth` is of the units that live, `said` what they told since the last call.
        """


class Surrounded:
    """The target is surrounded by as many units as the mission asks for, wherever it walks."""

    def __init__(self, config: MissionConfig, engine: Kinematic) -> None:
        thing = engine.things.get(config.target)
        if thing is None:
            raise WorldError(f"mission {config.name}: there is no {config.target} in this world")
        self._thing = thing
        self._judge = Judge((thing.x_m, thing.y_m), Rules(units=config.surround))

    def watch(self, time_s: float, truth: Mapping[str, Truth], said: Sequence[Event] = ()) -> str:
        """As every verdict's."""
        self._judge.target = (self._thing.x_m, self._thing.y_m)
        units = self._judge.watch(time_s, truth)
        return f"{', '.join(units)} stand around the target" if units else ""


class Covered:
    """So much of the area was in some unit's view, with nothing in between."""

    def __init__(self, config: MissionConfig, engine: Kinematic) -> None:
        self._config, self._engine = config, engine
        centres = cells(config.area, config.cell_m)
        self._centres = centres[engine.clearance(centres) > HULL_M]
        self.seen = np.zeros(len(self._centres), dtype=bool)
        self._looked_s = -math.inf

    def watch(self, time_s: float, truth: Mapping[str, Truth], said: Sequence[Event] = ()) -> str:
        """As every verdict's."""
        if time_s - self._looked_s >= LOOK_EVERY_S:
            self._looked_s = time_s
            self._look(truth)
        share = float(self.seen.mean())
        return f"{share:.1%} of the area was looked at" if share >= self._config.share else ""

    def _look(self, truth: Mapping[str, Truth]) -> None:
        units = self._engine.units
        which = np.array([units.index(each) for each in truth], dtype=np.int64)
        place = self._engine.position[which]
        sight = self._engine.cast(which, heading(self._centres - place[:, None]))
        self.seen |= in_view(
            self._centres,
            place,
            self._engine.heading[which],
            view_m=self._config.view_m,
            view_rad=self._config.view_rad,
            sight_m=sight,
        ).any(axis=0)


class Arrived:
    """Each unit has passed every place of the route, in order, and stands near its end."""

    def __init__(self, config: MissionConfig, engine: Kinematic) -> None:
        self._route = config.route
        self._near_m = PASSED_M + config.gap_m * len(engine.units)
        self._passed = dict.fromkeys(engine.units, 0)
        self._since: float | None = None

    def watch(self, time_s: float, truth: Mapping[str, Truth], said: Sequence[Event] = ()) -> str:
        """As every verdict's."""
        still = True
        for unit, each in truth.items():
            here, passed = (each.x_m, each.y_m), self._passed[unit]
            if passed < len(self._route) and self._is_at(here, passed):
                self._passed[unit] += 1
            still &= passed == len(self._route) and abs(each.speed_mps) < Rules().still_mps
        if not still or not truth:
            self._since = None
            return ""
        self._since = time_s if self._since is None else self._since
        done = time_s - self._since >= STILL_S
        return f"{', '.join(sorted(truth))} have passed the whole route" if done else ""

    def _is_at(self, here: tuple[float, float], number: int) -> bool:
        """The last place is shared by all, one behind the other."""
        last = number == len(self._route) - 1
        return math.dist(here, self._route[number]) <= (self._near_m if last else PASSED_M)


class Delivered:
    """Every order is done: by a unit that truly stood before its shelf, and then before its dock.

    No word is believed that the truth does not bear out.
    """

    def __init__(self, config: MissionConfig, units: Iterable[str]) -> None:
        self._left = {each.id: each.places for each in orders(config)}
        self._count = len(self._left)
        self._stood: dict[str, set[tuple[float, float]]] = {each: set() for each in units}
        self._picks = set(config.picks)
        self.false = 0
        """How often a unit said that it had done an order, and had not."""

    def watch(self, time_s: float, truth: Mapping[str, Truth], said: Sequence[Event] = ()) -> str:
        """As every verdict's."""
        for unit, each in truth.items():
            if abs(each.speed_mps) < SLOW_MPS:
                self._stood[unit] |= {p for p in self._picks if _near(each, p)}
        for event in said:
            if event.type == "mtor.task.done" and event.unit in truth:
                self._done(event.unit, truth[event.unit], payload(event, TaskDone))
        return "" if self._left else f"{self._count} orders are delivered"

    def _done(self, unit: str, where: Truth, done: TaskDone) -> None:
        places = self._left.get(done.task)
        if places is None or not done.ok:
            return
        pick, drop = places
        if pick in self._stood[unit] and _near(where, drop):
            del self._left[done.task]
            self._stood[unit].clear()
        else:
            self.false += 1


def _near(where: Truth, place: tuple[float, float]) -> bool:
    return math.dist((where.x_m, where.y_m), place) <= BEFORE_M


_KINDS: dict[str, Callable[[MissionConfig, Kinematic], Verdict]] = {
    "search": Surrounded,
    "perimeter": Surrounded,
    "coverage": Covered,
    "convoy": Arrived,
    "warehouse": lambda config, engine: Delivered(config, engine.units),
}


def of(config: MissionConfig, engine: Kinematic) -> Verdict:
    """The judge of a mission; WorldError if the world lacks what it is about."""
    return _KINDS[config.kind](config, engine)


class Shadow:
    """A verdict on units of another engine, whose truth a flat map follows."""

    def __init__(self, config: MissionConfig, flat: Kinematic) -> None:
        """WorldError if the world lacks what the mission is about."""
        self._flat, self._verdict = flat, of(config, flat)

    def watch(self, time_s: float, truth: Mapping[str, Truth]) -> str:
        """As every verdict's."""
        for unit, each in truth.items():
            self._flat.put(unit, each.x_m, each.y_m, each.yaw_rad)
        return self._verdict.watch(time_s, truth)
