"""Belief: where the target is, fused from what all units say they see.

Sightings that lie near each other are one place; a place counts once enough frames agree, or once
another unit, which asks as much of itself, has announced it. A lone mistake far away stays a place
of its own and moves nothing. A place where a unit looks and sees nothing is struck out, and must
then be seen three times as often before it counts again.
"""

from __future__ import annotations

from collections import deque

import msgspec

MAX_PLACES = 16
MAX_SIGHTINGS = 40
"""Kept per place: some 15 s of one camera, enough for a mean that no single frame moves."""
SHUN_S = 60.0
NEAREST_M = 0.5
"""Nearer than this a sighting weighs no more."""
OUTWEIGH = 1.5
"""A second place must weigh this much more to be believed instead of the first."""


def weight(score: float, distance_m: float) -> float:
    """What a sighting counts: the position's variance grows with the distance squared."""
    return score / max(distance_m, NEAREST_M) ** 2


class Place(msgspec.Struct):
    """Sightings that agree: (x, y, weight) each, in frame `map`."""

    seen: deque[tuple[float, float, float]]
    frames: int = 0
    needed: int = 1
    last_s: float = 0.0
    looked_in_vain_s: float = 0.0

    @property
    def counts(self) -> bool:
        return self.frames >= self.needed

    @property
    def total(self) -> float:
        return sum(w for _, _, w in self.seen)

    @property
    def centre(self) -> tuple[float, float]:
        """The weighted mean (x, y)."""
        total = self.total
        return (
            sum(x * w for x, _, w in self.seen) / total,
            sum(y * w for _, y, w in self.seen) / total,
        )

    @property
    def patience_s(self) -> float:
        """How long to look in vain before giving it up: longer the more it was seen."""
        return 4.0 + 0.5 * min(self.frames, 12)


class Belief:
    """What one unit believes of the target's place. Pure: times are given, seconds."""

    def __init__(self, *, agree_m: float, needed: int) -> None:
        self._agree_m = agree_m
        self._needed = needed
        self._places: list[Place] = []
        self._shunned: deque[tuple[float, float, float]] = deque(maxlen=MAX_PLACES)
        self._held: Place | None = None

    @property
    def place(self) -> Place | None:
        """The place that is believed, or None."""
        sure = [each for each in self._places if each.counts]
        best = max(sure, key=lambda each: each.total, default=None)
        held = self._held if self._held in sure else None
        if held is None or (best is not None and best.total > OUTWEIGH * held.total):
            self._held = best
        return self._held

    def see(
        self, x_m: float, y_m: float, weight: float, now: float, *, sure: bool = False
    ) -> Place:
        """Take in one sighting (`sure`: another unit's announcement); returns its place."""
        place = self._near(x_m, y_m)
        if place is None:
            place = Place(deque(maxlen=MAX_SIGHTINGS), needed=self._asked(x_m, y_m, now))
            self._places.append(place)
            if len(self._places) > MAX_PLACES:
                others = [each for each in self._places if each is not self._held]
                self._places.remove(min(others, key=lambda each: (each.counts, each.last_s)))
        if now > place.last_s or not place.seen:
            place.frames += 1
        if sure:
            place.frames = max(place.frames, self._needed)
        place.seen.append((x_m, y_m, weight))
        place.last_s = now
        place.looked_in_vain_s = 0.0
        return place

    def strike(self, x_m: float, y_m: float, now: float) -> bool:
        """The target is not there: forget the place; False if there is none so near."""
        place = self._near(x_m, y_m)
        self._shunned.append((x_m, y_m, now + SHUN_S))
        if place is None:
            return False
        self._places.remove(place)
        return True

    def clear(self) -> None:
        """Begin anew."""
        self._places.clear()
        self._shunned.clear()
        self._held = None

    def _near(self, x_m: float, y_m: float) -> Place | None:
        def far(place: Place) -> float:
            x, y = place.centre
            return float(((x - x_m) ** 2 + (y - y_m) ** 2) ** 0.5)

        best = min(self._places, key=far, default=None)
        return best if best is not None and far(best) <= self._agree_m else None

    def _asked(self, x_m: float, y_m: float, now: float) -> int:
        for x, y, until in self._shunned:
            if now < until and ((x - x_m) ** 2 + (y - y_m) ** 2) ** 0.5 <= self._agree_m:
                return 3 * self._needed
        return self._needed
