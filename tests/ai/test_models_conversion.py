"""The conversion on a network small enough to reckon by hand, run by the real onnxruntime."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from mtor_swarm.errors import ModelError
from mtor_swarm.models.tfjs_ssd import convert

SIZE, CLASSES = 64, 91
LABELS = [f"class {number}" for number in range(80)]
ANCHORS_OF = (3, 1, 1, 1, 1, 1)
"""Per head; each head has one cell."""
OFFSET = (1.0, -2.0, 0.5, -0.5)
"""y, x, height, width, as the box coder scales them."""


def attributes(stride: int) -> dict[str, Any]:
    return {
        "strides": {"list": {"i": ["1", str(stride), str(stride), "1"]}},
        "dilations": {"list": {"i": ["1", "1", "1", "1"]}},
        "padding": {"s": list(b"SAME")},
    }


def network(*, logits: np.ndarray) -> dict[str, bytes]:
    """Six heads whose weights are zero, so that their biases are what comes out."""
    nodes: list[dict[str, Any]] = []
    weights: dict[str, np.ndarray] = {}
    for index, anchors in enumerate(ANCHORS_OF):
        for kind, shape, values in (
            ("BoxEncodingPredictor", "Reshape", np.array(OFFSET)),
            ("ClassPredictor", "Reshape_1", logits),
        ):
            name = f"BoxPredictor_{index}/{kind}"
            weights[f"{name}/weights"] = np.zeros((1, 1, 3, anchors * len(values)))
            weights[f"{name}/biases"] = np.tile(values, anchors)
            nodes += [
                {
                    "name": f"{name}/Conv2D",
                    "op": "Conv2D",
                    "input": ["Preprocessor/sub", f"{name}/weights"],
                    "attr": attributes(SIZE),
                },
                {
                    "name": f"{name}/BiasAdd",
                    "op": "BiasAdd",
                    "input": [f"{name}/Conv2D", f"{name}/biases"],
                    "attr": {},
                },
                {
                    "name": f"BoxPredictor_{index}/{shape}",
                    "op": "Reshape",
                    "input": [f"{name}/BiasAdd"],
                    "attr": {},
                },
            ]
    corners = np.tile([0.25, 0.5, 0.75, 0.75], (sum(ANCHORS_OF), 1))  # y0, x0, y1, x1
    weights["Postprocessor/ExpandDims"] = corners[None]
    described = [
        {"name": name, "shape": list(value.shape), "dtype": "float32"}
        for name, value in weights.items()
    ]
    shard = b"".join(value.astype(np.float32).tobytes() for value in weights.values())
    model = {
        "modelTopology": {"node": nodes},
        "weightsManifest": [{"paths": ["shard"], "weights": described}],
    }
    return {"model.json": json.dumps(model).encode(), "shard": shard}


def changed(files: dict[str, bytes], change: Any) -> dict[str, bytes]:
    model = json.loads(files["model.json"])
    change(model)
    return {**files, "model.json": json.dumps(model).encode()}


def test_boxes_are_decoded_and_classes_without_a_name_left_out():
    logits = np.full(CLASSES, -20.0)
    logits[[0, 12, 17]] = 20.0, 20.0, 2.0  # background, a number COCO does not use, the 16th name
    raw = convert(network(logits=logits), LABELS, SIZE)
    import onnxruntime  # after mtor_swarm.models, which keeps it from sending telemetry

    session = onnxruntime.InferenceSession(raw, providers=["CPUExecutionProvider"])
    (out,) = session.run(None, {"images": np.zeros((1, 3, SIZE, SIZE), np.float32)})
    assert out.shape == (1, 84, sum(ANCHORS_OF))
    # The anchor: centre (0.625, 0.5), size 0.25 by 0.5 of 64 pixels.
    x, y, width, height = out[0, :4, 0]
    assert x == pytest.approx(64 * (0.625 - 2.0 / 10 * 0.25))
    assert y == pytest.approx(64 * (0.5 + 1.0 / 10 * 0.5))
    assert width == pytest.approx(64 * 0.25 * np.exp(-0.5 / 5))
    assert height == pytest.approx(64 * 0.5 * np.exp(0.5 / 5))
    scores = out[0, 4:, 0]
    assert scores.argmax() == 15
    assert scores[15] == pytest.approx(1 / (1 + np.exp(-2.0)))
    assert np.sort(scores)[-2] < 1e-6
    assert np.ptp(out, axis=2).max() == 0


def test_the_same_input_gives_the_same_file():
    files = network(logits=np.zeros(CLASSES))
    assert convert(files, LABELS, SIZE) == convert(files, LABELS, SIZE)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda m: m["modelTopology"]["node"][0].update(op="Softmax"), "Softmax"),
        (lambda m: m["modelTopology"]["node"].clear(), "not a TensorFlow.js SSD"),
        (lambda m: m["weightsManifest"][0]["weights"].pop(), "shards hold"),
        (lambda m: m["weightsManifest"][0]["weights"][0].update(shape=[10**6]), "not a Tensor"),
        (lambda m: m["weightsManifest"][0]["weights"][0].update(quantization={}), "quantised"),
        (lambda m: m["weightsManifest"][0]["paths"].append("gone"), "gone"),
        (
            lambda m: m["modelTopology"]["node"][0]["attr"]["padding"].update(s=[70]),
            "not a TensorFlow.js SSD",
        ),
        (
            lambda m: m["modelTopology"]["node"][0]["attr"]["dilations"]["list"].update(i=["2"]),
            "dilated",
        ),
    ],
)
def test_what_is_not_as_expected_is_one_error_that_says_so(change: Any, told: str):
    files = changed(network(logits=np.zeros(CLASSES)), change)
    with pytest.raises(ModelError, match=told):
        convert(files, LABELS, SIZE)


def test_labels_must_match_the_classes():
    with pytest.raises(ModelError, match="2 labels where the model has 80 classes"):
        convert(network(logits=np.zeros(CLASSES)), ["a", "b"], SIZE)


def test_text_that_is_no_model_is_one_error():
    with pytest.raises(ModelError, match=r"not a TensorFlow\.js SSD"):
        convert({"model.json": b"{"}, LABELS, SIZE)
