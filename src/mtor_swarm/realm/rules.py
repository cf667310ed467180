"""The machine of a realm's rules: what is heard and known in, what is to be done out.

Pure: `Rules.handle(input, now)` returns effects; the driver owns the clock (seconds of any clock
that it keeps to), the events and the asks. All is bounded, and what is dropped is counted and
told: how often a rule fires, how many firings are under way, how long a chain of rules may be that
lead to one another. A rule that comes up in its own chain is stopped there.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Iterable
from typing import Any

from mtor_swarm.events import Event, event_to_dict
from mtor_swarm.realm.cel_parse import CelError, MissingError
from mtor_swarm.realm.rules_file import Rule
from mtor_swarm.realm.rules_io import (
    THEN,
    Answered,
    Effect,
    Heard,
    Input,
    Known,
    Say,
    chain_of,
)
from mtor_swarm.realm.rules_run import Run
from mtor_swarm.rule_events import RuleFailed, RuleFired

MINUTE_S = 60.0
MAX_CHAIN = 8
"""Rules that lead to one another by the events that they say."""
MAX_RUNS = 128
"""Firings of all rules that wait for answers."""
MAX_CALLS = 256
"""Answers that all of them wait for."""
MAX_KNOWN = 4096
"""Things under one heading of the state, such as `units`."""
TELL_EVERY_S = 5.0
"""What goes wrong at one place is told once in so long; the rest is counted in the next."""
OWN = "mtor.rule."
"""Events about rules are not for rules."""


class _Watched:
    """A rule, and what is remembered of it."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.since_s: float | None = None  # its `when` holds since then
        self.last_s = -math.inf  # and held last
        self.done = False  # about the state: it fired on this
        self.fired: deque[float] = deque(maxlen=rule.limit)

    def due_s(self) -> float:
        """When it will fire if nothing changes; infinity for never."""
        if self.since_s is None or self.done or not self.rule.of_state:
            return math.inf
        return self.since_s + self.rule.for_s


class Rules:
    """The rules of one realm.

    `counts` has what was `fired`, what `failed`, and firings that were not to be: `cooling`,
    `limited`, `looped`, `dropped` (too many under way).
    """

    def __init__(self, rules: Iterable[Rule], unit: str) -> None:
        """`unit` is whose rules they are: `state.unit`."""
        self.counts: Counter[str] = Counter()
        self.state: dict[str, Any] = {"unit": unit}
        watched = [_Watched(each) for each in rules]
        self._of_state = [each for each in watched if each.rule.of_state]
        self._of_events = [each for each in watched if not each.rule.of_state]
        self._runs: list[Run] = []
        self._calls: dict[int, Run] = {}
        self._number = 0
        self._told: dict[str, tuple[float, int]] = {}
        self._said: list[Effect] = []

    @property
    def next_s(self) -> float | None:
        """When it wants a Tick; None: not before something else comes."""
        due = min((each.due_s() for each in self._of_state), default=math.inf)
        return due if math.isfinite(due) else None

    def handle(self, given: Input, now: float) -> list[Effect]:
        """Take in one fact; the effects are in the order in which they are to be carried out."""
        effects: list[Effect] = []
        if isinstance(given, Heard):
            effects = self._heard(given.event, now)
        elif isinstance(given, Answered):
            effects = self._answered(given, now)
        else:
            if isinstance(given, Known):
                self._learn(given)
            for each in self._of_state:
                effects += self._weigh_state(each, now)
        effects, self._said = self._said + effects, []
        return effects

    # Events.

    def _heard(self, event: Event, now: float) -> list[Effect]:
        if event.type.startswith(OWN):
            return []
        effects: list[Effect] = []
        names: dict[str, Any] | None = None
        for each in self._of_events:
            if not any(_fits(kind, event.type) for kind in each.rule.on):
                continue
            if names is None:
                names = {"event": {"data": {}, "unit": "", **event_to_dict(event)}}
                names["state"] = self.state
            if self._holds(each, names, now) and self._lasted(each, now):
                effects += self._fire(each, dict(names), event, now)
        return effects

    def _lasted(self, each: _Watched, now: float) -> bool:
        """Whether its `when` held for long enough, with no longer silence in between."""
        for_s = each.rule.for_s
        if each.since_s is None or now - each.last_s > for_s:
            each.since_s = now
        each.last_s = now
        if now - each.since_s < for_s:
            return False
        each.since_s = None
        return True

    # The state.

    def _learn(self, known: Known) -> None:
        *above, last = known.path
        at = self.state
        for name in above:
            at = at.setdefault(name, {})
        if known.value is None:
            at.pop(last, None)
        elif last in at or len(at) < MAX_KNOWN:
            at[last] = known.value
        else:
            self.counts["unknown"] += 1

    def _weigh_state(self, each: _Watched, now: float) -> list[Effect]:
        names = {"state": self.state}
        if not self._holds(each, names, now):
            return []
        if each.since_s is None:
            each.since_s = now
        if now < each.due_s():
            return []
        each.done = True
        return self._fire(each, names, None, now)

    # Both.

    def _holds(self, each: _Watched, names: dict[str, Any], now: float) -> bool:
        """Whether its `when` is true; what is missing makes it false, as of another sort."""
        try:
            if each.rule.when.holds(names):
                return True
        except MissingError:
            pass
        except CelError as error:
            self._tell(each.rule, f"{each.rule.where}: when", str(error), now)
        each.since_s, each.done = None, False
        return False

    def _fire(
        self, each: _Watched, names: dict[str, Any], event: Event | None, now: float
    ) -> list[Effect]:
        rule, chain = each.rule, chain_of(event) if event else ()
        if not self._may(each, chain, now):
            return []
        each.fired.append(now)
        self.counts["fired"] += 1
        about = (event.id, event.type) if event else ("", "")
        self._said.append(
            Say(RuleFired(rule=rule.name, event=about[0], of=about[1], after=list(chain)))
        )
        run = Run(rule, names, chain)
        self._runs.append(run)
        return self._go(run, now)

    def _may(self, each: _Watched, chain: tuple[str, ...], now: float) -> bool:
        rule = each.rule
        if each.fired and now - each.fired[-1] < rule.cooldown_s:
            self.counts["cooling"] += 1
            return False
        if rule.name in chain or len(chain) >= MAX_CHAIN:
            what, way = "looped", THEN.join((*chain, rule.name))
            reason = (
                f"it feeds itself and is stopped: {way}; let its `when` tell its own doing apart"
                if rule.name in chain
                else f"stopped: {way} are over {MAX_CHAIN} rules that lead to one another"
            )
        elif len(each.fired) == rule.limit and now - each.fired[0] < MINUTE_S:
            what, reason = "limited", f"it fires more than {rule.limit} times a minute (`limit`)"
        elif len(self._runs) >= MAX_RUNS:
            what, reason = "dropped", f"{MAX_RUNS} firings of rules wait for answers already"
        else:
            return True
        self.counts[what] += 1
        self._tell(rule, rule.where, reason, now)
        return False

    def _answered(self, given: Answered, now: float) -> list[Effect]:
        run = self._calls.pop(given.call, None)
        if run is None:
            return []
        run.answered(given.call, given.ok, given.value, given.reason)
        return self._go(run, now)

    def _go(self, run: Run, now: float) -> list[Effect]:
        def call() -> int | None:
            if len(self._calls) >= MAX_CALLS:
                return None
            self._number += 1
            self._calls[self._number] = run
            return self._number

        effects = run.go(call)
        for step, reason in run.failures:
            self._tell(run.rule, step.where, reason, now)
        run.failures.clear()
        if not run.open:
            self._runs.remove(run)
        return effects

    def _tell(self, rule: Rule, where: str, reason: str, now: float) -> None:
        """Say what went wrong, unless that place was told of just now."""
        self.counts["failed"] += 1
        told_s, more = self._told.get(where, (-math.inf, 0))
        if now - told_s < TELL_EVERY_S:
            self._told[where] = (told_s, more + 1)
            return
        self._told[where] = (now, 0)
        self._said.append(
            Say(RuleFailed(rule=rule.name, where=where, reason=reason[:500], more=more))
        )


def _fits(kind: str, type: str) -> bool:
    return type.startswith(kind[:-1]) if kind.endswith("*") else type == kind
