"""Which workers answer what, how busy each is, and how long an ask would wait for one."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from mtor_swarm.realm.ask_wire import Offer

MAX_SLOTS = 1024
"""Pairs of worker and capability that are known at a time."""
SMOOTHING = 0.2
"""The share that the newest answer has in the mean time of a capability's answers."""
UNKNOWN_S = 0.2
"""What an answer is thought to take before the first has come."""


@dataclass(slots=True, eq=False)
class Slot:
    """One worker's room for one capability; `running`: the turns that it was given, and when."""

    offer: Offer
    running: dict[int, float] = field(default_factory=dict)
    paused_until_s: float = 0.0
    """It said that it is busy, and when to come back."""
    used: int = 0
    """The last turn that it was given."""
    ended_s: float = 0.0
    """When it gave the last one back."""

    @property
    def worker(self) -> str:
        return self.offer.worker

    @property
    def room(self) -> int:
        """Asks that it can take now."""
        return self.offer.concurrency - len(self.running)


class Roster:
    """The realm's workers, as far as asks are concerned."""

    def __init__(self) -> None:
        self._slots: dict[str, dict[str, Slot]] = {}
        self._up: set[str] = set()
        self._means: dict[str, float] = {}

    def offered(self, offer: Offer) -> bool:
        """A worker's word; False if there are too many."""
        known = self._slots.get(offer.capability, {}).get(offer.worker)
        if known is not None:
            known.offer = offer
        elif sum(map(len, self._slots.values())) >= MAX_SLOTS:
            return False
        else:
            self._slots.setdefault(offer.capability, {})[offer.worker] = Slot(offer)
        return True

    def up(self, worker: str) -> None:
        """It may be given asks from now on."""
        self._up.add(worker)
        for slot in self.of(worker):
            slot.paused_until_s = 0.0

    def down(self, worker: str) -> None:
        """It is given no more."""
        self._up.discard(worker)

    def forget(self, worker: str) -> None:
        """It is no part of the realm any more."""
        self._up.discard(worker)
        for capability, slots in list(self._slots.items()):
            slots.pop(worker, None)
            if not slots:
                del self._slots[capability]
                self._means.pop(capability, None)

    def ups(self) -> list[str]:
        """The workers that are at work."""
        return sorted(self._up)

    def of(self, worker: str) -> list[Slot]:
        """All that this worker answers."""
        return [slots[worker] for slots in self._slots.values() if worker in slots]

    def known(self, capability: str) -> Iterator[Slot]:
        """Who answers it, at work or not."""
        yield from self._slots.get(capability, {}).values()

    def at_work(self, capability: str) -> list[Slot]:
        """Who answers it and is up."""
        return [each for each in self.known(capability) if each.worker in self._up]

    def capabilities(self) -> list[str]:
        """All that somebody here answers, at work or not."""
        return sorted(self._slots)

    def choose(self, capability: str, without: Collection[str], now: float) -> Slot | None:
        """Who takes the next ask: the least busy for its size, and of these the longest idle."""
        able = [
            each
            for each in self.at_work(capability)
            if each.room > 0 and each.paused_until_s <= now and each.worker not in without
        ]
        return min(
            able, key=lambda s: (len(s.running) / s.offer.concurrency, s.used), default=None
        )

    def took(self, capability: str, seconds: float) -> None:
        """An answer took so long."""
        mean = self._means.get(capability, seconds)
        self._means[capability] = mean + SMOOTHING * (seconds - mean)

    def usual_s(self, capability: str) -> float:
        """What an answer takes, by those that came."""
        return self._means.get(capability, UNKNOWN_S)

    def wait_s(self, capability: str, waiting: int, now: float) -> float | None:
        """How long one more ask would wait behind so many others; None if nobody is at work."""
        slots = self.at_work(capability)
        if not slots:
            return None
        free = sum(max(0, each.room) for each in slots if each.paused_until_s <= now)
        if free > waiting:
            return 0.0
        ages = [now - start for each in slots for start in each.running.values()]
        # What runs for longer than answers used to take says that this one will, too.
        mean = max(self.usual_s(capability), sum(ages) / max(1, len(ages)))
        return (waiting - free + 1) * mean / sum(each.offer.concurrency for each in slots)
