"""One scene for each behaviour, short enough for a picture."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np

from benchmarks.behaviours.play import Plane
from mtor_swarm.swarm.behaviours.geometry import Array, length, unit
from mtor_swarm.swarm.behaviours.registry import BEHAVIOURS
from mtor_swarm.swarm.behaviours.search import cells
from mtor_swarm.swarm.behaviours.shapes import fitted, places

RNG = np.random.default_rng(7)
ROOM = (0.0, 0.0, 10.0, 10.0)


class Show(msgspec.Struct):
    """Units on a plane, what they do in each step, and what else there is to see."""

    plane: Plane
    step: Callable[[], Any]
    steps: int = 300
    marks: Any = ()
    """Places (M, 2) that matter: targets, posts, food, homes."""
    trace: list[Array] = msgspec.field(default_factory=list)
    """Where something else went."""
    votes: list[Array] = msgspec.field(default_factory=list)
    """The share of each group that holds the better option, step by step."""


def show(name: str, plane: Plane, steps: int = 300, marks: Any = (), **parameters: Any) -> Show:
    return Show(plane, lambda: plane.run(name, 1, **parameters), steps, marks)


def scattered(count: int, side_m: float = 10.0, **world: Any) -> Plane:
    return Plane(RNG.uniform(0, side_m, (count, 2)), seed=1, **world)


def _containment() -> Show:
    corners = np.array([[2.0, 2.0], [8.0, 2.0], [8.0, 8.0], [2.0, 8.0]])
    plane = Plane(np.vstack([corners, RNG.uniform(-2, 12, (12, 2))]), nearest=5)
    return show("containment", plane, marks=corners, leads=np.arange(16) < 4)


def _formation() -> Show:
    plane, at = scattered(48, 8.0, nearest=8), places("letters:MTOR", 48, 0.8)
    at = np.stack([-at[:, 1], at[:, 0]], axis=-1)  # the front upwards, to be read
    slot = fitted(plane.bodies.position, at)
    return show("formation", plane, 400, places=at, slot=slot)


def _follow() -> Show:
    plane = Plane([[-1.0, 5.0], [-2.0, 5.5], [-3.0, 4.5], [-4.0, 5.0]])
    made = Show(plane, lambda: None, 450)

    def step() -> None:
        t, own = plane.time_s, plane.bodies
        first, moves = [0.25 * t, 5 + 2 * np.sin(0.2 * t)], [0.25, 0.4 * np.cos(0.2 * t)]
        made.trace.append(np.array(first))
        leader = np.vstack([[first], own.position[:-1]])
        velocity = np.vstack([[moves], own.velocity[:-1]])
        plane.run("follow", 1, leader=leader, leader_velocity=velocity)

    made.step = step
    return made


def _pursuit() -> Show:
    plane = Plane([[0.0, 0.0], [9.0, 0.0], [0.0, 9.0]])
    made = Show(plane, lambda: None, 180)

    def step() -> None:
        t = plane.time_s
        at, moves = np.array([3 + 0.3 * t, 8 - 0.15 * t]), np.array([0.3, -0.15])
        made.trace.append(at)
        plane.run("pursuit", 1, target=at, target_velocity=moves)

    made.step = step
    return made


def _gauci() -> Show:
    plane = Plane(RNG.uniform(0, 1.5, (20, 2)), seed=1)

    def step() -> None:
        plane.run("gauci", 1)
        plane.part(0.037)

    return Show(plane, step, 3000)


def _orca() -> Show:
    ring = 5.0 * unit(np.arange(12) * np.pi / 6 + RNG.normal(0, 0.02, 12))
    plane = Plane(ring)

    def step() -> None:
        way = -ring - plane.bodies.position
        wanted = 0.5 * way / np.maximum(length(way), 0.5)[:, None]
        plane.run("orca", 1, wanted=wanted, radius_m=0.35)

    return Show(plane, step, 300)


def _vote(name: str) -> Show:
    group = np.repeat(np.arange(8), 30)
    plane = Plane(
        RNG.uniform(0, 4, (240, 2)), seed=3, area=(0.0, 0.0, 4.0, 4.0), step_s=1.0,
        group=group, reach_m=1.5,
    )  # fmt: skip
    made = Show(plane, lambda: None, 400)

    def step() -> None:
        scene = plane.scene()
        said = BEHAVIOURS[name].function(scene, start=np.tile([1, 2], 120), qualities=[1.0, 0.6])
        plane.move(BEHAVIOURS["random_walk"].function(scene))
        made.votes.append((said.reshape(8, 30) == 1).mean(axis=1))

    made.step = step
    return made


SHOWS: dict[str, Callable[[], Show]] = {
    "aggregation": lambda: show("aggregation", scattered(25)),
    "attraction": lambda: show("attraction", scattered(12), marks=[[5, 5]], target=[5.0, 5.0]),
    "containment": _containment,
    "coverage": lambda: show("coverage", scattered(12, 4.0, area=ROOM), 500),
    "cross_inhibition": lambda: _vote("cross_inhibition"),
    "dispersion": lambda: show("dispersion", Plane(RNG.normal(0, 0.4, (25, 2)))),
    "flocking": lambda: show("flocking", scattered(25, 6.0, slow_mps2=1.0, reach_m=3.0)),
    "follow": _follow,
    "foraging": lambda: show(
        "foraging", Plane(np.full((25, 2), 3.0), seed=2, area=(0.0, 0.0, 14.0, 14.0)), 2000,
        [[3, 3], [11, 9]], home=[3.0, 3.0], food=[[11.0, 9.0]],
    ),
    "formation": _formation,
    "gauci": _gauci,
    "go_home": lambda: show("go_home", scattered(8), marks=cells((0, 4, 10, 6), 1.25)[:8],
                            home=cells((0, 4, 10, 6), 1.25)[:8]),
    "levy_walk": lambda: show("levy_walk", Plane(np.zeros((5, 2)), seed=4), 1500, most_m=15.0),
    "majority": lambda: _vote("majority"),
    "orca": _orca,
    "patrol": lambda: show("patrol", scattered(3), 400, cells(ROOM, 2.5), posts=cells(ROOM, 2.5)),
    "pursuit": _pursuit,
    "random_walk": lambda: show("random_walk", Plane(np.zeros((5, 2)), seed=4), 1500),
    "rendezvous": lambda: show("rendezvous", scattered(15)),
    "search": lambda: show("search", scattered(3, 2.0, area=(0.0, 0.0, 20.0, 20.0)), 500),
    "surround": lambda: show("surround", scattered(7), marks=[[5, 5]], target=[5.0, 5.0],
                             radius_m=2.0),
    "vasarhelyi": lambda: show(
        "vasarhelyi", Plane(RNG.uniform(2, 6, (20, 2)), area=ROOM, slow_mps2=1.0, reach_m=3.0), 200
    ),
    "vicsek": lambda: show("vicsek", scattered(60, reach_m=1.5), 150, noise_rad=0.6),
    "voter": lambda: _vote("voter"),
}  # fmt: skip
