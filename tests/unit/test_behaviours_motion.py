"""Groups that come together, spread, travel and stay, as their papers say."""

from __future__ import annotations

import numpy as np
from benchmarks.behaviours.play import Plane, largest_cluster, order

from mtor_swarm.swarm.behaviours.geometry import length
from mtor_swarm.swarm.behaviours.scene import Scene

SCATTERED = np.random.default_rng(7).uniform(-4, 4, (20, 2))


def test_aggregation_brings_all_together_and_leaves_the_middle_where_it_was() -> None:
    plane = Plane(SCATTERED).run("aggregation", 400, speed_mps=9.0)
    assert largest_cluster(plane.bodies.position, 0.8) == 1.0
    assert np.allclose(plane.bodies.position.mean(axis=0), SCATTERED.mean(axis=0))
    assert plane.scene().far.min() > 0.4


def test_attraction_ends_at_the_place_without_overshoot() -> None:
    far = []
    Plane(SCATTERED).run(
        "attraction", 300, lambda s: far.append(length(s.own.position - 1.0)), target=[1.0, 1.0]
    )
    assert far[-1].max() < 0.01
    assert np.all(np.diff(far, axis=0) <= 1e-9)


def test_dispersion_gives_everybody_room() -> None:
    plane = Plane(SCATTERED / 8, reach_m=3.0).run("dispersion", 300)
    assert plane.scene().far.min() > 0.9


def test_followers_end_within_the_hull_of_those_who_lead() -> None:
    start = np.vstack([[[-1, -1], [1, -1], [1, 1], [-1, 1]], 4 + SCATTERED[:10] / 8])
    leads = np.arange(14) < 4
    plane = Plane(start).run("containment", 400, leads=leads)
    assert np.all(plane.bodies.position[:4] == start[:4])
    assert np.abs(plane.bodies.position).max() <= 1.0 + 1e-6


def test_a_flock_comes_to_one_heading_and_keeps_apart() -> None:
    plane = Plane(SCATTERED / 2, slow_mps2=1.0, reach_m=3.0).run("flocking", 400)
    assert order(plane.bodies.heading) > 0.97
    assert plane.scene().far.min() > 0.3
    assert largest_cluster(plane.bodies.position, 3.0) == 1.0


def test_a_flock_between_walls_stays_within_them_and_flies_together() -> None:
    plane = Plane(SCATTERED / 2, slow_mps2=1.0, area=(-5.0, -5.0, 5.0, 5.0), reach_m=3.0)
    plane.run("vasarhelyi", 300)
    alike: list[float] = []

    def look(scene: Scene) -> None:
        turns = np.cos(scene.near.heading - scene.own.heading[:, None])
        alike.append(float(turns[scene.mask].mean()))
        assert np.abs(scene.own.position).max() < 5.0
        assert scene.far.min() > 0.3

    plane.run("vasarhelyi", 600, look)
    assert np.mean(alike) > 0.75


def test_headings_order_at_low_noise_and_do_not_at_high() -> None:
    start = np.random.default_rng(1).uniform(0, 7, (150, 2))
    means = []
    for noise in (0.3, 6.2):
        phi: list[float] = []
        plane = Plane(start, step_s=1.0, reach_m=1.0, period_m=7.0)
        plane.run("vicsek", 80, noise_rad=noise, speed_mps=0.1)
        plane.run(
            "vicsek", 40, lambda s, phi=phi: phi.append(order(s.own.heading)),
            noise_rad=noise, speed_mps=0.1,
        )  # fmt: skip
        means.append(np.mean(phi))
    assert means[0] > 0.9
    assert means[1] < 0.2
