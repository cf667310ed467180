"""The capability `detect` by ultralytics: any detection weights that `ultralytics.YOLO` loads.

Runs with the number of threads it is given (`.onnx` on the CPU, `.pt` on a GPU as well), says
nothing, reaches for no network, installs nothing and writes only below our own cache. ultralytics
(AGPL-3.0) is an optional extra that users install themselves; it is imported when a detector is
made and not before.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mtor_swarm import paths
from mtor_swarm.errors import ModelError
from mtor_swarm.models import resources, torchvision_cure
from mtor_swarm.ports import Detection, Picture


class UltralyticsDetector:
    """A `ports.Detector` on weights in a file, `.onnx` or `.pt`; to be used from one thread."""

    def __init__(
        self,
        weights: str | Path,
        *,
        confidence: float = 0.4,
        labels: Sequence[str] = (),
        threads: int = 1,
        device: str = "cpu",
    ) -> None:
        """Load and warm up on torch's `device`; of `labels` alone is told, if there are any.

        ModelError if ultralytics is missing, the file cannot be loaded or a label is unknown.
        """
        path = Path(weights)
        if not path.is_file():
            raise ModelError(f"{path}: no such weights: run `mtor models fetch`")
        yolo, predictor = _libraries(path, threads)
        try:
            self._model = yolo(path, task="detect", verbose=False)
            self._settings: dict[str, Any] = {
                "predictor": predictor,
                "conf": confidence,
                "device": "cpu" if path.suffix == ".onnx" else device,
                "verbose": False,
            }
            names = self._names()
        except Exception as error:  # whatever a broken file makes of the libraries
            raise ModelError(
                f"{path}: cannot be loaded ({type(error).__name__}: {_first_line(error)}): "
                "run `mtor models verify`, then `mtor models fetch`"
            ) from error
        unknown = sorted(set(labels) - set(names.values()))
        if unknown:
            raise ModelError(
                f"{path.name} knows no label {', '.join(unknown)}; it knows "
                f"{', '.join(names.values())}"
            )
        self.labels: Sequence[str] = tuple(labels) or tuple(names.values())
        if labels:
            self._settings["classes"] = [key for key, name in names.items() if name in labels]

    def detect(self, picture: Picture) -> list[Detection]:
        """Everything seen above the confidence, best first; boxes lie within the picture."""
        if self._model is None:
            raise ModelError("the detector is closed")
        result = self._model.predict(picture, **self._settings)[0]
        rows = result.boxes.data.tolist()
        return [
            Detection(result.names[int(kind)], score, x0, y0, x1 - x0, y1 - y0)
            for x0, y0, x1, y1, score, kind in rows
        ]

    def close(self) -> None:
        """Let go of the model's memory; what the libraries hold stays until the process ends."""
        self._model = None

    def _names(self) -> dict[int, str]:
        """Class names by number; the first picture, a black one, is what loads the network."""
        result = self._model.predict(np.zeros((64, 64, 3), np.uint8), **self._settings)[0]
        names: dict[int, str] = result.names
        return names


def _libraries(weights: Path, threads: int) -> tuple[Any, type[Any]]:
    """ultralytics' YOLO and our predictor for it, with every library bound to `threads`."""
    cache = paths.cache_home()
    cache.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("YOLO_CONFIG_DIR", str(cache))
    resources.bound(threads)
    try:
        if weights.suffix != ".onnx":  # otherwise nothing imports torchvision: 80 MB, 1.4 s
            torchvision_cure.apply()
        from ultralytics import YOLO
    except ImportError as error:
        raise ModelError(
            f"the detector needs ultralytics ({error}): pip install 'mtor_swarm[ai]'"
        ) from error
    resources.bound(threads)
    return YOLO, _predictor(threads)


def _predictor(threads: int) -> type[Any]:
    """ultralytics' predictor without its warm-up and with a lean ONNX session."""
    from ultralytics.models.yolo.detect import DetectionPredictor

    class Lean(DetectionPredictor):  # type: ignore[misc]
        def setup_model(self, model: Any, verbose: bool = False) -> None:
            super().setup_model(model, verbose=verbose)
            # On a CPU the warm-up runs no network; it only imports torchvision.
            self.done_warmup = True
            backend = self.model.backend
            if getattr(backend, "format", "") == "onnx":
                backend.session = _session(str(model), threads)

    return Lean


def _session(path: str, threads: int) -> Any:
    """An ONNX session that takes no more threads than told and does not spin while idle."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or ["no reason given"])[0]
