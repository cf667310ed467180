"""The store of events, and whom they are pushed to.

Eager push to `neighbours` live members: the successor in the ring of sorted ids, so that the
overlay is connected at any size, and random others, so that it is shallow.
"""

from __future__ import annotations

import random
from collections import OrderedDict

from mtor_swarm.swarm.gossip.wire import Record

StreamKey = tuple[str, int, str]
"""Origin, boot, channel: what order holds in."""


def neighbours(
    me: str, live: list[str], count: int, kept: list[str], rng: random.Random
) -> list[str]:
    """Whom `me` pushes to. Those `kept` from before stay while they live."""
    others = sorted(each for each in live if each != me)
    if len(others) <= count:
        return others
    successor = next((each for each in others if each > me), others[0])
    chosen = [successor]
    chosen += [each for each in kept if each in set(others) and each != successor]
    chosen = chosen[:count]
    rest = [each for each in others if each not in chosen]
    return chosen + rng.sample(rest, count - len(chosen))


class Store:
    """Recent records, bounded in number and age; the oldest to arrive goes first."""

    def __init__(self, most: int, age_s: float) -> None:
        self.most = most
        self.age_s = age_s
        self._records: OrderedDict[tuple[StreamKey, int], tuple[Record, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._records)

    def add(self, key: StreamKey, record: Record, now: float) -> list[tuple[StreamKey, int]]:
        """Keep the record; what had to go for it, as (stream, seq)."""
        self._records[(key, record.seq)] = (record, now)
        return self.expire(now)

    def expire(self, now: float) -> list[tuple[StreamKey, int]]:
        """Let go of what is too old or too much; what went."""
        gone = []
        while self._records:
            name, (_, since) = next(iter(self._records.items()))
            if len(self._records) <= self.most and now - since < self.age_s:
                break
            del self._records[name]
            gone.append(name)
        return gone

    def get(self, key: StreamKey, seq: int) -> Record | None:
        """The record, if it is still here."""
        found = self._records.get((key, seq))
        return found[0] if found else None
