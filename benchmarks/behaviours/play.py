"""A plane on which discs move as they wish: the smallest world that behaviours can be seen in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mtor_swarm.swarm.behaviours.geometry import Array, heading, length, limited, unit, wrap
from mtor_swarm.swarm.behaviours.registry import BEHAVIOURS
from mtor_swarm.swarm.behaviours.scene import Area, Bodies, Memory, Scene, among, neighbours


class Plane:
    """N units and their time. Velocities are had at once, or change by `slow_mps2` at most."""

    def __init__(
        self,
        positions: Any,
        *,
        seed: int = 0,
        headings: Any = None,
        step_s: float = 0.1,
        slow_mps2: float | None = None,
        area: Area | None = None,
        **sight: Any,
    ) -> None:
        """`sight` is what `among` takes: reach_m, nearest, group, period_m."""
        self.rng = np.random.default_rng(seed)
        position = np.array(positions, dtype=np.float64)
        turned = self.rng.uniform(-np.pi, np.pi, len(position)) if headings is None else headings
        self.bodies = Bodies.at(position, 0.0, turned)
        self.memory: Memory = {}
        self.time_s, self.step_s, self.area = 0.0, step_s, area
        self._slow, self._sight = slow_mps2, sight

    def scene(self) -> Scene:
        """What the units know now."""
        return among(
            self.bodies,
            memory=self.memory,
            rng=self.rng,
            time_s=self.time_s,
            step_s=self.step_s,
            area=self.area,
            **self._sight,
        )

    def move(self, velocity: Array) -> None:
        """A step in which the units want `velocity` (N, 2) in `map`."""
        before = self.bodies
        if self._slow is not None:
            change = limited(velocity - before.velocity, self._slow * self.step_s)
            velocity = before.velocity + change
        moving = length(velocity) > 1e-6
        turned = np.where(moving, heading(velocity), before.heading)
        self._put(before.position + velocity * self.step_s, velocity, turned)

    def drive(self, wheels: Array) -> None:
        """A step with speeds ahead (N,) and turn rates (N,), as rows of `wheels` (N, 2)."""
        before = self.bodies
        middle = before.heading + wheels[:, 1] * self.step_s / 2  # the chord of the arc
        velocity = wheels[:, :1] * unit(middle)
        turned = wrap(before.heading + wheels[:, 1] * self.step_s)
        self._put(before.position + velocity * self.step_s, velocity, turned)

    def part(self, radius_m: float, rounds: int = 4) -> None:
        """Discs that overlap push each other apart, as hulls do."""
        index, mask = self.table(2 * radius_m)
        position = self.bodies.position
        for _ in range(rounds):
            way = position[index] - position[:, None]
            far = np.maximum(length(way), 1e-9)
            overlap = np.where(mask, np.clip(2 * radius_m - far, 0.0, None), 0.0)
            if not overlap.any():
                break
            position = position - ((0.5 * overlap / far)[..., None] * way).sum(axis=1)
        self.bodies = Bodies(position, self.bodies.velocity, self.bodies.heading)

    def table(self, reach_m: float) -> tuple[Any, Any]:
        """Who may touch whom."""
        return neighbours(self.bodies.position, reach_m=reach_m)

    def run(
        self, name: str, steps: int, each: Callable[[Scene], Any] | None = None, **parameters: Any
    ) -> Plane:
        """Let all units follow one behaviour; `each` is told every scene."""
        behaviour = BEHAVIOURS[name]
        for _ in range(steps):
            scene = self.scene()
            if each is not None:
                each(scene)
            answer = behaviour.function(scene, **parameters)
            (self.drive if behaviour.answer == "drive" else self.move)(answer)
        return self

    def _put(self, position: Array, velocity: Array, turned: Array) -> None:
        self.bodies = Bodies.at(position, velocity, turned)
        self.time_s += self.step_s


def largest_cluster(positions: Array, reach_m: float) -> float:
    """The share of units in the largest group that hangs together by `reach_m`."""
    way = positions[:, None] - positions
    linked = np.linalg.norm(way, axis=-1) <= reach_m
    label = np.arange(len(positions))
    while True:
        least = np.where(linked, label, len(label)).min(axis=1)
        if np.array_equal(least, label):
            return float(np.bincount(label).max() / len(label))
        label = least


def order(headings: Array) -> float:
    """Vicsek's φ: the length of the mean heading, 1 if all are alike."""
    return float(np.linalg.norm(unit(headings).mean(axis=0)))


def lloyd(positions: Any, places: Array, rounds: int = 300) -> Array:
    """Where Lloyd's algorithm, knowing all, takes the units (N, 2) to serve `places` (P, 2)."""
    at = np.array(positions, dtype=np.float64)
    for _ in range(rounds):
        owner = np.linalg.norm(places[:, None] - at, axis=-1).argmin(axis=1)
        served = np.bincount(owner, minlength=len(at))
        sums = [np.bincount(owner, weights=axis, minlength=len(at)) for axis in places.T]
        middle = np.stack(sums, axis=-1) / np.maximum(served, 1)[:, None]
        at = np.where(served[:, None] > 0, middle, at)
    return at
