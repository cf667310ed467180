"""The real MiniLM, alone and as a worker that is asked."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from mtor_swarm.errors import ModelError
from mtor_swarm.models.store import Store
from mtor_swarm.models.transformers_embedder import TransformersEmbedder
from mtor_swarm.workers.embed import MAX_TEXTS, EmbedWorker
from tests.ros.model_realm import SUCCESS, ModelRealm, configured

SAID = ["stop at once", "halt immediately", "what do you see?", "describe the picture"]


@pytest.fixture(scope="session")
def folder() -> Path:
    return Store().fetch("minilm")


@pytest.fixture(scope="module")
def embedder(folder: Path) -> Iterator[TransformersEmbedder]:
    made = TransformersEmbedder(str(folder))
    yield made
    made.close()


@pytest.fixture(scope="module")
def realm(folder: Path) -> Iterator[ModelRealm]:
    made = ModelRealm(EmbedWorker, configured("words", "embed", threads=1))
    yield made
    made.close()


def test_what_means_the_same_points_the_same_way(embedder: TransformersEmbedder):
    rows = embedder.embed(SAID)
    assert rows.shape == (4, embedder.dimensions) == (4, 384)
    assert np.linalg.norm(rows, axis=1) == pytest.approx(1.0, abs=1e-5)
    alike = rows @ rows.T
    assert alike[0, 1] > 0.5 > alike[0, 2]
    assert alike[2, 3] > alike[2, 0]


def test_company_in_a_pass_changes_no_vector(embedder: TransformersEmbedder):
    alone = np.concatenate([embedder.embed([each]) for each in [*SAID, "word " * 500]])
    assert embedder.embed([*SAID, "word " * 500]) == pytest.approx(alone, abs=1e-5)


def test_a_closed_embedder_says_so(folder: Path):
    closed = TransformersEmbedder(str(folder))
    closed.close()
    with pytest.raises(ModelError, match="closed"):
        closed.embed(["a"])


@pytest.mark.parametrize(
    ("name", "keep"),
    [("model.safetensors", 0), ("model.safetensors", 10**6), ("tokenizer.json", 1000)],
)
def test_truncated_files_are_one_error_that_says_what_to_do(
    folder: Path, tmp_path: Path, name: str, keep: int
):
    broken = tmp_path / "broken"
    shutil.copytree(folder, broken)
    (broken / name).write_bytes((folder / name).read_bytes()[:keep])
    with pytest.raises(ModelError, match=r"broken: cannot be loaded .*mtor models verify"):
        TransformersEmbedder(str(broken))


def test_asks_that_come_together_share_passes(realm: ModelRealm):
    before = realm.worker.counts["passes"]
    answers = realm.ask_all("embed", [f"go to room {number}" for number in range(40)])
    assert all(each.ok for each in answers), answers
    assert {each.worker for each in answers} == {"words"}
    assert 3 <= realm.worker.counts["passes"] - before < 40
    (row,) = json.loads(answers[7].payload)["vectors"]
    alone = json.loads(realm.ask("embed", "go to room 7").payload)
    assert alone["model"] == "minilm"
    assert row == pytest.approx(alone["vectors"][0], abs=1e-5)


def test_a_list_of_texts_gets_a_list_of_vectors(realm: ModelRealm):
    found = json.loads(realm.ask("embed", json.dumps(SAID).encode()).payload)
    assert np.array(found["vectors"]).shape == (4, 384)


@pytest.mark.parametrize(
    ("payload", "told"),
    [
        ("", "send a text, or a JSON list"),
        (b"", "send a text, or a JSON list"),
        (b"[", "send a text, or a JSON list"),
        (b"[]", "send a text, or a JSON list"),
        (b"[1]", "send a text, or a JSON list"),
        (b'["\xff"]', "send a text, or a JSON list"),
        ("x" * 9000, "8192"),
        (json.dumps(["a"] * (MAX_TEXTS + 1)).encode(), "129 texts; send 128 at most"),
    ],
)
def test_a_bad_question_is_told_and_not_tried_again(realm: ModelRealm, payload, told: str):
    answer = realm.ask("embed", payload)
    assert not answer.ok
    assert told in answer.reason
    assert not answer.retryable
    assert realm.ask("embed", "still there?").ok


def test_it_is_unloaded_and_loaded_again(realm: ModelRealm):
    assert realm.worker.trigger_deactivate() == SUCCESS
    assert realm.worker.trigger_cleanup() == SUCCESS
    assert realm.worker._embedder is None
    assert realm.worker.trigger_configure() == SUCCESS
    assert realm.worker.trigger_activate() == SUCCESS
    assert realm.ask("embed", "back again").ok


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        (
            {"model": "nothing"},
            "model 'nothing': neither a model of the manifest (coco-ssd, minilm)",
        ),
        ({"model": "nobody/nothing"}, "nobody/nothing: cannot be loaded"),
        ({"model": "coco-ssd"}, "cannot be loaded"),
        ({"memory_mib": 1 << 20}, "words needs 1048576 MiB of memory"),
        ({"device": "tpu"}, "'tpu' is none of auto, cpu, gpu"),
    ],
)
def test_a_load_that_fails_says_why(folder: Path, parameters: dict, told: str):
    Store().fetch("coco-ssd")
    made = ModelRealm(EmbedWorker, configured("words", "embed", **parameters), load=False)
    try:
        assert made.worker.trigger_configure() != SUCCESS
        assert told in made.failure()
    finally:
        made.close()
