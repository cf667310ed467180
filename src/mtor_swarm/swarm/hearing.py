"""What a member hears: the radio's word on every frame, and the frames that it delays."""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable

from mtor_swarm.ports import Radio
from mtor_swarm.swarm.gossip.effects import Received

MAX_DELAYED = 4096


class Hearing:
    """Frames on their way from the sockets to the member `me`. Pure: times are handed in."""

    def __init__(self, radio: Radio | None, me: str, count: Callable[[str], None]) -> None:
        self._radio = radio
        self._me = me
        self._count = count
        self._delayed: list[tuple[float, int, Received]] = []
        self._order = itertools.count()

    def now(self, item: Received, now: float) -> list[Received]:
        """The frame, if it is heard at once; what comes later is `late`, the rest is counted."""
        if self._radio is None:
            return [item]
        delay_s = self._radio.delay_s(item.sender, self._me)
        if delay_s is None or len(self._delayed) >= MAX_DELAYED:
            self._count("not heard")
            return []
        if delay_s <= 0:
            return [item]
        heapq.heappush(self._delayed, (now + delay_s, next(self._order), item))
        return []

    @property
    def due(self) -> float:
        """When the next delayed frame is heard."""
        return self._delayed[0][0] if self._delayed else math.inf

    def late(self, now: float) -> list[Received]:
        """The delayed frames that are heard by now."""
        found = []
        while self.due <= now:
            found.append(heapq.heappop(self._delayed)[2])
        return found
