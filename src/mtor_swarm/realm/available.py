"""What the realm can be asked at the moment, and what it has lost: pure."""

from __future__ import annotations

from collections.abc import Collection

from mtor_swarm.events import CapabilityChanged

MAX_CAPABILITIES = 256


class Available:
    """Capabilities by the workers that offer them; those count that are up."""

    def __init__(self) -> None:
        self.dropped = 0
        self._offers: dict[str, dict[str, None]] = {}
        self._up: set[str] = set()
        self._told: dict[str, list[str]] = {}

    def offered(self, capability: str, worker: str) -> list[CapabilityChanged]:
        """A worker can be asked this; what is news of that."""
        if capability not in self._offers and len(self._offers) >= MAX_CAPABILITIES:
            self.dropped += 1
            return []
        self._offers.setdefault(capability, {})[worker] = None
        return self._news("")

    def up(self, workers: Collection[str], reason: str) -> list[CapabilityChanged]:
        """These workers are up now, for this reason; what is news of that."""
        self._up = set(workers)
        return self._news(reason)

    def forget(self, worker: str, reason: str) -> list[CapabilityChanged]:
        """It is wanted no more, and what it offered may be somebody else's from now on."""
        self._up.discard(worker)
        for offers in self._offers.values():
            offers.pop(worker, None)
        news = self._news(reason)
        self._offers = {name: offers for name, offers in self._offers.items() if offers}
        return news

    def of(self, worker: str) -> list[str]:
        """What this worker offers, up or not."""
        return sorted(name for name, offers in self._offers.items() if worker in offers)

    def _news(self, reason: str) -> list[CapabilityChanged]:
        news = []
        for capability, offers in self._offers.items():
            workers = sorted(each for each in offers if each in self._up)
            was = self._told.get(capability)
            if workers == was or (was is None and not workers):
                continue
            self._told[capability] = workers
            if bool(workers) != bool(was):
                news.append(
                    CapabilityChanged(
                        capability=capability,
                        available=bool(workers),
                        workers=workers,
                        reason="" if workers else reason,
                    )
                )
        return news
