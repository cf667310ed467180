"""Pictures with what was seen drawn on them, small enough to be sent around as thumbnails."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np

from mtor_swarm.ports import Detection, Picture

MAX_JPEG_BYTES = 15_000
_WIDTH_PX = 320
_QUALITIES = (80, 60, 40, 20)


def annotated_jpeg(picture: Picture, detections: Sequence[Detection]) -> bytes:
    """The picture, at most 320 pixels wide, with boxes, labels and scores: at most 15 KB."""
    import cv2

    height, width = picture.shape[:2]
    scale = min(1.0, _WIDTH_PX / width)
    while True:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        for each in detections:
            _draw(small, each, scale)
        for quality in _QUALITIES:
            _, raw = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, quality])
            if len(raw) <= MAX_JPEG_BYTES:
                return bytes(raw)
        scale /= 2


def _draw(picture: Picture, detection: Detection, scale: float) -> None:
    """One box with its label above it, or inside where the box touches the top."""
    import cv2

    left, top = int(detection.left * scale), int(detection.top * scale)
    right = int((detection.left + detection.width) * scale)
    bottom = int((detection.top + detection.height) * scale)
    colour = _colour(detection.label)
    cv2.rectangle(picture, (left, top), (right, bottom), colour, 2)
    text = f"{detection.label} {detection.score:.2f}"
    (width, height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.45, 1)
    base = top - 3 if top > height + 5 else top + height + 4
    cv2.rectangle(picture, (left, base - height - 3), (left + width + 4, base + 3), colour, -1)
    cv2.putText(
        picture, text, (left + 2, base), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (0, 0, 0), 1, cv2.LINE_AA
    )


def _colour(label: str) -> tuple[int, int, int]:
    """A light colour that is the same for a label in every process (BGR)."""
    rng = np.random.default_rng(zlib.crc32(label.encode()))
    blue, green, red = rng.integers(110, 256, 3).tolist()
    return blue, green, red
