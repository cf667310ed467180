"""Which machine a mission's kind asks for, and where mission files lie. Pure but for the paths."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from mtor_swarm import paths
from mtor_swarm.config import MissionConfig
from mtor_swarm.errors import ConfigError
from mtor_swarm.events import UnitState
from mtor_swarm.workers.convoy import Convoy
from mtor_swarm.workers.mission import Mission
from mtor_swarm.workers.mission_io import Effect, Given
from mtor_swarm.workers.perimeter import Perimeter
from mtor_swarm.workers.warehouse import Warehouse


class Machine(Protocol):
    """One unit's part in a mission."""

    @property
    def state(self) -> UnitState:
        """What this unit tells of itself."""

    def handle(self, given: Given, now: float) -> list[Effect]:
        """Take in one fact; the effects are in the order in which they are to be carried out."""


_KINDS: dict[str, Callable[[MissionConfig, str, random.Random], Machine]] = {
    "search": Mission,
    "coverage": Mission,
    "perimeter": Perimeter,
    "convoy": Convoy,
    "warehouse": Warehouse,
}


def make(config: MissionConfig, unit: str, rng: random.Random) -> Machine:
    """The machine of one unit in this mission."""
    return _KINDS[config.kind](config, unit, rng)


def mission_path(name: str) -> Path:
    """The file of a mission: one of those shipped by its name, or a path to one of your own."""
    path, known = paths.named("missions", name)
    if path is None:
        raise ConfigError(f"mission `{name}` is not one shipped here ({known}), nor a path to one")
    return path
