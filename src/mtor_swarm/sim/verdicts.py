"""Pure: whether a mission of any kind is done, from the ground truth that no unit can read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from mtor_swarm.config import MissionConfig
from mtor_swarm.errors import WorldError
from mtor_swarm.sim.judge import Judge, Rules, Truth
from mtor_swarm.sim.kinematic import Kinematic


class Verdict(Protocol):
    """Watches a run."""

    def watch(self, time_s: float, truth: Mapping[str, Truth]) -> str:
        """Why the mission is done, once it is; empty before. To be called often.

        `truth` is of the units that live.
        """


class Surrounded:
    """The target is surrounded by as many units as the mission asks for."""

    def __init__(self, config: MissionConfig, engine: Kinematic) -> None:
        thing = engine.things.get(config.target)
        if thing is None:
            raise WorldError(f"mission {config.name}: there is no {config.target} in this world")
        self._thing = thing
        self._judge = Judge((thing.x_m, thing.y_m), Rules(units=config.surround))

    def watch(self, time_s: float, truth: Mapping[str, Truth]) -> str:
        """As every verdict's."""
        units = self._judge.watch(time_s, truth)
        return f"{', '.join(units)} stand around the target" if units else ""


def of(config: MissionConfig, engine: Kinematic) -> Verdict:
    """The judge of a mission; WorldError if the world lacks what it is about."""
    return Surrounded(config, engine)
