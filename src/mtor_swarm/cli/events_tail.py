"""`mtor events`: what happens in the swarm, as it happens."""

from __future__ import annotations

import argparse
import json
import queue
import sys
from collections import deque
from collections.abc import Callable
from typing import Any, NoReturn

from mtor_swarm import events
from mtor_swarm.cli.watching import add_seeds, plain, settled, watched
from mtor_swarm.swarm.observer import Observer

MAX_WAITING = 10_000
MAX_SEEN = 2000
"""Ids kept, since the first events may be in the snapshot and be heard as well."""
MAX_LINE = 240
_HELP = """\
Joins the swarm as one who only listens, and prints each event: its time, the unit that it is of,
its type and what it says. First come those of the last minutes that members still keep, then those
that happen, until Ctrl-C.

  mtor events                           everything
  mtor events --type target.seen        only these; several --type may be given
  mtor events --type command            all types that begin so; as it is shown, or with mtor.
  mtor events --json | jq .data         one JSON object (CloudEvents 1.0) a line
"""


def register(sub: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `events` to `mtor`'s commands; it sets `run(args) -> exit code`."""
    parser = sub.add_parser(
        "events",
        help="show events as they happen",
        description=_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_seeds(parser)
    parser.add_argument(
        "--type", action="append", metavar="TYPE", help="only types that begin so; repeatable"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")
    parser.set_defaults(run=run)


class _Tail:
    """Events from the swarm's thread to this one; bounded, what finds no room is counted."""

    def __init__(self, types: list[str]) -> None:
        self.dropped = 0
        self._types = (*types, *(f"mtor.{each}" for each in types))
        self._seen: deque[str] = deque(maxlen=MAX_SEEN)
        self._waiting: queue.Queue[dict[str, Any]] = queue.Queue(MAX_WAITING)

    def hear(self, kind: str, value: dict[str, Any]) -> None:
        if kind != "event" or not value["type"].startswith(self._types):
            return
        if value["id"] in self._seen:
            return
        self._seen.append(value["id"])
        try:
            self._waiting.put_nowait(value)
        except queue.Full:
            self.dropped += 1

    def print(self, form: Callable[[dict[str, Any]], str]) -> NoReturn:
        """Print until interrupted."""
        while True:
            print(form(self._waiting.get()), flush=True)


class _Alone:
    """Says so when nobody is left to hear, and when somebody is back."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._alone = False

    def hear(self, kind: str, value: dict[str, Any]) -> None:
        if kind != "member":
            return
        members = self._observer.snapshot()["members"].values()
        alone = not any(each["state"] == "alive" for each in members)
        if alone != self._alone:
            self._alone = alone
            said = (
                "nobody answers any more; waiting (Ctrl-C ends)" if alone else "somebody is back"
            )
            print(f"mtor: {said}", file=sys.stderr, flush=True)


def unknown(types: list[str]) -> list[str]:
    """Those with which no known type begins: others may come, but it may be a slip."""
    names = [shown for name in events.TYPES for shown in (name, name.removeprefix("mtor."))]
    return [each for each in types if not any(name.startswith(each) for name in names)]


def _run(args: argparse.Namespace, observer: Observer) -> int:
    for each in unknown(args.type or []):
        shown = ", ".join(name.removeprefix("mtor.") for name in events.TYPES)
        print(f"mtor: no known type begins with {each!r}; known are {shown}", file=sys.stderr)
    tail = _Tail(args.type or [""])
    alone = _Alone(observer)
    # What peers still keep comes first, one origin after the other: in the order of its time.
    settled(observer)
    ends = observer.listen(tail.hear), observer.listen(alone.hear)
    for event in sorted(observer.snapshot()["events"], key=lambda each: str(each["time"])):
        tail.hear("event", event)
    try:
        tail.print(json.dumps if args.json else line)
    except KeyboardInterrupt:
        return 0
    finally:
        for end in ends:
            end()
        if tail.dropped:
            print(f"mtor: {tail.dropped} events not shown: too fast", file=sys.stderr)


run = watched(_run)
"""Show events until Ctrl-C; 1 if no member answers."""


def line(event: dict[str, Any]) -> str:
    """An event for people, in one line."""
    said = ", ".join(f"{name} {_brief(value)}" for name, value in event.get("data", {}).items())
    unit = event.get("unit") or event.get("source", "")
    name = event["type"].removeprefix("mtor.")
    text = plain(f"{event['time'][11:23]:12} {unit:6} {name:22} {said}")
    return text if len(text) <= MAX_LINE else f"{text[: MAX_LINE - 1]}…"


def _brief(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.2f}"
    if isinstance(value, list):
        return " ".join(_brief(each) for each in value)
    return str(value) if value != "" else '""'
