"""Workers as a third party's package may have them, made to be measured."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from mtor_swarm.events import Event
from mtor_swarm.realm.answering import Question
from mtor_swarm.realm.capability import Capability, Reply
from mtor_swarm.realm.worker import Worker

TICK = "bench.tick.sent"
TEXT_BYTES = 700
"""With its envelope an event of 1 KiB."""


class Tick(msgspec.Struct):
    """An event of 1 KiB, and when it was sent (monotonic clock of this machine)."""

    sent_ns: int
    text: str = "x" * TEXT_BYTES


class Listener(Worker):
    """Notes how long each tick was under way, in nanoseconds."""

    def load(self) -> None:
        """Listen."""
        self.took_ns: list[int] = []
        self.on(TICK, self._on_tick)

    def _on_tick(self, event: Event) -> None:
        self.took_ns.append(time.monotonic_ns() - event.data["sent_ns"])


class Echo(Worker):
    """Answers at once, or after as many seconds as it is asked for, or never: it dies."""

    capabilities = (Capability("echo", concurrency=4),)

    def answer(self, ask: Question, tell: Callable[[bytes], None]) -> Reply:
        """The question itself."""
        word, _, seconds = ask.payload.decode().partition(" ")
        if word == "nap":
            time.sleep(float(seconds))
        if word == "die":
            os.abort()
        return "text/plain", ask.payload


class Idle(Worker):
    """Does nothing."""


KINDS = {"bench_echo": "Echo", "bench_idle": "Idle"}


def install(folder: Path) -> None:
    """Leave the kinds where Python finds them (PYTHONPATH), as pip would."""
    info = folder / "bench-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: bench\nVersion: 1.0\n")
    lines = "".join(f"{kind} = {__name__}:{cls}\n" for kind, cls in KINDS.items())
    (info / "entry_points.txt").write_text(f"[mtor_swarm.workers]\n{lines}")
