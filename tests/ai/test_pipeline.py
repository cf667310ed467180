"""Workers for tasks of transformers' pipelines, on real models, asked through a real realm."""

from __future__ import annotations

import io
import json
import math
import wave
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from mtor_swarm.errors import AskError, ModelError
from mtor_swarm.models.store import Store
from mtor_swarm.models.transformers_pipeline import TransformersPipeline, input_of, plain
from mtor_swarm.workers.pipeline import PipelineWorker
from tests.ai import tiny_models
from tests.ros.model_realm import SUCCESS, ModelRealm, configured

Make = Callable[..., ModelRealm]


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return tiny_models.made(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def classifier(models: dict[str, Path]) -> Iterator[ModelRealm]:
    yield from realm("text-classification", models["classifier"], capability="intent")


@pytest.fixture(scope="module")
def writer(models: dict[str, Path]) -> Iterator[ModelRealm]:
    yield from realm("text-generation", models["writer"], max_new_tokens=20)


@pytest.fixture(scope="module")
def seer(models: dict[str, Path]) -> Iterator[ModelRealm]:
    yield from realm("image-classification", models["seer"])


def realm(task: str, model: Path, **more: object) -> Iterator[ModelRealm]:
    parameters = {"task": task, "model": str(model), **more}
    made = ModelRealm(PipelineWorker, configured("any", "transformers", **parameters))
    yield made
    made.close()


def test_texts_are_classified_under_a_name_of_ones_own_and_share_passes(classifier: ModelRealm):
    answers = classifier.ask_all("intent", ["stop now", "go left", "right"] * 10)
    assert all(each.ok for each in answers), answers
    found = [json.loads(each.payload) for each in answers]
    assert {each["label"] for each in found} <= set(tiny_models.LABELS.values())
    assert found[:3] * 10 == [
        {"label": each["label"], "score": pytest.approx(each["score"], abs=1e-5)} for each in found
    ]
    assert classifier.worker.counts["passes"] < classifier.worker.counts["questions"]


def test_a_question_may_set_what_its_task_knows(classifier: ModelRealm):
    question = {"inputs": "stop now", "parameters": {"top_k": 3}}
    whole = json.loads(classifier.ask("intent", json.dumps(question).encode()).payload)
    assert sorted(each["label"] for each in whole) == ["go", "stop", "turn"]
    optional = classifier.ask("intent", "stop now", options={"top_k": "3"})
    assert json.loads(optional.payload) == whole
    several = json.loads(classifier.ask("intent", b'["stop", "go now"]').payload)
    assert len(several) == 2


@pytest.mark.parametrize(
    ("payload", "told"),
    [
        (b"{", "send a text, or JSON"),
        (b"\xff", "send a text, or JSON"),
        (b'{"inputs": "a", "parameters": 3}', "send JSON as"),
        (b'{"inputs": "a", "parameters": {"device": 1}}', "may not set device; it may set"),
        (b'{"inputs": "a", "parameters": {"top_k": {}}}', "parameters: "),
        (b'{"inputs": "a", "parameters": {"max_new_tokens": 0}}', "parameters: "),
        (b"17", "text-classification: "),
        (json.dumps(["a"] * 65).encode(), "65 inputs; send 64 at most"),
    ],
)
def test_a_bad_question_is_told_and_no_fault_of_the_worker(
    classifier: ModelRealm, payload: bytes, told: str
):
    answer = classifier.ask("intent", payload)
    assert not answer.ok
    assert answer.reason.startswith("intent: ") or told == "text-classification: "
    assert told in answer.reason
    assert not answer.retryable
    assert classifier.worker.counts["faults"] == 0


def test_a_text_is_written_and_bounded(writer: ModelRealm):
    question = {"inputs": "stop now", "parameters": {"max_new_tokens": 10**6, "do_sample": False}}
    (found,) = json.loads(writer.ask("text-generation", json.dumps(question).encode()).payload)
    words = found["generated_text"].split()
    assert words
    assert len(words) <= 20


def test_a_text_is_told_in_parts_as_it_is_written(writer: ModelRealm):
    parts: list[str] = []
    answer = writer.ask(
        "text-generation",
        "go left now",
        stream=True,
        on_part=lambda part: parts.append(part.payload.decode()),
        options={"do_sample": "false"},
    )
    (found,) = json.loads(answer.payload)
    assert len(parts) > 1
    assert "".join(parts).split() == found["generated_text"].split()


def test_a_text_that_nobody_waits_for_is_not_written_to_its_end(models: dict[str, Path]):
    for made in realm("text-generation", models["writer"], max_new_tokens=8000):
        begun: list[object] = []
        asked = made.client.ask(
            "text-generation",
            b"go",
            kind="text/plain",
            timeout_s=60.0,
            on_part=begun.append,
            options={"do_sample": "true"},
        )
        made.until(begun.__len__)
        made.client.cancel(asked.askid)
        assert not made.answer(asked).ok
        assert made.ask("text-generation", "stop", options={"max_new_tokens": "2"}).ok


def test_pictures_are_classified(seer: ModelRealm):
    picture = bytes(cv2.imencode(".jpg", np.full((48, 64, 3), 128, np.uint8))[1])
    answer = seer.ask("image-classification", picture, kind="image/jpeg")
    assert {each["label"] for each in json.loads(answer.payload)} == {"go", "stop", "turn"}


@pytest.mark.parametrize(
    "payload", ["/etc/hostname", b'"http://127.0.0.1:9/cat.jpg"', b'{"inputs": "/etc/hostname"}']
)
def test_no_path_and_no_address_is_read_in_place_of_a_picture(
    seer: ModelRealm, payload: bytes | str
):
    answer = seer.ask("image-classification", payload)
    assert not answer.ok
    assert "send a JPEG, a PNG or a WAV" in answer.reason


def test_features_are_extracted_by_a_model_of_the_manifest():
    Store().fetch("minilm")
    pipeline = TransformersPipeline("feature-extraction", str(Store().path("minilm")))
    job, _ = input_of("text", "text/plain", b"stop at once")
    from mtor_swarm.models.transformers_pipeline import Job

    ((tokens,),) = pipeline.run([Job(job, {})])
    assert np.array(tokens).shape == (5, 384)
    pipeline.close()
    with pytest.raises(ModelError, match="closed"):
        pipeline.run([Job(job, {})])


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({}, "model '': neither a model of the manifest"),
        ({"task": "dreaming"}, "task 'dreaming': Unknown task dreaming, available tasks are"),
        ({"task": ""}, "task '': Unknown task"),
        ({"task": "image-classification"}, "cannot be loaded"),
        ({"task": "text-classification", "harm": "model.safetensors"}, "cannot be loaded"),
        ({"task": "text-classification", "harm": "tokenizer.json"}, "cannot be loaded"),
        ({"task": "text-classification", "pickle": True}, "cannot be loaded"),
    ],
)
def test_a_load_that_fails_says_why(tmp_path: Path, parameters: dict, told: str):
    models = tiny_models.made(tmp_path)
    harm, pickle = parameters.pop("harm", ""), parameters.pop("pickle", False)
    folder = models["classifier"]
    if harm:
        (folder / harm).write_bytes((folder / harm).read_bytes()[:500])
    if pickle:
        (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    if parameters:
        parameters["model"] = str(folder)
    made = ModelRealm(PipelineWorker, configured("any", "transformers", **parameters), load=False)
    try:
        assert made.worker.trigger_configure() != SUCCESS
        assert told in made.failure()
    finally:
        made.close()


def wav(seconds: float, *, width: int = 2) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setparams((2, width, 8000, 0, "NONE", ""))
        out.writeframes(bytes(range(128)) * math.ceil(seconds * 8000 * 2 * width / 128))
    return file.getvalue()


def test_a_sound_is_the_mean_of_its_channels():
    found, _ = input_of("multimodal", "audio/wav", wav(0.5))
    assert found["sampling_rate"] == 8000
    assert found["raw"].shape == (4000,)
    assert found["raw"].dtype == np.float32
    assert np.abs(found["raw"]).max() < 1


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (b"", "no WAV"),
        (b"RIFF", "no WAV"),
        (wav(0.1)[:30], "no WAV"),
        (wav(0.1, width=1), "16 bits"),
        (wav(61), "60 s"),
    ],
)
def test_what_is_no_sound_is_told(raw: bytes, told: str):
    with pytest.raises(AskError, match=told):
        input_of("audio", "audio/wav", raw)


def test_whatever_a_pipeline_says_becomes_plain():
    from PIL import Image

    said = {"a": np.float32(0.5), 1: (np.arange(2), [None, "x"]), "mask": Image.new("L", (2, 2))}
    found = plain(said)
    assert found["a"] == 0.5
    assert found["1"] == [[0, 1], [None, "x"]]
    assert found["mask"].startswith("iVBOR")
