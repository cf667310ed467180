"""TensorFlow.js SSD detectors become ONNX files that `ultralytics.YOLO(…, task="detect")` loads.

An SSD (Liu et al., arXiv 1512.02325; here SSDLite on MobileNetV2, arXiv 1801.04381) gives, for
each anchor, an offset and class scores. The graph written here carries the network over operation
by operation, decodes the offsets inside it (box coder scales 10, 10, 5, 5) and puts out what a
YOLO head does: shape (1, 4 + classes, anchors), rows x centre, y centre, width, height in input
pixels, then one score per class. The input `images` is (1, 3, size, size), RGB, 0 to 1.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtor_swarm.errors import ModelError

REVISION = 1
"""Goes up whenever the same input gives another file, so that caches convert anew."""

Tensor = NDArray[Any]
_IMAGE = "Preprocessor/sub"
_ANCHORS = "Postprocessor/ExpandDims"
_FIFTH = np.float32(0.2)
_COCO_UNUSED = {0, 12, 26, 29, 30, 45, 66, 68, 69, 71, 83}
"""Of the 91 ids that COCO numbers its classes by (0 is the background), those with no class."""


def convert(files: Mapping[str, bytes], labels: Sequence[str], size: int) -> bytes:
    """The model as ONNX (opset 17) with the metadata that ultralytics reads.

    `files` holds `model.json` and the shards it names, `labels` the names of the classes in the
    order of their COCO ids, `size` the side of the square input in pixels. ModelError says what
    in the files is not as expected.
    """
    try:
        topology = json.loads(files["model.json"])
        graph = _Graph(topology["modelTopology"]["node"], _weights(topology, files))
        return graph.build(labels, size)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise ModelError(f"not a TensorFlow.js SSD as expected: {error!r}") from error


def _weights(topology: Mapping[str, Any], files: Mapping[str, bytes]) -> dict[str, Tensor]:
    """Every weight by its name: each group of shards is one buffer, weights end to end."""
    found: dict[str, Tensor] = {}
    for group in topology["weightsManifest"]:
        buffer = b"".join(files[path] for path in group["paths"])
        offset = 0
        for each in group["weights"]:
            if "quantization" in each:
                raise ModelError(f"weight {each['name']} is quantised: only plain ones are read")
            kind, count = np.dtype(each["dtype"]), math.prod(each["shape"])
            flat = np.frombuffer(buffer, kind, count, offset)
            found[each["name"]] = flat.reshape(each["shape"])
            offset += count * kind.itemsize
        if offset != len(buffer):
            raise ModelError(f"shards hold {len(buffer)} bytes where {offset} are described")
    return found


class _Graph:
    """The ONNX graph under construction: NHWC becomes NCHW on the way."""

    def __init__(self, nodes: Sequence[Mapping[str, Any]], weights: dict[str, Tensor]) -> None:
        try:
            import onnx
        except ImportError:
            raise ModelError(
                "converting weights needs onnx: pip install 'mtor_swarm[ai]'"
            ) from None
        self._onnx = onnx
        self._source = {node["name"]: node for node in nodes}
        self._weights = weights
        self._nodes: list[Any] = []
        self._constants: dict[str, Any] = {}
        self._done: dict[str, str] = {}

    def build(self, labels: Sequence[str], size: int) -> bytes:
        """The finished, checked model."""
        self._done[_IMAGE] = self._emit(
            "Sub",
            self._emit("Mul", "images", self._constant("two", np.float32(2))),
            self._constant("one", np.float32(1)),
        )
        anchors = self._weights[_ANCHORS].reshape(-1, 4)
        self._emit(
            "Concat", self._boxes(anchors, size), self._scores(labels), out="output0", axis=1
        )
        return self._model(labels, size, len(anchors))

    def _boxes(self, anchors: Tensor, size: int) -> str:
        """Offsets (y, x, h, w) against anchors (y0, x0, y1, x1 in 0 to 1) → centre and size."""
        low, high = anchors[:, :2].T[::-1], anchors[:, 2:].T[::-1]  # (x, y) by anchor
        sides = ((high - low) * size).astype(np.float32)[None]
        centres = ((high + low) / 2 * size).astype(np.float32)[None]
        offsets = self._heads("Reshape", 4)
        shift = self._emit("Gather", offsets, self._constant("xy", np.array([1, 0])), axis=1)
        scale = self._emit("Gather", offsets, self._constant("wh", np.array([3, 2])), axis=1)
        moved = self._emit("Mul", shift, self._constant("sides_tenth", sides / np.float32(10)))
        centre = self._emit("Add", moved, self._constant("centres", centres))
        grown = self._emit("Exp", self._emit("Mul", scale, self._constant("fifth", _FIFTH)))
        side = self._emit("Mul", grown, self._constant("sides", sides))
        return self._emit("Concat", centre, side, axis=1)

    def _scores(self, labels: Sequence[str]) -> str:
        """Sigmoid scores of the classes that have a name."""
        count = len(self._weights["BoxPredictor_0/ClassPredictor/biases"]) // 3
        used = [each for each in range(count) if each not in _COCO_UNUSED]
        if len(used) != len(labels):
            raise ModelError(f"{len(labels)} labels where the model has {len(used)} classes")
        logits = self._emit(
            "Gather",
            self._heads("Reshape_1", count),
            self._constant("used", np.array(used)),
            axis=1,
        )
        return self._emit("Sigmoid", logits)

    def _heads(self, reshape: str, depth: int) -> str:
        """The six predictors' outputs end to end: (1, depth, anchors)."""
        shape = self._constant(f"rows_of_{depth}", np.array([1, -1, depth]))
        rows = [
            self._emit(
                "Reshape",
                self._emit("Transpose", self._value(self._inputs(name)[0]), perm=[0, 2, 3, 1]),
                shape,
            )
            for name in (f"BoxPredictor_{i}/{reshape}" for i in range(6))
        ]
        return self._emit("Transpose", self._emit("Concat", *rows, axis=1), perm=[0, 2, 1])

    def _value(self, name: str) -> str:
        """The ONNX value of a TensorFlow node or weight; emits what leads up to it."""
        if name not in self._done:
            self._done[name] = (
                self._channels(name) if name in self._weights else self._operation(name)
            )
        return self._done[name]

    def _operation(self, name: str) -> str:
        node, inputs = self._source[name], self._inputs(name)
        kind = node["op"]
        first = self._value(inputs[0])
        if kind in {"Conv2D", "DepthwiseConv2dNative"}:
            return self._convolution(node, first, inputs[1], by_channel=kind != "Conv2D")
        if kind == "FusedBatchNorm":
            numbers = [self._constant(each, self._weights[each]) for each in inputs[1:5]]
            epsilon = float(node["attr"]["epsilon"]["f"])
            return self._emit("BatchNormalization", first, *numbers, epsilon=epsilon)
        if kind in {"Add", "AddN", "BiasAdd"}:
            for each in inputs[1:]:
                first = self._emit("Add", first, self._value(each))
            return first
        if kind == "Mul":
            return self._emit("Mul", first, self._value(inputs[1]))
        if kind == "Relu6":
            bounds = (self._constant("zero", np.float32(0)), self._constant("six", np.float32(6)))
            return self._emit("Clip", first, *bounds)
        raise ModelError(f"operation {kind} ({name}) is not known here")

    def _convolution(
        self, node: Mapping[str, Any], image: str, kernel: str, *, by_channel: bool
    ) -> str:
        """TensorFlow's kernels are (h, w, in, out); by channel (h, w, in, out per in)."""
        attributes, weight = node["attr"], self._weights[kernel]
        if any(int(each) != 1 for each in attributes["dilations"]["list"]["i"]):
            raise ModelError(f"{node['name']}: dilated convolutions are not known here")
        groups = weight.shape[2] if by_channel else 1
        turned = weight.transpose(2, 3, 0, 1) if by_channel else weight.transpose(3, 2, 0, 1)
        if by_channel:
            turned = turned.reshape(-1, 1, *weight.shape[:2])
        padding = {"SAME": "SAME_UPPER", "VALID": "VALID"}[_text(attributes["padding"]["s"])]
        return self._emit(
            "Conv",
            image,
            self._constant(f"{kernel}/turned", turned),
            auto_pad=padding,
            strides=[int(each) for each in attributes["strides"]["list"]["i"]][1:3],
            group=groups,
        )

    def _channels(self, name: str) -> str:
        """A weight that is added or multiplied: a vector runs along the channels."""
        weight = self._weights[name]
        return self._constant(
            f"{name}/channels", weight.reshape(-1, 1, 1) if weight.ndim == 1 else weight
        )

    def _inputs(self, name: str) -> list[str]:
        return [each.split(":")[0] for each in self._source[name]["input"]]

    def _constant(self, name: str, value: Tensor | np.float32) -> str:
        if name not in self._constants:
            array = np.ascontiguousarray(value).reshape(np.shape(value))
            self._constants[name] = self._onnx.numpy_helper.from_array(array, name)
        return name

    def _emit(self, kind: str, *inputs: str, out: str = "", **attributes: Any) -> str:
        name = out or f"v{len(self._nodes)}"
        self._nodes.append(self._onnx.helper.make_node(kind, inputs, [name], **attributes))
        return name

    def _model(self, labels: Sequence[str], size: int, anchors: int) -> bytes:
        helper, number = self._onnx.helper, self._onnx.TensorProto.FLOAT
        graph = helper.make_graph(
            self._nodes,
            "ssd",
            [helper.make_tensor_value_info("images", number, [1, 3, size, size])],
            [helper.make_tensor_value_info("output0", number, [1, 4 + len(labels), anchors])],
            list(self._constants.values()),
        )
        opset = [helper.make_opsetid("", 17)]
        model = helper.make_model(graph, opset_imports=opset, ir_version=9)
        # ultralytics rounds the input's sides up to a multiple of `stride`: it must divide size.
        facts = {
            "task": "detect",
            "stride": math.gcd(size, 32),
            "batch": 1,
            "imgsz": [size, size],
            "channels": 3,
            "names": dict(enumerate(labels)),
        }
        helper.set_model_props(model, {key: str(value) for key, value in facts.items()})
        self._onnx.checker.check_model(model)
        raw: bytes = model.SerializeToString()
        return raw


def _text(value: str | Sequence[int]) -> str:
    """A string attribute: TensorFlow.js writes it as base64 or as a list of byte values."""
    raw = base64.b64decode(value) if isinstance(value, str) else bytes(value)
    return raw.decode("ascii")
