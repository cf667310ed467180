"""What a run of a scenario came to."""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Sequence

import msgspec

from mtor_swarm.swarm.simnet.ledger import Ledger

LEAST_S, DECADES, BARS_EACH = 1e-3, 5, 8
"""The histogram's axis: 1 ms to 100 s, logarithmic, since what is cut off is late by far more."""
BARS = DECADES * BARS_EACH


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """A distribution: how many, its median, 99th percentile and largest."""

    count: int
    p50: float
    p99: float
    most: float


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """One run. Times are virtual seconds, hops and copies are per event and member.

    `met_s`: until all had met; `whole_s`: until the views agreed, after the last thing that befell
    them; `settled_s`: past the scenario's time until nobody lacked anything.
    `repair_rounds`: how many digest periods the last delivery of an event came after it was
    published. `bytes_s`: bytes of frames a member a second, without the network's own headers.
    """

    scenario: str
    members: int
    seed: int
    loss: float
    virtual_s: float
    steps: int
    trace: str
    live: int
    met_s: float
    whole_s: float
    settled_s: float
    events: int
    deliveries: int
    gaps: int
    latency_s: Figures
    hops: Figures
    copies: float
    repair_rounds: Figures
    detection_s: Figures
    false_deaths: int
    frames_s: float
    bytes_s: float
    counters: dict[str, int]
    violations: list[str]
    latency_histogram: list[int]
    """Deliveries by latency: `BARS_EACH` bars for each of `DECADES` decades from `LEAST_S`."""

    @property
    def ok(self) -> bool:
        """Whether every invariant held."""
        return not self.violations


def figures(values: Sequence[float]) -> Figures:
    """The distribution of these values; zeros if there are none."""
    ordered = sorted(values)
    if not ordered:
        return Figures(count=0, p50=0.0, p99=0.0, most=0.0)
    last = len(ordered) - 1
    return Figures(
        count=len(ordered),
        p50=ordered[round(0.5 * last)],
        p99=ordered[math.ceil(0.99 * last)],
        most=ordered[-1],
    )


def hops_of(ledger: Ledger) -> Figures:
    """How many hops the first copy of each event took to each member."""
    counts: Counter[int] = Counter()
    for spread in ledger.spreads.values():
        counts.update(each - 1 for each in spread.hops if each > 1)
    values = array("B")
    for hops, number in counts.items():
        values.extend([hops] * number)
    return figures(values)


def copies_of(ledger: Ledger) -> float:
    """Copies of an event that reach a member, on average; 1 is the least there can be."""
    reached = sum(sum(1 for each in one.hops if each > 1) for one in ledger.spreads.values())
    return sum(each.copies for each in ledger.spreads.values()) / reached if reached else 0.0


def rounds_of(ledger: Ledger, period_s: float) -> Figures:
    """In which digest period each event's last delivery came."""
    spreads = ledger.spreads.values()
    return figures([math.ceil((each.last - each.at) / period_s) for each in spreads])


def histogram(values: Sequence[float]) -> list[int]:
    """How many of these seconds fall to each bar; the first and the last have all beyond them."""
    found = [0] * BARS
    for each in values:
        bar = int(math.log10(max(each, LEAST_S) / LEAST_S) * BARS_EACH)
        found[min(BARS - 1, bar)] += 1
    return found
