"""What callers want done and the swarm's thread has not done yet: bounded, the most urgent first.

Events wait here while peers cannot keep up with those before them. So a caller that says more than
the swarm can carry is told, and nothing that was accepted is lost.
"""

from __future__ import annotations

import heapq
import itertools
import threading

from mtor_swarm.errors import SwarmError
from mtor_swarm.events import NOTICE
from mtor_swarm.swarm.gossip import effects as fx

MOST = 4096
"""More are refused."""
MOST_URGENT = 256
"""Room that only stops and commands may take."""
BURST = 64
"""Events taken at a time; then what peers say is heard before there are more."""


class Outgoing:
    """A queue from any thread to the swarm's."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._order = itertools.count()
        self._waiting: list[tuple[int, int, fx.Input]] = []

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, item: fx.Input, priority: int) -> None:
        """Add it; SwarmError if too many wait already."""
        most = MOST if priority >= NOTICE else MOST + MOST_URGENT
        with self._lock:
            if len(self._waiting) >= most:
                raise SwarmError(f"{most} things wait to be sent already: slow down")
            heapq.heappush(self._waiting, (priority, next(self._order), item))

    def take(self, has_room: bool) -> list[fx.Input]:
        """What is to be done now: of common events none while there is no room, else a burst."""
        room = BURST if has_room else 0
        taken: list[fx.Input] = []
        kept: list[tuple[int, int, fx.Input]] = []
        with self._lock:
            for each in sorted(self._waiting):
                common = each[0] >= NOTICE and isinstance(each[2], fx.Published)
                if common and room <= 0:
                    kept.append(each)
                else:
                    room -= common
                    taken.append(each[2])
            self._waiting = kept
        return taken
