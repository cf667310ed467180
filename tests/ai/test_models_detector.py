"""The real detector, on the real weights, on real pictures."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage import data

from mtor_swarm.errors import ModelError
from mtor_swarm.models import torchvision_cure
from mtor_swarm.models.annotate import MAX_JPEG_BYTES, annotated_jpeg
from mtor_swarm.models.store import Store
from mtor_swarm.models.ultralytics_detector import UltralyticsDetector
from mtor_swarm.ports import Detection, Picture


@pytest.fixture(scope="session")
def weights() -> Path:
    return Store().fetch("coco-ssd")


@pytest.fixture(scope="module")
def detector(weights: Path) -> Iterator[UltralyticsDetector]:
    found = UltralyticsDetector(weights, confidence=0.4)
    yield found
    found.close()


def cat() -> Picture:
    return cv2.resize(np.ascontiguousarray(data.chelsea()[:, :, ::-1]), (320, 240))


def bus() -> Picture:
    from ultralytics.utils import ASSETS

    picture = cv2.imread(str(ASSETS / "bus.jpg"))
    assert picture is not None
    return picture


def test_a_cat_is_seen_and_fills_its_box(detector: UltralyticsDetector):
    (seen,) = detector.detect(cat())
    assert seen.label == "cat"
    assert seen.score > 0.9
    assert seen.left >= 0
    assert seen.top >= 0
    assert seen.left + seen.width <= 320
    assert seen.top + seen.height <= 240
    assert seen.width * seen.height > 320 * 240 / 2


def test_a_street_has_its_bus_and_its_people_best_first(detector: UltralyticsDetector):
    seen = detector.detect(bus())
    assert {each.label for each in seen} == {"bus", "person"}
    assert [each.label for each in seen].count("person") >= 2
    assert [each.score for each in seen] == sorted((each.score for each in seen), reverse=True)
    (large,) = (each for each in seen if each.label == "bus")
    assert large.width > 600


def test_nothing_is_seen_on_a_blank_picture(detector: UltralyticsDetector):
    assert detector.detect(np.full((240, 320, 3), 128, np.uint8)) == []


def test_only_the_labels_asked_for_are_told(weights: Path):
    people = UltralyticsDetector(weights, labels=["person"])
    assert people.labels == ("person",)
    assert {each.label for each in people.detect(bus())} == {"person"}


def test_an_unknown_label_is_named_with_those_that_there_are(weights: Path):
    with pytest.raises(ModelError, match=r"no label unicorn; it knows person, bicycle"):
        UltralyticsDetector(weights, labels=["unicorn", "cat"])


def test_a_closed_detector_says_so(weights: Path):
    closed = UltralyticsDetector(weights)
    closed.close()
    with pytest.raises(ModelError, match="closed"):
        closed.detect(cat())


def test_missing_weights_are_one_error_that_says_what_to_do(tmp_path: Path):
    with pytest.raises(ModelError, match="run `mtor models fetch`"):
        UltralyticsDetector(tmp_path / "none.onnx")


@pytest.mark.parametrize("suffix", [".onnx", ".pt"])
@pytest.mark.parametrize("keep", [0, 1000, 1_000_000])
def test_truncated_weights_are_one_error_that_says_what_to_do(
    weights: Path, tmp_path: Path, suffix: str, keep: int
):
    broken = tmp_path / f"broken{suffix}"
    broken.write_bytes(weights.read_bytes()[:keep])
    with pytest.raises(ModelError, match=r"broken.*cannot be loaded.*mtor models"):
        UltralyticsDetector(broken)


def test_torch_weights_load_as_well(tmp_path: Path):
    from ultralytics import YOLO

    path = tmp_path / "untrained.pt"
    YOLO("yolo11n.yaml", task="detect").save(path)
    assert UltralyticsDetector(path).detect(cat()) == []


def test_it_is_quiet_and_leaves_the_users_home_alone(weights: Path, tmp_path: Path):
    program = (
        "import sys, numpy\n"
        "from mtor_swarm.models.ultralytics_detector import UltralyticsDetector\n"
        "UltralyticsDetector(sys.argv[1]).detect(numpy.zeros((240, 320, 3), numpy.uint8))\n"
        "assert 'torchvision' not in sys.modules\n"
    )
    home, cache = tmp_path / "home", tmp_path / "cache"
    home.mkdir()
    environment = {key: text for key, text in os.environ.items() if not key.startswith("YOLO_")}
    environment.update(HOME=str(home), MTOR_CACHE=str(cache))
    environment.pop("XDG_CONFIG_HOME", None)
    done = subprocess.run(
        [sys.executable, "-c", program, str(weights)],
        env=environment, capture_output=True, text=True, timeout=110, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(home.iterdir()) == []


def test_without_ultralytics_it_says_which_extra_to_install(weights: Path):
    program = (
        "import sys; sys.modules['ultralytics'] = None\n"
        "from mtor_swarm.models.ultralytics_detector import UltralyticsDetector\n"
        "UltralyticsDetector(sys.argv[1])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(weights)],
        capture_output=True, text=True, timeout=110, check=False,
    )  # fmt: skip
    assert "ModelError: the detector needs ultralytics" in done.stderr
    assert "pip install 'mtor_swarm[ai]'" in done.stderr


def test_suppression_keeps_the_best_of_those_that_overlap_and_all_that_do_not():
    import torch

    boxes = torch.tensor([[0, 0, 10, 10], [1, 1, 10, 10], [20, 20, 30, 30], [0, 0, 10, 9.0]])
    scores = torch.tensor([0.8, 0.9, 0.3, 0.5])
    assert torchvision_cure.suppress(boxes, scores, 0.5).tolist() == [1, 2]
    assert torchvision_cure.suppress(boxes, scores, 0.85).tolist() == [1, 0, 2]
    assert torchvision_cure.suppress(boxes[:0], scores[:0], 0.5).tolist() == []


def test_the_cure_makes_torchvision_importable_and_its_suppression_work():
    import torch

    torchvision_cure.apply()
    from torchvision.ops import nms

    boxes = torch.tensor([[0, 0, 10, 10], [1, 1, 10, 10], [20, 20, 30, 30.0]])
    assert nms(boxes, torch.tensor([0.8, 0.9, 0.3]), 0.5).tolist() == [1, 2]
    assert torchvision_cure.apply() == torchvision_cure.apply()


def test_an_annotated_picture_is_small_and_shows_the_box():
    grey = np.full((240, 320, 3), 128, np.uint8)
    plain = annotated_jpeg(grey, [])
    drawn = annotated_jpeg(grey, [Detection("cat", 0.98, 100, 2, 80, 60)])
    assert drawn == annotated_jpeg(grey, [Detection("cat", 0.98, 100, 2, 80, 60)])
    before, after = (cv2.imdecode(np.frombuffer(raw, np.uint8), 1) for raw in (plain, drawn))
    assert before is not None
    assert after is not None
    changed = np.abs(before.astype(int) - after.astype(int)).max(axis=2) > 20
    assert changed[30, 100]
    assert not changed[150:].any()


@pytest.mark.parametrize("shape", [(240, 320), (1080, 1920), (600, 20), (20, 20000), (1, 1)])
def test_an_annotated_picture_never_outgrows_its_limit(shape: tuple[int, int]):
    noise = np.random.default_rng(7).integers(0, 256, (*shape, 3), np.uint8)
    box = Detection("cat", 0.98, -50, -50, 1e5, 1e5)
    assert len(annotated_jpeg(noise, [box] * 8)) <= MAX_JPEG_BYTES
