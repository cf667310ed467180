"""How much of a picture looks like smoke, and whether that is more than usual. Pure.

Smoke is pale and soft, and nothing in it is dark: the darkest of the three colours around a
point, which is near zero almost everywhere in a clear picture, is lifted (the dark channel: He,
Sun, Tang, "Single image haze removal using dark channel prior", CVPR 2009). So may be a wall:
what counts is that there is suddenly more of it.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

WIDTH = 160
PALE = 0.3
"""The most saturation (0 to 1) that smoke has."""
LIFTED = 70
"""The least that its darkest colour is, of 255."""
SOFT = (1.0, 15.0)
"""The standard deviation of brightness around a point: more than a painted wall's, no edges."""
FORGET = 0.02
"""The share that a picture has in what is usual."""


def share(picture: NDArray[np.uint8]) -> float:
    """The share of a picture, shape (height, width, 3), that looks like smoke: 0 to 1."""
    height, width = picture.shape[:2]
    size = (WIDTH, max(1, round(WIDTH * height / width)))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    light, dark = small.max(axis=2), small.min(axis=2)
    pale = light - dark < PALE * light
    lifted = cv2.erode(dark, np.ones((7, 7))) > LIFTED
    mean = cv2.boxFilter(light, -1, (9, 9))
    spread = np.sqrt(np.maximum(cv2.boxFilter(light * light, -1, (9, 9)) - mean * mean, 0))
    soft = (spread > SOFT[0]) & (spread < SOFT[1])
    return float((pale & lifted & soft).mean())


class Watch:
    """Rings once when the share has risen for some pictures on end; again after it fell."""

    def __init__(self) -> None:
        self.usual: float | None = None
        self.ringing = False
        self._above = 0

    def look(self, share: float, rise: float, pictures: int) -> bool:
        """Whether to ring now: `share` was `rise` above the usual in so many pictures."""
        if self.usual is None:
            self.usual = share
        if share < self.usual + rise:
            self.usual += FORGET * (share - self.usual)
            self._above, self.ringing = 0, False
            return False
        self._above += 1
        rings = self._above >= pictures and not self.ringing
        self.ringing = self.ringing or rings
        return rings
