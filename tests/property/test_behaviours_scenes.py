"""What holds of every behaviour in any scene, crowded, empty or told nonsense."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mtor_swarm.swarm.behaviours.geometry import length
from mtor_swarm.swarm.behaviours.registry import BEHAVIOURS
from mtor_swarm.swarm.behaviours.scene import Bodies, Memory, Scene, among, beside

NEEDS: dict[str, dict[str, Any]] = {
    "attraction": {"target": [1.0, 2.0]},
    "containment": {"leads": False},
    "cross_inhibition": {"start": [1], "qualities": [1.0, 0.5]},
    "follow": {"leader": [1.0, 2.0], "leader_velocity": [9.0, 9.0]},
    "foraging": {"home": [0.0, 0.0], "food": [[3.0, 3.0]]},
    "formation": {"places": [[0.0, 0.0], [1.0, 0.0]], "slot": 0},
    "go_home": {"home": [0.0, 0.0]},
    "majority": {"start": [1], "qualities": [1.0, 0.5]},
    "orca": {"wanted": [0.7, 0.0]},
    "patrol": {"posts": [[0.0, 0.0], [3.0, 3.0]]},
    "pursuit": {"target": [0.0, 0.0], "target_velocity": [0.5, 0.0]},
    "surround": {"target": [0.0, 0.0]},
    "voter": {"start": [1], "qualities": [1.0, 0.5]},
}
AREA = (-4.0, -4.0, 4.0, 4.0)


def crowd(rng: np.random.Generator, memory: Memory, time_s: float) -> Scene:
    """Up to twelve units, some in one place, some far out of the area."""
    n = int(rng.integers(1, 13))
    position = np.round(rng.normal(0, 3, (12, 2)) * rng.integers(0, 3, (12, 1)))[:n]
    bodies = Bodies.at(position, rng.normal(0, 0.3, (n, 2)), rng.uniform(-9, 9, n))
    if memory and len(next(iter(memory.values()))) != n:
        memory.clear()
    return among(bodies, reach_m=5.0, rng=rng, area=AREA, memory=memory, time_s=time_s)


@pytest.mark.parametrize("name", sorted(BEHAVIOURS))
def test_answers_have_their_shape_are_finite_and_keep_the_speed_limit(name: str) -> None:
    behaviour, rng = BEHAVIOURS[name], np.random.default_rng(8)
    most = behaviour.parameters.get("speed_mps", np.inf)
    memory: Memory = {}
    for step in range(60):
        scene = crowd(rng, memory, 0.1 * step)
        n = len(scene.own.position)
        answer = np.asarray(behaviour.function(scene, **NEEDS.get(name, {})))
        assert answer.shape == ((n,) if behaviour.answer == "opinion" else (n, 2))
        assert np.isfinite(answer).all()
        if behaviour.answer == "velocity":
            assert length(answer).max() <= most + 1e-9


@pytest.mark.parametrize("name", sorted(BEHAVIOURS))
def test_a_neighbour_that_tells_nonsense_is_nobody(name: str) -> None:
    behaviour = BEHAVIOURS[name]
    near = np.array([[[1.0, 0.5], [np.nan, 0.0], [np.inf, 1.0], [-1.0, 2.0]]])
    answers = []
    for kept in ([0, 1, 2, 3], [0, 3]):
        scene = beside(
            Bodies.at([[0.2, 0.1]], [[0.1, 0.0]]),
            Bodies.at(near[:, kept], 0.1, 0.5),
            np.ones((1, len(kept))),
            rng=np.random.default_rng(1),
            area=AREA,
        )
        answers.append(behaviour.function(scene, **NEEDS.get(name, {})))
    assert np.isfinite(answers[0]).all()
    assert np.allclose(answers[0], answers[1])
