"""Opinions: units measure how good their option is, say so for as long as it is good, then listen.

Source: Valentini, Ferrante, Hamann & Dorigo, "Collective decision with 100 Kilobots: speed versus
accuracy in binary discrimination problems", 2016. Units explore and disseminate by turns; what is
better is disseminated for longer, so that more neighbours hear of it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mtor_swarm.swarm.behaviours.scene import Scene

Ints = NDArray[np.int64]
Rule = Callable[[Ints, Ints], Ints]
"""Opinions (M,) and what each hears (M, K), 0 for nothing, to opinions (M,)."""


def decide(
    scene: Scene,
    rule: Rule,
    *,
    start: ArrayLike,
    qualities: ArrayLike,
    hears: int,
    noise: float,
    explore_s: float,
    disseminate_s: float,
) -> Ints:
    """One step of `voter`, `majority` and `cross_inhibition`, which tell what these mean.

    Units remember and tell their `opinion` and whether they `say` it, and remember `until` when.
    """
    opinion = scene.recall("opinion", np.asarray(start, dtype=np.int64))
    says, until = scene.recall("says", [False]), scene.recall("until", [-1.0])
    spell = scene.rng.exponential(1.0, len(until))
    fresh = until < 0
    over = ~fresh & (scene.time_s >= until)
    listens = over & (says | (opinion == 0))
    speaks = over & ~listens
    heard = np.where(scene.hear("says", False), scene.hear("opinion", 0), 0)[listens]
    opinion[listens] = rule(opinion[listens], _some(heard, hears, scene.rng))
    says[over] = speaks[over]
    worth = np.asarray(qualities, dtype=np.float64)[opinion - 1]
    worth = np.clip(worth + noise * scene.rng.normal(size=len(worth)), 0.0, None)
    until[:] = np.where(fresh | listens, scene.time_s + explore_s * spell, until)
    until[:] = np.where(speaks, scene.time_s + disseminate_s * worth * spell, until)
    return opinion


def _some(heard: Ints, most: int, rng: np.random.Generator) -> Ints:
    """At most `most` of what each row heard, by chance; 0 for nothing more."""
    luck = np.where(heard > 0, rng.random(heard.shape), 2.0)
    first = np.argsort(luck, axis=1, kind="stable")[:, :most]
    few = np.take_along_axis(heard, first, axis=1)
    return np.pad(few, ((0, 0), (0, max(0, most - few.shape[1]))))
