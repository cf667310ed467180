"""Asks in a realm: each waits its turn, goes to a worker that can, and has one final answer.

The machine behind `ask_desk`: `handle(input, now) -> effects`. It never reads a clock. An ask that
nobody here can take soon may be borrowed: a peer's realm answers it. Whatever dies, the final
answer comes within the ask's own time, and only once: each handing out has its number (`turn`),
and what comes with another one is too late.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from mtor_swarm.config import AsksConfig
from mtor_swarm.realm.ask_effects import (
    Effect,
    Input,
    NotComing,
    Outbox,
    SetTimer,
    Staff,
    Tick,
    ToCaller,
    Unlent,
    WorkerActive,
    WorkerDraining,
    WorkerGone,
)
from mtor_swarm.realm.ask_ledger import Ledger
from mtor_swarm.realm.ask_queue import Pending
from mtor_swarm.realm.ask_roster import Roster, Slot
from mtor_swarm.realm.ask_tries import Tries
from mtor_swarm.realm.ask_waiting import Waiting
from mtor_swarm.realm.ask_wire import Answer, Ask, Cancel, Offer, Part, State, Status
from mtor_swarm.realm.scaling import Scaling

MAX_BORROWED = 64
"""Asks that are at peers at a time."""
FULL_S, OFFERED_AGAIN = 0.2, 8
"""While peers have no room so many that wait are offered them again, so often."""
OVERLOADED_S = 0.5
"""An ask that would wait for longer is offered to peers."""
START_S, NEWS_S = 2.0, 1.0
"""So long after the start, and after a worker came up, more may be offered than is known yet."""
RETRY_LEAST_S, RETRY_MOST_S = 0.1, 60.0
"""Within these is what a refused caller is told, and for how long a busy worker is left alone."""


class Asks:
    """The machine. `counts` has what was asked, answered, refused, dropped and why."""

    def __init__(self, config: AsksConfig, unit: str, *, now: float) -> None:
        self._config = config
        self._unit = unit
        self._out = Outbox()
        self.counts = self._out.counts
        self._roster = Roster()
        self._waiting = Waiting(config)
        self._ledger = Ledger(self._out, self._waiting)
        self._scaling = Scaling(self._out, self._roster)
        self._tries = Tries(self._out, self._roster, room=self._pump)
        self._timer_s: float | None = None
        self._news_until_s = now + START_S
        self._full: set[str] = set()
        """What peers lend, but have no room for just now."""
        self._table: dict[type[Any], Callable[[Any], None]] = {
            Ask: self._asked,
            Cancel: self._cancelled,
            Part: self._part,
            Answer: self._answered,
            Status: self._lender_said,
            Offer: self._offered,
            WorkerActive: self._active,
            WorkerDraining: self._drain,
            WorkerGone: self._gone,
            Unlent: self._unlent,
            Staff: lambda event: self._scaling.staff(event.workers),
            NotComing: lambda event: self._scaling.not_coming(event.worker),
        }

    def handle(self, event: Input, now: float) -> list[Effect]:
        """What to do about it, in this order; `now` in seconds of any clock that goes on."""
        self._out.effects, self._out.now = [], now
        if isinstance(event, Tick):
            self._timer_s = None  # it is spent; one that came a hair too early is set again
        else:
            self._table[event.__class__](event)
        while (due := self._out.alarms.pop(now)) is not None:
            due(now)
        next_s = self._out.alarms.next_s
        # A timer that comes before the first alarm does no harm; to move each would cost more.
        if next_s is not None and (self._timer_s is None or next_s < self._timer_s):
            self._timer_s = next_s
            self._out.effects.append(SetTimer(next_s))
        return self._out.effects

    def wait_s(self, capability: str, now: float) -> float | None:
        """How long one more ask would wait; None if nobody here is at work on such."""
        return self._roster.wait_s(capability, self._waiting.count(capability), now)

    def lent(self, now: float) -> dict[str, float]:
        """What peers may ask for now, and how long they would wait, in seconds."""
        waits = {each: self.wait_s(each, now) for each in self._roster.capabilities()}
        return {
            each: wait_s
            for each, wait_s in waits.items()
            if wait_s is not None and self._is_lent(each)
        }

    def measures(self) -> dict[str, int]:
        """How many asks are `open` (have no answer), `waiting`, `handed` out or `borrowed`.

        What a worker has not let go of yet is handed out, though no longer open.
        """
        return {
            "open": len(self._ledger),
            "waiting": len(self._waiting),
            "handed": len(self._tries),
            "borrowed": self._tries.borrowed,
        }

    # From callers.

    def _asked(self, ask: Ask) -> None:
        if self._ledger.again(ask.askid):  # its caller heard nothing for a while
            return
        self.counts["asked"] += 1
        self._scaling.used(ask.capability)
        now, number = self._out.now, self._out.number()
        pending = Pending(ask, number=number, asked_s=now, deadline_s=now + ask.timeout_s)
        refusal = self._refusal(pending)
        if refusal:
            self.counts["refused"] += 1
            self._refuse(pending, refusal)
            return
        self._ledger.open(pending)
        pending.alarm = self._out.alarms.set(pending.deadline_s, lambda _: self._overdue(pending))
        self._queue(pending)

    def _refusal(self, pending: Pending) -> str:
        """Why it cannot even wait; one that is less urgent may have to make way for it."""
        ask, now = pending.ask, self._out.now
        if ask.timeout_s <= 0:
            return f"{ask.capability}: no time is left to answer it"
        if ask.hops and not self._is_lent(ask.capability):
            return f"{self._unit} does not lend {ask.capability}"
        ahead = self._waiting.count(ask.capability)
        if not ahead and self._roster.choose(ask.capability, (), now) is not None:
            return ""
        wait_s = self._roster.wait_s(ask.capability, ahead, now)
        if ask.hops and (wait_s is None or wait_s > ask.timeout_s):
            return f"{self._unit} has no time for {ask.capability} just now"
        refusal, victim = self._waiting.refusal(pending)
        if victim is not None:
            self.counts["made way"] += 1
            self._refuse(victim, "made way for a more urgent ask")
        return refusal

    def _cancelled(self, cancel: Cancel) -> None:
        pending = self._ledger.get(cancel.askid)
        if pending is None:
            self.counts["cancels of nothing"] += 1
            return
        self.counts["cancelled"] += 1
        if not pending.waiting:
            self._tries.give_up(pending, cancel.reason)
        self._ledger.end(pending, cancel.reason)

    def _overdue(self, pending: Pending) -> None:
        """Its time is over, wherever it is."""
        self.counts["overdue"] += 1
        within = f"within {pending.ask.timeout_s:g} s"
        if pending.waiting:
            self._refuse(pending, f"nobody was free for {pending.ask.capability} {within}")
            return
        attempt = self._tries.give_up(pending, "its time is over")
        lender = pending.status.worker if pending.status.state == "borrowed" else "the peer"
        who = lender if attempt.slot is None else attempt.slot.worker
        reason = f"{who} did not answer {within}"
        if self._out.now - attempt.start_s >= self._roster.usual_s(pending.ask.capability):
            self._tries.worked(attempt, "late", reason)  # else it was given too little time
        self._ledger.end(pending, reason, retryable=True)

    def _refuse(self, pending: Pending, reason: str) -> None:
        """Not now; its caller hears when to come back."""
        if pending.waiting:
            self._waiting.remove(pending)
        wait_s = self.wait_s(pending.ask.capability, self._out.now)
        retry_s = min(max(wait_s or 0.0, RETRY_LEAST_S), RETRY_MOST_S)
        self._ledger.end(pending, reason, retryable=True, retry_s=retry_s)

    # From workers and lenders.

    def _part(self, part: Part) -> None:
        attempt = self._tries.find(part.turn, part.askid)
        pending = attempt.pending if attempt is not None else None
        if pending is None or part.seq < pending.next_part:
            self.counts["late parts"] += 1
            return
        pending.next_part = part.seq + 1
        if pending.ask.stream:
            self._out.effects.append(ToCaller(replace(part, turn=0)))

    def _answered(self, answer: Answer) -> None:
        attempt = self._tries.find(answer.turn, answer.askid)
        if attempt is None:
            self.counts["late answers"] += 1
            return
        self._tries.over(attempt)
        pending, slot = attempt.pending, attempt.slot
        failed = not answer.ok and answer.retryable
        if failed and answer.retry_s is not None:  # it did not even try
            if slot is not None:
                self._pause(slot, answer.retry_s)
            if pending is not None:
                self._queue(pending)
            return
        self._tries.worked(attempt, "failed" if failed else "answered", answer.reason)
        if pending is not None and failed:
            pending.failed.update([] if slot is None else [slot.worker])
            self._retry(pending, answer.worker if slot is None else slot.worker, answer.reason)
        elif pending is not None:
            since_s = attempt.start_s - pending.asked_s
            steps = [replace(each, at_s=each.at_s + since_s) for each in answer.steps]
            self._ledger.finish(pending, answer, steps=steps)
        if slot is not None:
            capability = slot.offer.capability
            self._pump(capability)
            if self._waiting.count(capability):  # that answers take long may be known only now
                self._scaling.waits(capability, self.wait_s(capability, self._out.now))
        elif pending is not None and pending.ask.capability in self._full:
            self._offer_again(pending.ask.capability, 1)

    def _pause(self, slot: Slot, wait_s: float) -> None:
        """Leave it alone for a while: it says that it is busy."""
        self.counts["busy"] += 1
        slot.paused_until_s = self._out.now + min(max(wait_s, RETRY_LEAST_S), RETRY_MOST_S)
        capability = slot.offer.capability
        self._out.alarms.set(slot.paused_until_s, lambda _: self._pump(capability))

    def _lender_said(self, status: Status) -> None:
        pending = self._ledger.get(status.askid)
        attempt = self._tries.find(pending.turn, status.askid) if pending is not None else None
        if pending is None or attempt is None or attempt.slot is not None:
            self.counts["late statuses"] += 1
        else:
            self._ledger.tell(pending, "borrowed", worker=status.worker)

    def _unlent(self, unlent: Unlent) -> None:
        attempt = self._tries.find(unlent.turn, unlent.askid)
        if attempt is not None and attempt.slot is None and attempt.pending is not None:
            self._tries.over(attempt)
            attempt.pending.may_borrow = unlent.full
            if unlent.full:
                self._peers_full(attempt.pending.ask.capability)
            self._queue(attempt.pending)

    # Workers come and go.

    def _offered(self, offer: Offer) -> None:
        if self._roster.offered(offer):
            self._scaling.offered(offer)
            self._pump(offer.capability)
        else:
            self.counts["offers refused"] += 1

    def _active(self, event: WorkerActive) -> None:
        self._tries.undrain(event.worker)
        self._roster.up(event.worker)
        self._news_until_s = max(self._news_until_s, self._out.now + NEWS_S)
        self._scaling.up(event.worker)
        for slot in self._roster.of(event.worker):
            self._pump(slot.offer.capability)

    def _drain(self, event: WorkerDraining) -> None:
        self._roster.down(event.worker)
        self._tries.drain(event.worker)

    def _gone(self, event: WorkerGone) -> None:
        slots = self._roster.of(event.worker)
        forget = event.forget and not self._scaling.keeps(event.worker)
        (self._roster.forget if forget else self._roster.down)(event.worker)
        self._tries.undrain(event.worker)
        for pending in self._tries.take_back(slots):
            self._retry(pending, event.worker, f"{event.worker}: {event.reason}")
        for slot in slots:
            if not self._roster.at_work(slot.offer.capability):
                for pending in list(self._waiting.of(slot.offer.capability)):
                    pending.may_borrow = True
                    self._settle(pending)

    # The way of an ask.

    def _queue(self, pending: Pending) -> None:
        self._waiting.add(pending)
        self._pump(pending.ask.capability)
        if pending.waiting:
            self._settle(pending)

    def _pump(self, capability: str) -> None:
        """Hand out what waits for it, as far as there is room."""
        while (chosen := self._next(capability)) is not None:
            pending, slot = chosen
            self._waiting.remove(pending, served=True)
            self._ledger.tell(pending, "running", worker=slot.worker)
            self._tries.hand(pending, slot)

    def _next(self, capability: str) -> tuple[Pending, Slot] | None:
        for pending in self._waiting.of(capability):
            slot = self._roster.choose(capability, pending.failed, self._out.now)
            if slot is not None:
                return pending, slot
            if not pending.failed:  # then nobody has room for anyone
                return None
        return None

    def _settle(self, pending: Pending) -> None:
        """It waits: ask a peer instead, or say for whom, or that it is in vain."""
        capability = pending.ask.capability
        known = list(self._roster.known(capability))
        able = [each for each in known if each.worker not in pending.failed]
        up = any(each in able for each in self._roster.at_work(capability))
        ahead = self._waiting.count(capability) - 1
        wait_s = self._roster.wait_s(capability, ahead, self._out.now)
        if not (up and wait_s is not None and wait_s <= OVERLOADED_S) and self._borrow(pending):
            return
        now, load_s = self._out.now, self._scaling.load_s(capability)
        news = not known and now < self._news_until_s
        if not news:
            self._scaling.waits(capability, wait_s)
        if news or (not known and (self._scaling.may(capability) or self._scaling.expects())):
            place = self._waiting.place(pending)
            self._ledger.tell(pending, "loading", place=place, wait_s=load_s)
            again_s = max(now + NEWS_S, self._news_until_s)
            self._out.alarms.set(again_s, lambda _: self._resettle(pending))
        elif not known and self._is_borrowable(pending) and capability in self._full:
            self._ledger.tell(pending, "queued", place=self._waiting.place(pending))
        elif not known:
            has = ", ".join(self._roster.capabilities()) or "nothing yet"
            self._ledger.end(pending, f"{self._unit} has nobody for {capability!r}, only: {has}")
        elif not able:
            self._ledger.end(pending, pending.reason, retryable=True)
        else:
            place = self._waiting.place(pending)
            state: State = "queued" if up else "loading"
            wait_s = wait_s if up else load_s
            self._ledger.tell(pending, state, place=place, wait_s=wait_s)

    def _resettle(self, pending: Pending) -> None:
        if pending.waiting:
            self._settle(pending)

    def _borrow(self, pending: Pending) -> bool:
        if not self._is_borrowable(pending) or pending.ask.capability in self._full:
            return False
        if self._tries.borrowed >= MAX_BORROWED:
            self._peers_full(pending.ask.capability)
            return False
        self._waiting.remove(pending)
        self._tries.hand(pending, None)
        return True

    def _is_borrowable(self, pending: Pending) -> bool:
        return self._config.borrow and not pending.ask.hops and pending.may_borrow

    def _peers_full(self, capability: str) -> None:
        """Peers lend it, but not now: what waits for it is offered to them again in a while."""
        if capability not in self._full:
            self._full.add(capability)
            self._out.alarms.set(self._out.now + FULL_S, lambda _: self._peers_again(capability))

    def _peers_again(self, capability: str) -> None:
        self._full.discard(capability)
        if self._offer_again(capability, OFFERED_AGAIN):
            self._peers_full(capability)

    def _offer_again(self, capability: str, most: int) -> bool:
        """Offer peers so many of those that wait; whether there are any."""
        able = [each for each in self._waiting.of(capability) if self._is_borrowable(each)]
        for pending in able[: min(most, MAX_BORROWED - self._tries.borrowed)]:
            self._waiting.remove(pending)
            self._tries.hand(pending, None)
        return bool(able)

    def _retry(self, pending: Pending, who: str, reason: str) -> None:
        pending.reason = reason
        pending.tries += 1
        if pending.tries >= self._config.tries:
            tries = f" (tried {pending.tries} times)" if pending.tries > 1 else ""
            self._ledger.end(pending, reason + tries, retryable=True)
            return
        self.counts["retried"] += 1
        self._ledger.tell(pending, "retried", worker=who)
        self._queue(pending)

    def _is_lent(self, capability: str) -> bool:
        lends = any(each.offer.lend for each in self._roster.at_work(capability))
        return self._config.allow_lending.get(capability, lends)
