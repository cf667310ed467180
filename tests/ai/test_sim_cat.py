"""The field's cat is a cat to the real detector, from all around, and nothing else there is."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator

import pytest

from mtor_swarm.models.store import Store
from mtor_swarm.models.ultralytics_detector import UltralyticsDetector
from mtor_swarm.sim import compose, plan, resources
from mtor_swarm.sim.compile import Compiled
from mtor_swarm.sim.eyes import Eye, RayEye, make_eye
from mtor_swarm.sim.reading import read_text
from mtor_swarm.sim.world import Camera

FIELD = resources.world_path("field")
SCORE = 0.5


class Scene:
    """A field in which r1 can be put anywhere, and what its camera then shows the detector."""

    def __init__(self, detector: UltralyticsDetector, *, target: bool, ray_cast: bool) -> None:
        text = compose.compose(FIELD, compose.unit_names(6), 1, target=target)
        self.world = read_text(text.encode(), str(FIELD))
        self.compiled = Compiled(self.world)
        self._detector = detector
        self.eye: Eye = RayEye(self.compiled) if ray_cast else make_eye(self.compiled)[0]
        (self._camera,) = (s for _, s in self.world.units[0].sensors() if isinstance(s, Camera))

    def score(self, x: float, y: float, yaw: float) -> float:
        """The best cat that r1's camera shows from there."""
        qpos = self.compiled.model.qpos0.copy()
        at = self.compiled.model.joint("r1/base_link").qposadr[0]
        qpos[at : at + 2] = (x, y)
        qpos[at + 3 : at + 7] = (math.cos(yaw / 2), 0.0, 0.0, math.sin(yaw / 2))
        seen = self._detector.detect(self.eye.see(qpos, "r1", self._camera))
        return max((each.score for each in seen), default=0.0)

    def scores_around(self, range_m: float) -> list[float]:
        """From eight sides, `range_m` from the cat's centre."""
        cat = self.world.model("cat")
        assert cat is not None
        x, y, _ = cat.pose.position
        bearings = [cat.pose.yaw_rad + n * math.pi / 4 for n in range(8)]
        return [
            self.score(x + range_m * math.cos(b), y + range_m * math.sin(b), b + math.pi + 0.1)
            for b in bearings
        ]


@pytest.fixture(scope="module")
def detector() -> Iterator[UltralyticsDetector]:
    made = UltralyticsDetector(Store().fetch("coco-ssd"), confidence=0.05, labels=["cat"])
    yield made
    made.close()


@pytest.mark.parametrize(("ray_cast", "range_m"), [(False, 1.4), (False, 2.0), (True, 1.6)])
def test_the_cat_is_recognised_from_all_around(
    detector: UltralyticsDetector, ray_cast: bool, range_m: float
) -> None:
    scene = Scene(detector, target=True, ray_cast=ray_cast)
    scores = scene.scores_around(range_m)
    scene.eye.close()
    assert min(scores) > SCORE, scores


def test_nothing_else_in_the_field_is_taken_for_a_cat(detector: UltralyticsDetector) -> None:
    scene = Scene(detector, target=False, ray_cast=False)
    solids = plan.footprints(scene.world)
    dice = random.Random(1)
    scores = []
    while len(scores) < 60:
        x, y = dice.uniform(-6.7, 6.7), dice.uniform(-4.7, 4.7)
        if min(each.distance(x, y) for each in solids) > 0.2:
            scores.append(scene.score(x, y, dice.uniform(-math.pi, math.pi)))
    scene.eye.close()
    assert max(scores) < SCORE, scores
