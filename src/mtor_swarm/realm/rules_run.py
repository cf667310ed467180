"""One firing of a rule: its steps side by side, each once the answers that it needs are there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from mtor_swarm.realm.cel_parse import CelError
from mtor_swarm.realm.cel_values import truth
from mtor_swarm.realm.rules_file import Rule, Step
from mtor_swarm.realm.rules_io import Announce, AskFor, Effect, Emit

Call = Callable[[], int | None]
"""The number of a new call; None: too many are open."""


class Run:
    """What is still to do of a rule that fired.

    `open` are the calls whose answers it waits for, `failures` the steps that could not be taken,
    each with the reason.
    """

    def __init__(self, rule: Rule, names: dict[str, Any], chain: tuple[str, ...]) -> None:
        self.rule = rule
        self.open: dict[int, Step] = {}
        self._names = names
        self._chain = chain
        self.failures: list[tuple[Step, str]] = []
        self._lost: set[str] = set()  # answers that will never be
        self._waiting: list[Step] = list(rule.then)

    def go(self, call: Call) -> list[Effect]:
        """Take every step that can be."""
        effects: list[Effect] = []
        while ready := [each for each in self._waiting if self._ready(each)]:
            # Steps of an `if` come to stand where it stood, so that all keep their order.
            self._waiting = [each for each in self._waiting if each not in ready]
            for each in ready:
                self._take(each, call, effects)
        return effects

    def answered(self, call: int, ok: bool, value: Any, reason: str) -> None:
        """What came of a call of this run."""
        step = self.open.pop(call)
        if not ok:
            self._lose(step, reason)
        elif step.as_:
            self._names[step.as_] = value

    def _ready(self, step: Step) -> bool:
        return bool(step.needs & self._lost) or step.needs <= self._names.keys()

    def _lose(self, step: Step, reason: str) -> None:
        self._lost |= {step.as_} - {""}
        self.failures.append((step, reason))

    def _take(self, step: Step, call: Call, effects: list[Effect]) -> None:
        if lost := step.needs & self._lost:
            self._lose(step, f"skipped: there is no {', '.join(sorted(lost))}")
            return
        try:
            value, options = step.value(self._names), step.options(self._names)
            if step.kind == "if":
                self._waiting += step.then if truth(value, 0) else step.else_
            elif step.kind == "emit":
                given = (*self._chain, self.rule.name)
                effects.append(Emit(self.rule.name, step.what, value, step.scope, given))
            else:
                self._call(step, value, options, call, effects)
        except CelError as error:
            self._lose(step, str(error))

    def _call(
        self,
        step: Step,
        value: Any,
        options: dict[str, Any],
        call: Call,
        effects: list[Effect],
    ) -> None:
        number = call()
        if number is None:
            self._lose(step, "too many answers are waited for already")
            return
        self.open[number] = step
        if step.kind == "announce":
            effects.append(Announce(number, self.rule.name, value))
            return
        plain = isinstance(value, str)
        payload = value.encode() if plain else msgspec.json.encode(value)
        effects.append(
            AskFor(
                call=number,
                rule=self.rule.name,
                capability=step.what,
                payload=payload,
                kind="text/plain" if plain else "application/json",
                options={name: _text(each) for name, each in options.items()},
                timeout_s=step.timeout_s,
            )
        )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
