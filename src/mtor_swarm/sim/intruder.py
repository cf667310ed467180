"""Who walks into a watched area: a thing that comes from the edge, and stands at its goal."""

from __future__ import annotations

import math
import random

import numpy as np

from mtor_swarm.config import MissionConfig
from mtor_swarm.errors import WorldError
from mtor_swarm.sim.kinematic import HULL_M, Kinematic
from mtor_swarm.sim.sight import Thing
from mtor_swarm.swarm.behaviours.geometry import Array, length

SPEED_MPS = 0.25
ROOM_M = 0.5
"""It keeps this far from walls and boxes on its way..."""
SHY_M = 0.5
"""...and waits while a unit's hull is this near ahead of it."""
AWAY_M = 4.0
"""So far from every unit it comes in."""
COMES_S = (4.0, 12.0)
TRIES = 400
NOWHERE = 1e6


class Intruder:
    """Moves one thing of an engine. Its goal is where the thing stands at first."""

    def __init__(self, engine: Kinematic, thing: Thing, config: MissionConfig, seed: int) -> None:
        """WorldError if nobody can walk in."""
        dice = random.Random(f"{seed} intruder")
        self._engine, self._thing = engine, thing
        self._goal = np.array([thing.x_m, thing.y_m])
        self._here = self._entry(config, dice)
        self._comes_s = dice.uniform(*COMES_S)
        thing.x_m = thing.y_m = NOWHERE

    def step(self, step_s: float) -> None:
        """Walk on, if it has come."""
        if self._engine.time_s < self._comes_s:
            return
        way = self._goal - self._here
        left = float(length(way))
        if left > 1e-9:
            ahead = self._here + way * min(1.0, SPEED_MPS * step_s / left)
            if self._is_free(ahead):
                self._here = ahead
        if self._thing.x_m == NOWHERE and not self._is_free(self._here):
            return
        self._thing.x_m, self._thing.y_m = self._here.tolist()

    def _is_free(self, place: Array) -> bool:
        """Whether no unit stands there, or where it is now."""
        apart = length(self._engine.position - place)
        return float(apart.min(initial=math.inf)) > self._thing.radius_m + HULL_M + SHY_M

    def _entry(self, config: MissionConfig, dice: random.Random) -> Array:
        x_min, y_min, x_max, y_max = config.area
        inset = self._thing.radius_m + ROOM_M
        for _ in range(TRIES):
            x, y = dice.uniform(x_min + inset, x_max - inset), dice.uniform(y_min, y_max)
            edges = [
                (x, y_min + inset),
                (x, y_max - inset),
                (x_min + inset, y),
                (x_max - inset, y),
            ]
            place = np.clip(
                dice.choice(edges), [x_min + inset, y_min + inset], [x_max - inset, y_max - inset]
            )
            walk = place + np.linspace(0.0, 1.0, 40)[:, None] * (self._goal - place)
            clear = self._engine.clearance(walk).min() >= self._thing.radius_m + ROOM_M - 0.1
            away = length(self._engine.position - place).min(initial=math.inf) >= AWAY_M
            if clear and away:
                return np.asarray(place)
        raise WorldError(f"mission {config.name}: no way in leads to {self._goal.tolist()}")
