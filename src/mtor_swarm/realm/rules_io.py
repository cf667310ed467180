"""What goes into the machine of rules, and what comes out of it."""

from __future__ import annotations

from typing import Any

import msgspec

from mtor_swarm.events import Event, Scope, now_text
from mtor_swarm.rule_events import RuleFailed, RuleFired

LED_BY = "rules: "
"""So begins the `subject` of an event that a rule said; the rules that led to it follow."""
THEN = " > "


class _Plain(msgspec.Struct, frozen=True):
    """A plain, immutable value."""


class Heard(_Plain, frozen=True):
    """An event came, of others or said by a rule."""

    event: Event


class Known(_Plain, frozen=True):
    """A part of the state is this now: `("units", "r2")`. None: it is no more."""

    path: tuple[str, ...]
    value: Any


class Answered(_Plain, frozen=True):
    """What came of an AskFor or Announce; `value` is JSON, `reason` says why it failed."""

    call: int
    ok: bool
    value: Any = None
    reason: str = ""


class Tick(_Plain, frozen=True):
    """The time has come that the machine wanted to be woken at."""


Input = Heard | Known | Answered | Tick


class AskFor(_Plain, frozen=True):
    """Ask the realm; then say what came of it (`Answered`)."""

    call: int
    rule: str
    capability: str
    payload: bytes
    kind: str = "application/json"
    options: dict[str, str] = {}
    timeout_s: float = 30.0


class Announce(_Plain, frozen=True):
    """Have the swarm do a task; then say what came of that (`Answered`)."""

    call: int
    rule: str
    task: dict[str, Any]


class Emit(_Plain, frozen=True):
    """Say an event, to the realm and to the rules themselves (`Heard`)."""

    rule: str
    type: str
    data: dict[str, Any]
    scope: Scope
    chain: tuple[str, ...]


class Say(_Plain, frozen=True):
    """Tell people what the rules do."""

    data: RuleFired | RuleFailed


Effect = AskFor | Announce | Emit | Say


def emitted(effect: Emit, *, id: str, source: str, unit: str, wall_s: float) -> Event:
    """The event that a rule says; its `subject` tells of the rules that led to it."""
    return Event(
        id=id,
        source=source,
        type=effect.type,
        time=now_text(wall_s),
        scope=effect.scope,
        subject=LED_BY + THEN.join(effect.chain),
        data=effect.data,
        unit=unit,
        channel="events",
    )


def chain_of(event: Event) -> tuple[str, ...]:
    """The rules that led to an event, first to last; none if it was no rule that said it."""
    if not event.subject.startswith(LED_BY):
        return ()
    return tuple(event.subject.removeprefix(LED_BY).split(THEN))
