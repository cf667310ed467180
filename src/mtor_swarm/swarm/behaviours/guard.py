"""Guard: what a behaviour may do wrong, it does once and the unit stands still."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtor_swarm.errors import explain
from mtor_swarm.swarm.behaviours.geometry import limited
from mtor_swarm.swarm.behaviours.registry import Behaviour
from mtor_swarm.swarm.behaviours.scene import Scene

STRIKES = 3
"""Answers in a row that come late before a behaviour must rest."""

HUGE_MPS = 1e9
"""The square of what is faster would be no number."""


class Guard:
    """Calls one behaviour. Where it fails the answer is zero; `counts` say how often and why.

    `clock` is monotonic, in seconds. A late answer cannot be cut short, only be let rest: after
    three in a row over `budget_s` the behaviour is not called for `rest_s`. Reflex runs in a
    thread of its own and stops the wheels meanwhile, when nothing comes.
    """

    def __init__(
        self,
        behaviour: Behaviour,
        *,
        clock: Callable[[], float],
        speed_mps: float = 0.6,
        budget_s: float = 0.05,
        rest_s: float = 2.0,
    ) -> None:
        self.behaviour = behaviour
        self.counts: Counter[str] = Counter()
        """`raised`, `misshapen`, `late`, `rested` in calls; `not_finite`, `too_fast` in units."""
        self.last_error = ""
        """What it raised last, in one line."""
        self._clock, self._speed_mps = clock, speed_mps
        self._budget_s, self._rest_s = budget_s, rest_s
        self._strikes, self._rests_until = 0, -np.inf

    def __call__(self, scene: Scene, **parameters: Any) -> NDArray[Any]:
        """The behaviour's answer to a scene of N units: finite, of its shape, within the limits.

        Opinions fall back to what they were. ConfigError for parameters that it does not take.
        """
        self.behaviour.check(parameters)
        began = self._clock()
        if began < self._rests_until:
            self.counts["rested"] += 1
            return self._nothing(scene)
        try:
            answer = np.asarray(self.behaviour.function(scene, **parameters))
        except Exception as error:  # third parties' code may raise anything
            self.counts["raised"] += 1
            self.last_error = explain(error)
            answer = self._nothing(scene)
        self._time(began, self._clock())
        return self._sound(answer, scene)

    def _time(self, began: float, now: float) -> None:
        late = now - began > self._budget_s
        self.counts["late"] += late
        self._strikes = self._strikes + 1 if late else 0
        if self._strikes == STRIKES:
            self._strikes, self._rests_until = 0, now + self._rest_s

    def _nothing(self, scene: Scene) -> NDArray[Any]:
        n = len(scene.own.position)
        if self.behaviour.answer == "opinion":
            return np.asarray(scene.memory.get("opinion", np.zeros(n, dtype=np.int64)))
        return np.zeros((n, 2))

    def _sound(self, answer: NDArray[Any], scene: Scene) -> NDArray[Any]:
        nothing = self._nothing(scene)
        if answer.shape != nothing.shape or answer.dtype.kind not in "iuf":
            self.counts["misshapen"] += 1
            return nothing
        if self.behaviour.answer == "opinion":
            return answer
        finite = np.isfinite(answer).all(axis=-1)
        self.counts["not_finite"] += int((~finite).sum())
        answer = np.where(finite[:, None], answer, 0.0)
        if self.behaviour.answer == "drive":
            ahead = np.clip(answer[:, 0], -self._speed_mps, self._speed_mps)
            return np.stack([ahead, answer[:, 1]], axis=-1)
        answer = np.clip(answer, -HUGE_MPS, HUGE_MPS)
        slowed = limited(answer, self._speed_mps)
        self.counts["too_fast"] += int((np.abs(slowed - answer) > 1e-9).any(axis=-1).sum())
        return slowed
