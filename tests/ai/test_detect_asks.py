"""The real detector, asked through a real realm, beside the camera's frames."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest
from skimage import data

from mtor_swarm.config import PerceptionConfig
from mtor_swarm.models.store import Store
from mtor_swarm.workers.perception import PerceptionWorker
from tests.ros.model_realm import SUCCESS, ModelRealm
from tests.ros.realm_stage import CONFIG

CAT = cv2.resize(np.ascontiguousarray(data.chelsea()[:, :, ::-1]), (320, 240))


def jpeg(picture: np.ndarray) -> bytes:
    return bytes(cv2.imencode(".jpg", picture)[1])


@pytest.fixture(scope="session")
def weights() -> Path:
    return Store().fetch("coco-ssd")


@pytest.fixture(scope="module")
def realm(weights: Path) -> Iterator[ModelRealm]:
    made = ModelRealm(PerceptionWorker, CONFIG)
    yield made
    made.close()


def test_a_picture_that_somebody_sends_is_looked_at(realm: ModelRealm):
    answer = realm.ask("detect", jpeg(CAT), kind="image/jpeg")
    assert answer.ok, answer
    found = json.loads(answer.payload)
    assert (found["width"], found["height"]) == (320, 240)
    (cat,) = found["detections"]
    assert cat["label"] == "cat"
    assert cat["score"] > 0.9
    assert cat["left"] + cat["width"] <= 320


def test_a_blank_picture_shows_nothing_and_many_asks_are_all_answered(realm: ModelRealm):
    blank = jpeg(np.full((48, 64, 3), 128, np.uint8))
    answers = realm.ask_all("detect", [blank, jpeg(CAT)] * 6, kind="image/jpeg")
    assert [len(json.loads(each.payload)["detections"]) for each in answers] == [0, 1] * 6


@pytest.mark.parametrize("junk", [b"", b"junk", jpeg(CAT)[:40], bytes(1000)])
def test_what_is_no_picture_is_told_and_not_tried_again(realm: ModelRealm, junk: bytes):
    answer = realm.ask("detect", junk, kind="image/jpeg")
    assert not answer.ok
    assert not answer.retryable
    assert "send a JPEG or PNG" in answer.reason
    assert realm.worker.counts["faults"] == 0


def test_a_detector_that_raises_is_a_failure_that_another_worker_may_mend(realm: ModelRealm):
    assert realm.worker._detector is not None
    realm.worker._detector.close()
    answer = realm.ask("detect", jpeg(CAT), kind="image/jpeg", timeout_s=2.0)
    assert not answer.ok
    assert realm.worker.counts["faults"] > 0
    assert realm.worker.trigger_deactivate() == SUCCESS
    assert realm.worker.trigger_cleanup() == SUCCESS
    assert realm.worker.trigger_configure() == SUCCESS
    assert realm.worker.trigger_activate() == SUCCESS
    assert realm.ask("detect", jpeg(CAT), kind="image/jpeg").ok


def test_onnx_weights_on_a_gpu_are_refused_with_what_to_do(weights: Path):
    config = msgspec.structs.replace(CONFIG, perception=PerceptionConfig(device="gpu"))
    made = ModelRealm(PerceptionWorker, config, load=False)
    try:
        assert made.worker.trigger_configure() != SUCCESS
        assert "set perception.device to auto" in made.failure()
    finally:
        made.close()


def test_a_few_bytes_that_claim_to_be_a_huge_picture_are_not_decoded():
    program = (
        "import numpy\n"
        "from mtor_swarm.models.pictures import decoded\n"
        "import cv2\n"
        "huge = bytes(cv2.imencode('.png', numpy.zeros((6000, 6000, 3), numpy.uint8))[1])\n"
        "small = bytes(cv2.imencode('.png', numpy.zeros((6, 6, 3), numpy.uint8))[1])\n"
        "print(len(huge) < 1 << 20, decoded(huge), decoded(small).shape)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=110, check=True
    )
    assert done.stdout == "True None (6, 6, 3)\n"
