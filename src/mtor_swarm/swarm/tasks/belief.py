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
"""A second place must have this many times the sightings to be believed instead of the first."""
DOUBTFUL_S, STALE_S = 5.0, 60.0
"""A place that does not count yet, or does, is forgotten when not seen for so long."""
CREDIT_S = 1.5
"""A sighting makes up for this long of looking in vain: a target is seen in most frames, a mistake
in few, so that the balance falls for the one and rises for the other."""


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
    def centre(self) -> tuple[float, float]:
        """The weighted mean (x, y)."""
        total = sum(w for _, _, w in self.seen)
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

    def __init__(self, *, agree_m: float, needed: int, kept: int = MAX_SIGHTINGS) -> None:
        """`kept` sightings of a place count, the newest: few for a target that moves."""
        self._agree_m = agree_m
        self._needed = needed
        self._kept = kept
        self._places: list[Place] = []
        self._shunned: deque[tuple[float, float, float]] = deque(maxlen=MAX_PLACES)
        self._held: Place | None = None

    def place(self, now: float) -> Place | None:
        """The place that is believed, or None."""
        self._places = [
            each
            for each in self._places
            if now - each.last_s <= (STALE_S if each.counts else DOUBTFUL_S)
        ]
        sure = [each for each in self._places if each.counts]
        best = max(sure, key=lambda each: len(each.seen), default=None)
        held = self._held if any(each is self._held for each in sure) else None
        if held is None or (best and len(best.seen) > OUTWEIGH * len(held.seen)):
            self._held = best
        return self._held

    def see(
        self, x_m: float, y_m: float, weight: float, now: float, *, sure: bool = False
    ) -> Place:
        """Take in one sighting (`sure`: another unit's announcement); returns its place."""
        self.place(now)  # what is too old is gone before it can agree
        place = self._near(x_m, y_m)
        if place is None:
            place = Place(deque(maxlen=self._kept), needed=self._asked(x_m, y_m, now))
            self._places.append(place)
            if len(self._places) > MAX_PLACES:
                others = [each for each in self._places if each is not self._held]
                oldest = min(others, key=lambda each: (each.counts, each.last_s))
                self._places = [each for each in self._places if each is not oldest]
        if now > place.last_s or not place.seen:
            place.frames += 1
        if sure:
            place.frames = max(place.frames, self._needed)
        place.seen.append((x_m, y_m, weight))
        place.last_s = now
        place.looked_in_vain_s = max(0.0, place.looked_in_vain_s - CREDIT_S)
        return place

    def strike(self, x_m: float, y_m: float, now: float) -> bool:
        """The target is not there: forget the place; False if there is none so near."""
        place = self._near(x_m, y_m)
        self._shunned.append((x_m, y_m, now + SHUN_S))
        if place is None:
            return False
        self._places = [each for each in self._places if each is not place]
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
