"""Formation: units take their places in a shape, each by its neighbours' places."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from mtor_swarm.errors import ConfigError
from mtor_swarm.swarm.behaviours.geometry import Array, direction, limited
from mtor_swarm.swarm.behaviours.scene import Scene


def formation(
    scene: Scene,
    *,
    places: ArrayLike,
    slot: ArrayLike,
    by: str = "displacement",
    velocity: ArrayLike = (0.0, 0.0),
    gain_per_s: float = 1.0,
    speed_mps: float = 0.5,
) -> Array:
    """The velocity (N, 2) in `map` that brings a unit to where its neighbours' places say.

    Source: Oh, Park & Ahn, "A survey of multi-agent formation control", 2015. Displacement: the
    consensus law there. Distance: the gradient of Krick, Broucke & Francis, "Stabilisation of
    infinitesimally rigid formations", 2009. Bearing: Zhao & Zelazo, "Bearing rigidity and almost
    global bearing-only formation stabilization", 2016.

    Inputs: the neighbours' relative positions and the `slot` that they told; `places` (S, 2) in
    `map`'s axes (see `shapes`), of which the unit has number `slot` (N,), and the `velocity` (2,)
    of the whole. `by` is displacement (distance and bearing), distance (the shape may end up
    turned or mirrored) or bearing (it may end up larger or smaller).

    Guarantees: at most `speed_mps`. By displacement, a connected group comes to the shape from
    anywhere; by the two others from nearby, if the graph of neighbours is rigid.
    """
    if by not in LAWS:
        raise ConfigError(f"formation by {by!r}: it goes by {', '.join(LAWS)}")
    at, mine = np.asarray(places, dtype=np.float64), scene.recall("slot", [0])
    theirs = scene.hear("slot", -1)
    mine[:] = slot
    wanted = at[theirs] - at[mine][:, None]
    pull = LAWS[by](scene.way, wanted)
    pull = np.where((theirs >= 0)[..., None], pull, 0.0)
    pull = scene.total(pull) / np.maximum((theirs >= 0).sum(axis=1), 1)[:, None]
    return limited(gain_per_s * pull + np.asarray(velocity), speed_mps)


def _distance(way: Array, wanted: Array) -> Array:
    square = np.maximum((wanted**2).sum(axis=-1), 1e-9)
    return np.asarray((((way**2).sum(axis=-1) - square) / square)[..., None] * way)


def _bearing(way: Array, wanted: Array) -> Array:
    bearing = direction(wanted)
    return np.asarray(way - (way * bearing).sum(axis=-1)[..., None] * bearing)


def _displacement(way: Array, wanted: Array) -> Array:
    return way - wanted


LAWS = {"displacement": _displacement, "distance": _distance, "bearing": _bearing}
