"""`mtor rules`: checks files of rules, and prints what they would have done."""

from __future__ import annotations

import argparse
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from mtor_swarm import events
from mtor_swarm.cli.watching import plain
from mtor_swarm.errors import ConfigError, EventError
from mtor_swarm.events import Event
from mtor_swarm.realm import rules_file
from mtor_swarm.realm.rules import Rules
from mtor_swarm.realm.rules_file import Rule
from mtor_swarm.realm.rules_io import (
    Announce,
    Answered,
    AskFor,
    Effect,
    Emit,
    Heard,
    Input,
    Known,
    Tick,
    chain_of,
    emitted,
)
from mtor_swarm.rule_events import RuleFired

MAX_LINE = 240
_TEST = """\
Plays recorded events to the rules, in the order of their times, and prints what each rule would
have done: nothing is asked, said or moved. Record with `mtor events --json > LOG`.

  mtor rules test FILE --events LOG
  mtor rules test FILE --events LOG --answer describe='{"text": "a cat"}'
  mtor rules test FILE --events LOG --state '{"own": {"battery": 0.1}}'

What is asked for without an --answer stays open: steps that need it are not taken.
"""


def register(sub: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `rules` and its verbs to `mtor`'s commands; each sets `run(args) -> exit code`."""
    top = sub.add_parser(
        "rules", help="check rules, and try them", description="Check rules, and try them."
    )
    verbs = top.add_subparsers(dest="verb", metavar="VERB", required=True)
    check = verbs.add_parser(
        "check",
        help="name file, line and key of a mistake",
        description="Names file, line and key of the first mistake in each file; exit 1 if any.",
    )
    check.add_argument("files", nargs="+", metavar="FILE", help="files of rules to check")
    check.set_defaults(run=_check)
    test = verbs.add_parser(
        "test",
        help="print what rules would have done",
        description=_TEST,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    test.add_argument("file", metavar="FILE", help="the file of rules")
    test.add_argument(
        "--events", required=True, metavar="LOG", help="recorded events, JSON a line (-: stdin)"
    )
    test.add_argument(
        "--answer",
        action="append",
        default=[],
        type=_answer,
        metavar="CAPABILITY=VALUE",
        help="what an ask for it is answered, JSON or a text; may be given several times",
    )
    test.add_argument(
        "--state", default={}, type=_state, metavar="JSON", help="what `state` holds all the time"
    )
    test.add_argument(
        "--unit", default="r1", metavar="NAME", help="whose rules they are (default: r1)"
    )
    test.set_defaults(run=_test)


def _answer(text: str) -> tuple[str, Any]:
    capability, equals, value = text.partition("=")
    if not capability or not equals:
        raise argparse.ArgumentTypeError(f"{text!r}: write CAPABILITY=VALUE")
    try:
        return capability, msgspec.json.decode(value)
    except msgspec.DecodeError:
        return capability, value


def _state(text: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no JSON map: {error}") from None


def _check(args: argparse.Namespace) -> int:
    wrong = 0
    for name in args.files:
        try:
            found = rules_file.load(name)
            print(f"{name}: OK: {len(found)} rules: {', '.join(each.name for each in found)}")
        except ConfigError as error:
            wrong = 1
            print(error, file=sys.stderr)
    return wrong


def _test(args: argparse.Namespace) -> int:
    rules = rules_file.load(args.file)
    trial = Trial(rules, args.unit, dict(args.answer), args.state)
    heard = recorded(args.events)
    for line in trial.play(heard):
        print(plain(line) if len(line) <= MAX_LINE else f"{plain(line[: MAX_LINE - 1])}…")
    print(f"{len(heard)} events; {trial.summary()}")
    return 0


def recorded(name: str) -> list[Event]:
    """The events in a log, by time; ConfigError names the line of the first that is none."""
    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{name}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{name}: is not UTF-8 text") from None
    found: list[tuple[float, Event]] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            event = events.from_json(line)
            found.append((_wall_s(event), event))
        except (EventError, ValueError, OverflowError) as error:
            raise ConfigError(
                f"{name}:{number}: {error}; a log has an event as JSON in each line, as "
                "`mtor events --json` prints them"
            ) from None
    return [event for _, event in sorted(found, key=lambda each: each[0])]


def _wall_s(event: Event) -> float:
    """When it happened, Unix seconds; ValueError if its time is none."""
    return datetime.fromisoformat(event.time.replace("Z", "+00:00")).timestamp()


class Trial:
    """Rules that hear recorded events, and whose asks are answered at once or not at all."""

    def __init__(
        self, rules: Iterable[Rule], unit: str, answers: dict[str, Any], state: dict[str, Any]
    ) -> None:
        self._unit = unit
        self._answers = answers
        self._state = state
        self._rules = Rules(rules, unit)
        self._open: list[str] = []
        self._said = 0

    def play(self, heard: Iterable[Event]) -> Iterator[str]:
        """What they would have done, a line each."""
        now = 0.0
        first = True
        for event in heard:
            if chain_of(event) and event.unit == self._unit:  # they say it themselves, again
                continue
            now = _wall_s(event)
            if first:
                first = False
                for key, value in self._state.items():
                    yield from self._take(Known((key,), value), now)
            while (due_s := self._rules.next_s) is not None and due_s <= now:
                yield from self._take(Tick(), due_s)
            yield from self._take(Heard(event), now)
        if (due_s := self._rules.next_s) is not None:  # the state stays as it is
            yield from self._take(Tick(), due_s)

    def summary(self) -> str:
        """What came of all of it, in one line."""
        counts = self._rules.counts
        parts = [
            f"{counts[each]} {each}" for each in ("fired", *sorted(counts.keys() - {"fired"}))
        ]
        if self._open:
            parts.append(
                f"{len(self._open)} asks without --answer: {', '.join(sorted(set(self._open)))}"
            )
        return ", ".join(parts)

    def _take(self, given: Input, now: float) -> Iterator[str]:
        waiting = deque([given])
        while waiting:
            for effect in self._rules.handle(waiting.popleft(), now):
                yield f"{events.now_text(now)[11:23]} {shown(effect)}"
                waiting += self._follows(effect, now)

    def _follows(self, effect: Effect, now: float) -> list[Input]:
        if isinstance(effect, Emit):
            self._said += 1
            name = f"{self._said:032x}"
            event = emitted(effect, id=name, source="rules", unit=self._unit, wall_s=now)
            return [Heard(event)]
        if isinstance(effect, Announce):
            return [Answered(effect.call, ok=True, value={"task": effect.task.get("id", "")})]
        if not isinstance(effect, AskFor):
            return []
        if effect.capability in self._answers:
            return [Answered(effect.call, ok=True, value=self._answers[effect.capability])]
        self._open.append(effect.capability)
        return []


def shown(effect: Effect) -> str:
    """An effect in one line."""
    if isinstance(effect, AskFor):
        return f"  {effect.rule}: asks {effect.capability}: {effect.payload.decode()}"
    if isinstance(effect, Announce):
        return f"  {effect.rule}: announces {msgspec.json.encode(effect.task).decode()}"
    if isinstance(effect, Emit):
        data = msgspec.json.encode(effect.data).decode()
        return f"  {effect.rule}: emits {effect.type} ({effect.scope}): {data}"
    told = effect.data
    if isinstance(told, RuleFired):
        led = f" after {' > '.join(told.after)}" if told.after else ""
        return f"{told.rule} fires on {told.of or 'the state'}{led}"
    return f"  {told.rule}: fails: {told.where}: {told.reason}"
