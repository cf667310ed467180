"""Rules in virtual time, with events that are as short as can be."""

from __future__ import annotations

from typing import Any

from mtor_swarm.events import Event
from mtor_swarm.realm import rules_file
from mtor_swarm.realm.rules import Rules
from mtor_swarm.realm.rules_io import (
    Announce,
    Answered,
    AskFor,
    Effect,
    Emit,
    Heard,
    Input,
    Known,
    Say,
    Tick,
    emitted,
)
from mtor_swarm.rule_events import RuleFailed, RuleFired


def event(type: str, subject: str = "", **data: Any) -> Event:
    return Event(id="7", source="/r2/x", type=type, time="", unit="r2", subject=subject, data=data)


class Play:
    """A machine, and all that it did. `loop`: what it says is heard by it."""

    def __init__(self, yaml: str, *, loop: bool = False) -> None:
        self.rules = Rules(rules_file.parse(yaml, "f.yaml"), "r1")
        self.now = 0.0
        self.effects: list[Effect] = []
        self._loop = loop

    def take(self, given: Input, now: float | None = None) -> list[Effect]:
        self.now = self.now if now is None else now
        found = self.rules.handle(given, self.now)
        self.effects += found
        for each in found:
            if self._loop and isinstance(each, Emit):
                said = emitted(each, id="8", source="/r1/rules", unit="r1", wall_s=self.now)
                self.take(Heard(said))
        return found

    def hear(self, type: str, now: float | None = None, **data: Any) -> list[Effect]:
        return self.take(Heard(event(type, **data)), now)

    def know(self, *path: str, value: Any, now: float | None = None) -> list[Effect]:
        return self.take(Known(path, value), now)

    def tick(self, now: float) -> list[Effect]:
        return self.take(Tick(), now)

    def answer(self, call: int, value: Any = None, *, reason: str = "") -> list[Effect]:
        return self.take(Answered(call, ok=not reason, value=value, reason=reason))

    @property
    def asks(self) -> list[AskFor]:
        return [each for each in self.effects if isinstance(each, AskFor)]

    @property
    def announced(self) -> list[Announce]:
        return [each for each in self.effects if isinstance(each, Announce)]

    @property
    def emits(self) -> list[Emit]:
        return [each for each in self.effects if isinstance(each, Emit)]

    @property
    def fired(self) -> list[str]:
        return [each.rule for each in self._said() if isinstance(each, RuleFired)]

    @property
    def failed(self) -> list[RuleFailed]:
        return [each for each in self._said() if isinstance(each, RuleFailed)]

    def _said(self) -> list[RuleFired | RuleFailed]:
        return [each.data for each in self.effects if isinstance(each, Say)]


def one(*, then: str = "[{emit: done}]", **keys: Any) -> str:
    """A file with one rule, `a`."""
    lines = "".join(f"    {key.rstrip('_')}: {value}\n" for key, value in keys.items())
    return f"rules:\n  - name: a\n{lines}    then: {then}\n"
