"""Who hears whom by radio: `ports.Radio` for a simulated swarm.

Received power falls with the logarithm of the distance (log-distance path loss: Rappaport,
"Wireless Communications", 2nd ed. 2002, section 4.9) and with every wall on the straight way, in
proportion to the metres of wall (after COST 231's multi-wall model, which counts the walls). What
is left above the receiver's threshold, in dB, says how likely a frame is heard: half of them at
the threshold, which is met at `range_m` in the open, and more or fewer along a logistic curve.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from mtor_swarm.sim.spatial import Transform, turned
from mtor_swarm.sim.world import Box, World

Array = NDArray[np.float64]
MAX_ROWS = 512
"""Members whose chances to be heard by all others are kept until someone moves."""
NEAREST_M = 0.1
"""Antennas are at least this far apart, for the path loss knows no nearer."""
_PARALLEL = 1e-12


class RadioModel(msgspec.Struct, frozen=True, kw_only=True):
    """What the radios are like; the defaults are 2.4 GHz indoors."""

    range_m: float = 10.0
    """Half of the frames are heard at this distance in the open."""
    exponent: float = 2.7
    """Of the path loss: 2 in free space, up to 4 in clutter."""
    softness_db: float = 1.5
    """How gradual the edge of the range is: at 3 of these inside it 5 % are lost."""
    wall_db_per_m: float = 40.0
    """What walls take: 4 dB for 10 cm."""
    delay_s: float = 0.001
    jitter_s: float = 0.002
    """A frame is heard after `delay_s` and up to so much more."""


class Walls:
    """Boxes that are in the way: centres and half lengths (W, 3) in metres, axes (W, 3, 3)."""

    def __init__(self, boxes: Iterable[tuple[Transform, Sequence[float]]] = ()) -> None:
        """Each box: its pose in the world and its full lengths along its own axes."""
        found = list(boxes)
        axes = [(1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)]
        self.centres = np.array([pose.position for pose, _ in found]).reshape(-1, 3)
        self.halves = np.array([size for _, size in found], dtype=float).reshape(-1, 3) / 2
        turns = [[turned(pose.rotation, axis) for axis in axes] for pose, _ in found]
        self.axes = np.array(turns).reshape(-1, 3, 3)

    @classmethod
    def of(cls, world: World) -> Walls:
        """The boxes of the world's models that never move, as lidars see them."""
        return cls(
            (model.pose @ link.pose @ shape.pose, shape.geometry.size)
            for model in world.models
            if model.static
            for link in model.links
            for shape in link.shapes
            if shape.kind == "collision" and isinstance(shape.geometry, Box)
        )

    def crossed_m(self, here: Array, there: Array) -> Array:
        """Metres of wall between one place (3,) and each of many (N, 3); shape (N,).

        The slab method (Kay and Kajiya, SIGGRAPH 1986) for all boxes and ways at once.
        """
        way = there - here
        start = np.einsum("wai,wi->wa", self.axes, here - self.centres)[None]
        along = np.einsum("wai,ni->nwa", self.axes, way)
        along = np.where(np.abs(along) < _PARALLEL, _PARALLEL, along)
        one, other = (-self.halves - start) / along, (self.halves - start) / along
        enter = np.minimum(one, other).max(axis=2, initial=0.0)
        leave = np.maximum(one, other).min(axis=2, initial=1.0)
        crossed: Array = np.maximum(leave - enter, 0.0).sum(axis=1) * np.linalg.norm(way, axis=1)
        return crossed


class Radio:
    """The air between the members that have a place; who has none is on a wire to all."""

    def __init__(self, model: RadioModel, rng: random.Random, walls: Walls | None = None) -> None:
        self.model = model
        self.walls = walls or Walls()
        self._rng = rng
        self._index: dict[str, int] = {}
        self._places: Array = np.empty((0, 3))
        self._rows: dict[int, Array] = {}

    def place(self, places: Mapping[str, Sequence[float]]) -> None:
        """Where each member's antenna is now (x, y, z in metres), by its id."""
        self._index = {member: number for number, member in enumerate(places)}
        self._places = np.array(list(places.values()), dtype=float).reshape(-1, 3)
        self._rows = {}

    def chances(self, sender: str) -> dict[str, float]:
        """How likely each of those with a place hears a frame of that member, 0 to 1."""
        row = self._row(self._index[sender])
        return {member: float(row[number]) for member, number in self._index.items()}

    def delay_s(self, sender: str, receiver: str) -> float | None:
        """Seconds until this frame is heard, or None if it is not."""
        a, b = self._index.get(sender), self._index.get(receiver)
        if a is None or b is None:
            return 0.0
        if self._rng.random() >= self._row(a)[b]:
            return None
        return self.model.delay_s + self._rng.random() * self.model.jitter_s

    def _row(self, sender: int) -> Array:
        row = self._rows.get(sender)
        if row is None:
            if len(self._rows) >= MAX_ROWS:
                self._rows = {}
            row = self._rows[sender] = self._heard(self._places[sender])
        return row

    def _heard(self, here: Array) -> Array:
        """How likely a frame sent from `here` is heard at each place; shape (N,)."""
        model = self.model
        distance = np.maximum(np.linalg.norm(self._places - here, axis=1), NEAREST_M)
        margin_db = 10 * model.exponent * np.log10(model.range_m / distance)
        margin_db -= model.wall_db_per_m * self.walls.crossed_m(here, self._places)
        chance: Array = 1 / (1 + np.exp(np.clip(-margin_db / model.softness_db, -40, 40)))
        return chance
