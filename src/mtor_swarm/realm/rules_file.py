"""Files of rules: YAML in, compiled rules out; a mistake is named by file, line and key.

A rule says `when` it fires and what it does `then`. Every text in a step may hold expressions
(`I see ${event.data.label}`), and whatever is named `as` something can be used in later steps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from mtor_swarm import config
from mtor_swarm.errors import ConfigError
from mtor_swarm.events import Scope
from mtor_swarm.realm import cel
from mtor_swarm.realm.cel import Expression
from mtor_swarm.realm.cel_parse import MAX_DEPTH, MAX_LENGTH, CelError

MAX_RULES = 256
MAX_STEPS = 64
"""Of one rule, all branches together: no more can come of one firing."""
MAX_NESTED = 8
GIVEN = frozenset({"event", "state"})
"""What every expression may use, besides the answers of steps before it."""

Name = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,31}\Z")]
Kind = Annotated[str, Meta(pattern=r"^([a-z][a-z0-9_.]{0,63}\*?|\*)\Z")]
Seconds = Annotated[float, Meta(ge=0, le=86_400)]
Text = Annotated[str, Meta(max_length=MAX_LENGTH)]


class StepFile(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    rename={"if_": "if", "else_": "else", "as_": "as", "with_": "with"},
):
    """One step as it is written: one of `ask`, `speak`, `emit`, `announce` and `if`, and more."""

    ask: Annotated[str, Meta(min_length=1, max_length=64)] | None = None
    speak: Text | None = None
    emit: Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_.]{0,63}\Z")] | None = None
    announce: dict[str, Any] | None = None
    if_: Text | None = None
    with_: Any = None
    options: dict[str, Text] | None = None
    timeout: Annotated[float, Meta(gt=0, le=86_400)] | None = None
    data: dict[str, Any] | None = None
    scope: Scope | None = None
    then: list[StepFile] | None = None
    else_: list[StepFile] | None = None
    as_: Name | None = None


class RuleFile(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"for_": "for"}
):
    """One rule as it is written."""

    name: Name
    on: Kind | Annotated[list[Kind], Meta(min_length=1, max_length=32)] | None = None
    when: Text = "true"
    for_: Seconds = 0.0
    cooldown: Seconds = 0.0
    limit: Annotated[int, Meta(ge=1, le=600)] = 60
    then: Annotated[list[StepFile], Meta(min_length=1)]


class RulesFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file of rules."""

    rules: Annotated[list[RuleFile], Meta(min_length=1, max_length=MAX_RULES)]


StepKind = Literal["ask", "speak", "emit", "announce", "if"]
MORE: dict[StepKind, frozenset[str]] = {
    "ask": frozenset({"with", "options", "timeout", "as"}),
    "speak": frozenset({"options", "timeout", "as"}),
    "emit": frozenset({"data", "scope"}),
    "announce": frozenset({"as"}),
    "if": frozenset({"then", "else"}),
}
"""The kinds of steps, each with the keys that it may have besides."""
Value = Callable[[Mapping[str, Any]], Any]


@dataclass(frozen=True)
class Step:
    """One compiled step. `value` is what is asked, said or announced, or the test of an `if`."""

    kind: StepKind
    where: str
    what: str
    value: Value
    needs: frozenset[str]
    """The answers that it waits for."""
    options: Value
    as_: str = ""
    timeout_s: float = 30.0
    scope: Scope = "realm"
    then: tuple[Step, ...] = ()
    else_: tuple[Step, ...] = ()


@dataclass(frozen=True)
class Rule:
    """One compiled rule. Without `on` and without `event` in its `when` it is about the state."""

    name: str
    where: str
    on: tuple[str, ...]
    when: Expression
    for_s: float
    cooldown_s: float
    limit: int
    """Times a minute that it may fire."""
    then: tuple[Step, ...]

    @property
    def of_state(self) -> bool:
        """Whether it is weighed when the state changes, not when events come."""
        return not self.on


def load(path: str | Path) -> list[Rule]:
    """The rules in a file; ConfigError names file, line and key of the first mistake."""
    return parse(config.read(path), str(path))


def parse(text: str, name: str = "<text>") -> list[Rule]:
    """The rules in a YAML text; `name` is what errors call it."""
    file, trace = config.parse_traced(text, RulesFile, name)
    found: dict[str, Rule] = {}
    for i, each in enumerate(file.rules):
        rule = _Compiler(trace, each).rule(f"$.rules[{i}]")
        if rule.name in found:
            raise ConfigError(
                f"{trace(f'$.rules[{i}].name')}: {rule.name} is the name of the rule at "
                f"{found[rule.name].where} too; give it another"
            )
        found[rule.name] = rule
    return list(found.values())


class _Compiler:
    """Compiles one rule."""

    def __init__(self, trace: config.Trace, file: RuleFile) -> None:
        self._trace = trace
        self._file = file
        self._steps = 0
        self._given = GIVEN
        self._named: set[str] = set()

    def rule(self, path: str) -> Rule:
        """The whole rule; ConfigError names the first mistake in it."""
        file = self._file
        when = self._compiled(f"{path}.when", file.when, cel.compiled, frozenset())
        on = (file.on,) if isinstance(file.on, str) else tuple(file.on or ())
        if not on and "event" in when.names:
            on = ("*",)
        if not on:
            if "state" not in when.names:
                raise self._error(
                    f"{path}.then" if file.when == "true" else f"{path}.when",
                    "it speaks of neither `event` nor `state`: say `on` which events it fires",
                )
            self._given = frozenset({"state"})
        return Rule(
            name=file.name,
            where=self._trace(path).rpartition(": ")[0],
            on=on,
            when=when,
            for_s=file.for_,
            cooldown_s=file.cooldown,
            limit=file.limit,
            then=self._list(f"{path}.then", file.then, frozenset(), 1),
        )

    def _list(
        self, path: str, steps: list[StepFile] | None, known: frozenset[str], depth: int
    ) -> tuple[Step, ...]:
        """Steps; each may use what those before it, and those around it, are named."""
        if depth > MAX_NESTED:
            raise self._error(path, f"steps are nested over {MAX_NESTED} deep")
        found = []
        for i, each in enumerate(steps or ()):
            step = self._step(f"{path}[{i}]", each, known, depth)
            found.append(step)
            known |= {step.as_} - {""}
        return tuple(found)

    def _step(self, path: str, file: StepFile, known: frozenset[str], depth: int) -> Step:
        self._steps += 1
        if self._steps > MAX_STEPS:
            raise self._error(path, f"a rule has {MAX_STEPS} steps at most")
        given: dict[str, Any] = {
            name: value
            for field, name in zip(
                file.__struct_fields__, file.__struct_encode_fields__, strict=True
            )
            if (value := getattr(file, field)) is not None
        }
        kind = self._kind(path, given)
        what = given[kind] if kind in {"ask", "emit"} else kind
        at = f"{path}.{ {'ask': 'with', 'emit': 'data'}.get(kind, kind) }"
        raw = {"ask": file.with_, "emit": file.data or {}}.get(kind, given[kind])
        form = cel.compiled if kind == "if" else cel.template
        value, needs = self._value(at, raw, form, known)
        options, more = self._value(f"{path}.options", file.options or {}, cel.template, known)
        if kind == "emit" and what.startswith("mtor."):
            raise self._error(
                f"{path}.emit", "types that begin with `mtor.` are not a rule's to say"
            )
        if file.as_ and (file.as_ in self._named or file.as_ in GIVEN):
            raise self._error(f"{path}.as", f"{file.as_} is taken; take another name")
        self._named |= {file.as_ or ""}
        return Step(
            kind=kind,
            where=self._trace(f"{path}.{kind}"),
            what=what,
            value=value,
            needs=needs | more,
            options=options,
            as_=file.as_ or "",
            timeout_s=file.timeout or 30.0,
            scope=file.scope or "realm",
            then=self._list(f"{path}.then", file.then, known, depth + 1),
            else_=self._list(f"{path}.else", file.else_, known, depth + 1),
        )

    def _kind(self, path: str, given: Mapping[str, Any]) -> StepKind:
        """Which kind of step it is, by the one key that says so."""
        kinds = [kind for kind in MORE if kind in given]
        if len(kinds) != 1:
            choice = ", ".join(MORE)
            what = f"has both {' and '.join(kinds)}" if kinds else "is none"
            raise self._error(path, f"a step is one of {choice}; this one {what}")
        (kind,) = kinds
        for name in given:
            if name != kind and name not in MORE[kind]:
                may = ", ".join(sorted(MORE[kind]))
                raise self._error(
                    f"{path}.{name}", f"it says nothing to `{kind}`, which has {may}"
                )
        return kind

    def _value(
        self,
        path: str,
        raw: Any,
        form: Callable[[str], Expression],
        known: frozenset[str],
        depth: int = 1,
    ) -> tuple[Value, frozenset[str]]:
        """What makes a value of what is written, and the answers that it needs."""
        if depth > MAX_DEPTH:
            raise self._error(path, f"nested over {MAX_DEPTH} deep")
        if isinstance(raw, str):
            expression = self._compiled(path, raw, form, known)
            return expression.evaluate, expression.names - GIVEN
        if isinstance(raw, dict):
            inner = {
                key: self._value(f"{path}.{key}", each, form, known, depth + 1)
                for key, each in raw.items()
            }
            needs = frozenset[str]().union(*(each[1] for each in inner.values()))
            return lambda names: {key: make(names) for key, (make, _) in inner.items()}, needs
        if isinstance(raw, list):
            parts = [
                self._value(f"{path}[{i}]", each, form, known, depth + 1)
                for i, each in enumerate(raw)
            ]
            needs = frozenset[str]().union(*(each[1] for each in parts))
            return lambda names: [make(names) for make, _ in parts], needs
        return lambda names: raw, frozenset()

    def _compiled(
        self, path: str, text: str, form: Callable[[str], Expression], known: frozenset[str]
    ) -> Expression:
        try:
            found = form(text)
        except CelError as error:
            raise self._error(path, str(error)) from None
        unknown = sorted(found.names - self._given - known)
        if unknown:
            may = ", ".join(sorted(self._given | known))
            raise self._error(path, f"there is no `{unknown[0]}` here; there are {may}")
        return found

    def _error(self, path: str, problem: str) -> ConfigError:
        return ConfigError(f"{self._trace(path)}: {problem}")
