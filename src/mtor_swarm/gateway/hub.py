"""One shared broadcast of the swarm's changes to every connected page.

The swarm's thread only notes what changed and wakes the event loop, which encodes each message
once for all. Events go out at once, unit states at `RATE_HZ` at most. A page that cannot keep up
loses what waits for it (counted) and is given a fresh snapshot when it is back: it may miss
moments, but never shows what is no longer so. While no page is connected, unit states cost
nothing.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec

from mtor_swarm.ports import Swarm

RATE_HZ = 10.0
MAX_CLIENTS = 32
MAX_WAITING = 64
"""Messages that wait for one page; six seconds of unit states."""
MAX_EVENTS = 1000
"""Events that wait for the loop, which takes them all at once."""


def message(kind: str, value: Any) -> str:
    """What pages are sent: {"kind": kind, kind: value}."""
    return msgspec.json.encode({"kind": kind, kind: value}).decode()


class Client:
    """What waits for one page. A new one is behind, and so is first given a snapshot."""

    def __init__(self) -> None:
        self.dropped = 0
        self._behind = True
        self._waiting: deque[str] = deque()
        self._ready = asyncio.Event()
        self._ready.set()

    def put(self, text: str) -> None:
        """A message for the page; never blocks."""
        if not self._behind and len(self._waiting) >= MAX_WAITING:
            self.dropped += len(self._waiting)
            self._waiting.clear()
            self._behind = True
        if self._behind:
            # What a new page has missed before its first snapshot is no loss.
            self.dropped += bool(self.dropped)
            return
        self._waiting.append(text)
        self._ready.set()

    async def take(self, snapshot: Callable[[int], str]) -> str:
        """The next message; `snapshot` makes one and is told how many messages were dropped."""
        await self._ready.wait()
        if self._behind:
            self._behind = False
            self._ready.clear()
            return snapshot(self.dropped)
        text = self._waiting.popleft()
        if not self._waiting:
            self._ready.clear()
        return text


class Hub:
    """Takes changes from the swarm's thread, and hands them to every page in the event loop."""

    def __init__(self, swarm: Swarm) -> None:
        self.clients: set[Client] = set()
        self.dropped = 0
        self._gone = 0
        self._swarm = swarm
        self._on_event: Callable[[dict[str, Any]], None] = lambda event: None
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._end: Callable[[], None] = lambda: None
        self._events: list[dict[str, Any]] = []
        self._changed: dict[tuple[str, str], dict[str, Any]] = {}
        self._next_s = 0.0

    def start(self, on_event: Callable[[dict[str, Any]], None]) -> None:
        """Listen to the swarm; call it in the event loop, where `on_event` is called too."""
        self._on_event = on_event
        self._loop = asyncio.get_running_loop()
        self._end = self._swarm.listen(self._heard)

    def stop(self) -> None:
        """Listen no more."""
        self._end()
        with self._lock:
            self._loop = None

    def join(self) -> Client | None:
        """A new page, or None if there are too many."""
        if len(self.clients) >= MAX_CLIENTS:
            return None
        client = Client()
        self.clients.add(client)
        return client

    def leave(self, client: Client) -> None:
        """A page has gone."""
        self.clients.discard(client)
        self._gone += client.dropped

    def counters(self) -> dict[str, int]:
        """Pages connected, and what was dropped: messages for slow pages, events in a flood."""
        slow = self._gone + sum(client.dropped for client in self.clients)
        return {"clients": len(self.clients), "slow_dropped": slow, "flood_dropped": self.dropped}

    def tell(self, kind: str, value: Any) -> None:
        """Broadcast {"kind": kind, kind: value}; call it in the event loop."""
        if self.clients:
            text = message(kind, value)
            for client in self.clients:
                client.put(text)

    def _heard(self, kind: str, value: dict[str, Any]) -> None:
        """On the swarm's thread: note it, and wake the loop for the first of each batch."""
        with self._lock:
            if self._loop is None or not (kind == "event" or self.clients):
                return
            if kind == "event":
                if len(self._events) >= MAX_EVENTS:
                    self.dropped += 1
                    return
                self._events.append(value)
                if len(self._events) == 1:
                    self._loop.call_soon_threadsafe(self._flush_events)
            else:
                first = not self._changed
                self._changed[kind, value["unit" if kind == "unit" else "id"]] = value
                if first:
                    self._loop.call_soon_threadsafe(self._plan_flush)

    def _plan_flush(self) -> None:
        loop = asyncio.get_running_loop()
        loop.call_at(max(loop.time(), self._next_s), self._flush_changed)

    def _flush_changed(self) -> None:
        self._next_s = asyncio.get_running_loop().time() + 1 / RATE_HZ
        with self._lock:
            changed, self._changed = self._changed, {}
        for kind in ("member", "unit"):
            values = [value for (each, _), value in changed.items() if each == kind]
            if values:
                self.tell(f"{kind}s", values)

    def _flush_events(self) -> None:
        with self._lock:
            events, self._events = self._events, []
        self.tell("events", events)
        for event in events:
            self._on_event(event)
