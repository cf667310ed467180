"""Compressed pictures from a camera or from whoever asks, decoded within bounds."""

from __future__ import annotations

from array import array

import numpy as np

from mtor_swarm.ports import Picture

MAX_PICTURE_BYTES = 4 << 20
"""A larger compressed picture is not decoded. Its pixels are bounded in `models/__init__`."""


def decoded(raw: bytes | array[int]) -> Picture | None:
    """The picture in a JPEG or PNG, or None if there is none, or too large a one."""
    import cv2

    if not 0 < len(raw) <= MAX_PICTURE_BYTES:
        return None
    try:
        picture: Picture | None = cv2.imdecode(np.frombuffer(raw, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        return None
    return picture
