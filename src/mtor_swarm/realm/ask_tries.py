"""Handings out of asks to workers and lenders, each known by its number."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from msgspec.structs import replace

from mtor_swarm.realm.alarms import Alarm
from mtor_swarm.realm.ask_effects import (
    Borrow,
    Drained,
    Outbox,
    Outcome,
    ToWorker,
    Unborrow,
    Worked,
)
from mtor_swarm.realm.ask_queue import Pending
from mtor_swarm.realm.ask_roster import Roster, Slot
from mtor_swarm.realm.ask_wire import Ask, Cancel

STUCK_S = 10.0
"""A worker has so long, after an ask's time, to give it back; or it is stuck."""


@dataclass(slots=True, eq=False)
class Try:
    """One handing out: to a worker's slot, or (None) to a peer."""

    turn: int
    askid: str
    slot: Slot | None
    start_s: float
    pending: Pending | None
    """None once nobody waits for it any more: then only its end matters."""
    alarm: Alarm | None = None


class Tries:
    """All that is handed out now."""

    def __init__(self, out: Outbox, roster: Roster, *, room: Callable[[str], None]) -> None:
        """`room(capability)` is called when a stuck worker's place counts as free again."""
        self._out = out
        self._roster = roster
        self._room = room
        self._tries: dict[int, Try] = {}
        self._draining: set[str] = set()
        self.borrowed = 0
        """How many are at peers."""

    def __len__(self) -> int:
        return len(self._tries)

    def find(self, turn: int, askid: str) -> Try | None:
        """That handing out of that ask, unless it is over."""
        attempt = self._tries.get(turn)
        return attempt if attempt is not None and attempt.askid == askid else None

    def hand(self, pending: Pending, slot: Slot | None) -> None:
        """Give it to that worker, or to whichever peer takes it."""
        now = self._out.now
        turn = pending.turn = self._out.number()
        pending.next_part = 0
        self._tries[turn] = Try(turn, pending.ask.askid, slot, now, pending)
        ask: Ask = replace(pending.ask, turn=turn, timeout_s=max(0.0, pending.deadline_s - now))
        if slot is None:
            self.borrowed += 1
            self._out.effects.append(Borrow(replace(ask, hops=1)))
        else:
            slot.running[turn] = now
            slot.used = turn
            self._out.effects.append(ToWorker(slot.worker, ask))

    def over(self, attempt: Try) -> None:
        """It has ended: its worker has room again."""
        del self._tries[attempt.turn]
        self._out.alarms.cancel(attempt.alarm)
        if attempt.slot is None:
            self.borrowed -= 1
        else:
            del attempt.slot.running[attempt.turn]
            attempt.slot.ended_s = self._out.now
            self._drained(attempt.slot.worker)

    def give_up(self, pending: Pending, reason: str) -> Try:
        """Nobody waits for its present try; a worker's room is free only once it says so."""
        attempt = self._tries[pending.turn]
        attempt.pending = None
        cancel = Cancel(askid=attempt.askid, reason=reason)
        slot = attempt.slot
        if slot is None:
            self.over(attempt)
            self._out.effects.append(Unborrow(cancel))
        else:
            self._out.effects.append(ToWorker(slot.worker, cancel))
            attempt.alarm = self._out.alarms.set(
                pending.deadline_s + STUCK_S, lambda _: self._stuck(attempt, slot)
            )
        return attempt

    def worked(self, attempt: Try, outcome: Outcome, reason: str) -> None:
        """A worker's success or failure counts: for its health, and for how long others wait."""
        if attempt.slot is not None:
            offer, seconds = attempt.slot.offer, self._out.now - attempt.start_s
            if outcome == "answered":
                self._roster.took(offer.capability, seconds)
            worked = Worked(offer.worker, offer.capability, outcome, seconds, reason)
            self._out.effects.append(worked)

    def take_back(self, slots: Collection[Slot]) -> list[Pending]:
        """These workers are gone: what they had, and somebody still waits for."""
        tries = [self._tries[turn] for slot in slots for turn in slot.running]
        for attempt in tries:
            self.over(attempt)
        return [each.pending for each in tries if each.pending is not None]

    def drain(self, worker: str) -> None:
        """Say when it has no ask any more."""
        self._draining.add(worker)
        self._drained(worker)

    def undrain(self, worker: str) -> None:
        """It no longer matters when."""
        self._draining.discard(worker)

    def _drained(self, worker: str) -> None:
        if worker in self._draining and not any(s.running for s in self._roster.of(worker)):
            self._draining.discard(worker)
            self._out.effects.append(Drained(worker))

    def _stuck(self, attempt: Try, slot: Slot) -> None:
        self._out.counts["stuck"] += 1
        self.over(attempt)
        held_s = self._out.now - attempt.start_s
        self.worked(attempt, "stuck", f"did not let go of an ask for {held_s:.0f} s")
        self._room(slot.offer.capability)
