"""Makes a CUDA-built torchvision importable beside a CPU-only torch.

The only CPU torch on PyPI's own index has no torchvision built for it, and the one that is there
fails at import with "operator torchvision::nms does not exist", which takes ultralytics and
transformers with it. Where its native library cannot be loaded, `nms` is defined in Python before
torchvision is imported. Where both match, nothing is done.
"""

from __future__ import annotations

import functools
import importlib.util
from pathlib import Path
from typing import Any

_SIGNATURE = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


@functools.cache
def apply() -> bool:
    """Cure this process if it needs it; call before anything imports torchvision.

    True if `nms` was defined here. Once per process; later calls answer the same.
    """
    import torch

    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None or torch.version.cuda is not None:
        return False
    if _loads_natively(torch, Path(spec.origin).parent):
        return False
    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):  # torchvision names both at import; only `nms` is called here
        library.define(name + _SIGNATURE)
    library.impl("nms", suppress, "CPU")
    _kept.append(library)
    _vouch_for_the_operator()
    return True


_kept: list[Any] = []
"""A torch library unregisters its operators when it is collected."""


def _loads_natively(torch: Any, folder: Path) -> bool:
    for library in folder.glob("_C*.so"):
        try:
            torch.ops.load_library(str(library))
        except OSError:
            return False
        return True
    return False


def _vouch_for_the_operator() -> None:
    """torchvision asks whether its native library was loaded before it calls any operator."""
    from torchvision import extension
    from torchvision.ops import boxes

    for module in (extension, boxes):
        module._has_ops = lambda: True
        module._assert_has_ops = lambda: None


def suppress(boxes: Any, scores: Any, threshold: float) -> Any:
    """Greedy non-maximum suppression: indices of the boxes kept, best score first.

    `boxes` is (n, 4) as x0, y0, x1, y1; `scores` (n,). A box goes when its intersection over
    union with a better one that stays exceeds `threshold`.
    """
    import torch

    order = scores.argsort(descending=True, stable=True)
    low, high = boxes[:, :2], boxes[:, 2:]
    area = (high - low).prod(dim=1)
    kept = []
    while order.numel():
        best, rest = order[0], order[1:]
        kept.append(best)
        sides = torch.minimum(high[best], high[rest]) - torch.maximum(low[best], low[rest])
        shared = sides.clamp(min=0).prod(dim=1)
        order = rest[shared <= threshold * (area[best] + area[rest] - shared)]
    return torch.stack(kept) if kept else order
