"""Ring: the places around a found target, for those who surround it and those who guard.

All units work the same places out from the same beacons; only for what its own lidar sees in its
own place, a unit steps a little aside.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mtor_swarm.config import MissionConfig
from mtor_swarm.events import UnitState
from mtor_swarm.swarm.behaviours.approach import approach
from mtor_swarm.swarm.behaviours.geometry import Array, heading, length, unit, wrap
from mtor_swarm.swarm.behaviours.surround import ring_slots
from mtor_swarm.swarm.tasks.company import places

ASIDE_RAD = (0.0, 0.13, -0.13, 0.25, -0.25)
"""Steps aside that keep three units' gaps under 150°: twice 15° and 120°."""
NEARER_M = (0.0, -0.15, 0.15, -0.25)
ROOM_M = 0.34
WALL_M = 0.5
SETTLED_WEIGHT = 10.0
KEEP_OUT_M = 0.15
"""Guards stay outside the ring by this and the room that driving keeps."""
CIRCLE = np.linspace(-np.pi, np.pi, 48, endpoint=False)


class Ring:
    """Works out one unit's place. Pure; metres and radians in frame `map`."""

    def __init__(self, config: MissionConfig) -> None:
        self._config = config
        self._aside = (0.0, 0.0)

    def slot(
        self,
        name: str,
        here: Array,
        target: Array,
        fellows: list[UnitState],
        *,
        bodies: Array,
        echoes: Array,
        moving: list[Array],
        settled: bool,
    ) -> Array:
        """Where (2,) this unit stands to surround `target`.

        `fellows` surround it too; `bodies` (M, 2) stand around for good, `echoes` (N, 2) are what
        the lidar saw, in which units that move, at `moving`, do not count.
        """
        bearing = self._bearing({name: here}, target, fellows, bodies, self._config.ring_m)
        if not settled:
            solid = self._solid(target, echoes, moving)
            self._aside = self._step_aside(target, bearing, solid)
        aside, nearer = self._aside
        return target + (self._config.ring_m + nearer) * unit(np.array(bearing + aside))

    def guard_post(
        self, name: str, here: Array, target: Array, fellows: list[UnitState], bodies: Array
    ) -> Array:
        """Where (2,) this unit stands to guard, between walls."""
        bearing = self._bearing({name: here}, target, fellows, bodies, self._config.guard_m)
        post = target + self._config.guard_m * unit(np.array(bearing))
        x_min, y_min, x_max, y_max = self._config.area
        low = np.array([x_min + WALL_M, y_min + WALL_M])
        return np.asarray(np.clip(post, low, np.array([x_max - WALL_M, y_max - WALL_M])))

    def way(self, here: Array, target: Array, place: Array) -> Array:
        """The next point (2,) on the way to `place`, around the target."""
        offset = place - target
        radius = np.asarray(min(float(length(offset)), self._config.ring_m + 0.1))
        bearing = heading(offset)
        point = approach(here, target, bearing, radius)
        reached = abs(float(wrap(heading(point - target) - bearing))) < 1e-6
        return place if reached else point

    def guard_way(self, here: Array, target: Array, post: Array) -> tuple[Array, Array]:
        """The next point (2,) for a guard, and what it shall keep clear of, (N, 2).

        Those who surround are not disturbed: a guard drives around them all, and straight out if
        it finds itself among them.
        """
        offset = here - target
        out = self._config.ring_m + KEEP_OUT_M
        if float(length(offset)) < out + self._config.clearance_m:
            return target + (out + 1.0) * unit(heading(offset)), np.zeros((0, 2))
        return post, target + out * unit(CIRCLE)

    def _bearing(
        self,
        own: dict[str, Array],
        target: Array,
        fellows: list[UnitState],
        bodies: Array,
        radius_m: float,
    ) -> float:
        """The bearing of the one unit in `own`, by name and position, among its fellows."""
        known = {each.unit: places([each])[0] for each in fellows} | own
        names = sorted(known)
        positions = np.array([known[each] for each in names])
        off = np.abs(length(positions - target) - radius_m)
        slots = ring_slots(
            positions,
            np.ones(len(names), dtype=bool),
            target,
            weights=1.0 / (1.0 / SETTLED_WEIGHT + off),
            radius_m=radius_m,
            blocked=bodies,
            area=self._config.area,
        )
        return float(slots[names.index(next(iter(own)))])

    def _solid(self, target: Array, echoes: Array, moving: list[Array]) -> Array:
        """Echoes that are neither the target nor a unit that can make way."""
        keep: NDArray[np.bool_] = length(echoes - target) > self._config.target_radius_m + 0.25
        for each in moving:
            keep &= length(echoes - each) > 0.45
        return echoes[keep]

    def _step_aside(self, target: Array, bearing: float, solid: Array) -> tuple[float, float]:
        """The smallest step (radians, metres) to where there is room for the hull."""
        best, room = (0.0, 0.0), -1.0
        for nearer in NEARER_M:
            for aside in ASIDE_RAD:
                spot = target + (self._config.ring_m + nearer) * unit(np.array(bearing + aside))
                found = float(length(solid - spot).min(initial=np.inf))
                if found >= ROOM_M:
                    return aside, nearer
                if found > room:
                    best, room = (aside, nearer), found
        return best
