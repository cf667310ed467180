"""Which peer to ask for what this realm lacks: the better of two that chance names.

Mitzenmacher's power of two choices ("The Power of Two Choices in Randomized Load Balancing",
IEEE TPDS 2001): what peers say of their load is always a little old, and whoever asks the one that
looks best asks the same one as everybody else. Pure: time and chance are handed in.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mtor_swarm.realm.ask_wire import Answer, Ask
from mtor_swarm.realm.asks import OVERLOADED_S

MAX_LENDERS = 1024
MAX_OFFERS = 32
"""Capabilities that one unit lends; a beacon has no room for more."""
MAX_REMEMBERED = 256
"""Asks of which it is remembered who failed them."""
MOST_EACH = 48
"""Asks that one peer has of ours at a time: fewer than it takes of one member."""
COARSE_S = 0.1
"""What lenders say of a wait is 0 or this, doubled some times: an idle swarm's beacons rest."""
UNKNOWN_S = 0.2
"""What a borrowed answer is thought to take before the first has come."""
SMOOTHING = 0.2
AVOID_S, MOST_AVOID_S = 2.0, 60.0
"""A peer that failed is left alone for so long; one that has no room for as long as it says."""
WORTH = 0.5
"""A peer must be so much quicker than our own queue, or the ask stays there."""


def coarse(wait_s: float) -> float:
    """A wait as a beacon tells it."""
    if wait_s < COARSE_S / 2:
        return 0.0
    steps = math.ceil(math.log2(min(wait_s, 86400.0) / COARSE_S))
    return round(COARSE_S * 2.0 ** max(0, steps), 1)


def offered(waits: Mapping[str, float]) -> dict[str, float]:
    """What a realm lends, as its beacon tells it."""
    return {each: coarse(waits[each]) for each in sorted(waits)[:MAX_OFFERS]}


@dataclass(frozen=True)
class Loan:
    """One ask at one peer, since then."""

    askid: str
    capability: str
    member: str
    unit: str
    since_s: float


class _Lender:
    __slots__ = ("avoid_until_s", "loans", "offers", "unit")

    def __init__(self, unit: str, offers: Mapping[str, float]) -> None:
        self.unit = unit
        self.offers = dict(offers)
        self.loans = 0
        self.avoid_until_s = 0.0


class Lending:
    """What peers lend, and what they have of ours."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._lenders: dict[str, _Lender] = {}
        self._means: dict[str, float] = {}
        self._failed: dict[str, set[str]] = {}

    def heard(self, member: str, unit: str, offers: Mapping[str, float]) -> None:
        """What a unit lends, and how long an ask would wait there, by its newest beacon."""
        known = self._lenders.get(member)
        told = {
            name: wait_s
            for name, wait_s in list(offers.items())[:MAX_OFFERS]
            if 0.0 <= wait_s < math.inf
        }
        if known is not None:
            known.offers = told
        elif told and len(self._lenders) < MAX_LENDERS:
            self._lenders[member] = _Lender(unit, told)

    def gone(self, member: str) -> None:
        """That member is dead, has left or began anew."""
        self._lenders.pop(member, None)

    def lend(
        self, ask: Ask, own_wait_s: float | None, loss: Callable[[str], float], now: float
    ) -> Loan | None:
        """Whom to ask, if anybody; it counts as asked until `ended`.

        `own_wait_s` is how long it would wait for our own workers (None: there are none);
        `loss(member)` the share (0 to 1) of what a peer sends that is lost.
        """
        able = self._able(ask, now)
        if not able:
            return None
        scores = {
            member: self._score(self._lenders[member], ask.capability, loss(member))
            for member in self._rng.sample(able, min(2, len(able)))
        }
        member = min(scores, key=scores.__getitem__)
        # Peers are also asked when our own workers failed, however soon these had time for it.
        most_s = ask.timeout_s
        if own_wait_s is not None and own_wait_s > OVERLOADED_S:
            most_s = min(most_s, WORTH * own_wait_s)
        if scores[member] > most_s:
            return None
        lender = self._lenders[member]
        lender.loans += 1
        return Loan(ask.askid, ask.capability, member, lender.unit, now)

    def ended(self, loan: Loan, answer: Answer, now: float) -> None:
        """How it went; who failed an ask is not given it again."""
        lender = self._lenders.get(loan.member)
        if lender is not None:
            lender.loans = max(0, lender.loans - 1)
        if answer.ok:
            mean = self._means.get(loan.capability, now - loan.since_s)
            took_s = now - loan.since_s
            self._means[loan.capability] = mean + SMOOTHING * (took_s - mean)
        if answer.ok or not answer.retryable:
            self._failed.pop(loan.askid, None)
            return
        if lender is not None:
            wait_s = AVOID_S if answer.retry_s is None else answer.retry_s
            lender.avoid_until_s = now + min(wait_s, MOST_AVOID_S)
        if answer.retry_s is None:  # it tried, else it only has no room
            if len(self._failed) >= MAX_REMEMBERED:
                del self._failed[next(iter(self._failed))]
            self._failed.setdefault(loan.askid, set()).add(loan.member)

    def is_full(self, ask: Ask, now: float) -> bool:
        """Whether some peer lends it, but none has room for this ask just now."""
        return bool(self._offering(ask)) and not self._able(ask, now)

    def _offering(self, ask: Ask) -> list[str]:
        failed = self._failed.get(ask.askid, ())
        return [
            member
            for member, each in self._lenders.items()
            if ask.capability in each.offers and member not in failed
        ]

    def _able(self, ask: Ask, now: float) -> list[str]:
        lenders = ((each, self._lenders[each]) for each in self._offering(ask))
        return [
            member
            for member, each in lenders
            if each.loans < MOST_EACH and each.avoid_until_s <= now
        ]

    def _score(self, lender: _Lender, capability: str, lost: float) -> float:
        """Seconds until its answer, by what it says and what it has of ours, on such a link."""
        mean_s = self._means.get(capability, UNKNOWN_S)
        waits_s = max(lender.offers[capability], lender.loans * mean_s)
        return (waits_s + mean_s) / max(0.05, 1.0 - lost)
