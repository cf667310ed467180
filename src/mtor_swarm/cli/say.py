"""`mtor say`: tell units what to do, and see who did it."""

from __future__ import annotations

import argparse
import threading
import time
import uuid
from typing import Any

import msgspec
from rich.live import Live
from rich.table import Table
from rich.text import Text

from mtor_swarm import events
from mtor_swarm.cli.watching import GONE, add_seeds, console, settled, watched
from mtor_swarm.errors import CommandError
from mtor_swarm.events import Command, CommandAcknowledged
from mtor_swarm.realm.commands import Acknowledgements, Draft, Row, issue, parse
from mtor_swarm.swarm import keyring
from mtor_swarm.swarm.identity import operator_signer
from mtor_swarm.swarm.observer import Observer

_HELP = """\
Understands an order, signs it with your operator's key, sends it to the swarm, and shows what each
unit that was named says to it: accepted, refused (and why), confirmed (a stop, once the unit's
measured speed is under 0.02 m/s), done; or silent, if it never answers.

  mtor say "all units hold"                  stop, and stay stopped, through restarts too
  mtor say "all units release"               let them go on; nothing else does
  mtor say "r1 and r3 search"                look for the mission's target again
  mtor say "all but r2 return to base"       drive home
  mtor say "unit 2, stop!"                   also: halt, freeze, wait; resume, go on, carry on

Units obey keys that their config lists among `operators`; mtor sim lists yours. In a swarm with
keys they obey who was issued the role operator or sysop: name that folder with --keys. Exit codes:
0 all did it, 1 somebody did not or was not understood.
"""
_COLOURS = {"asked": "", "accepted": "yellow", "confirmed": "green", "done": "green"}


def register(sub: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `say` to `mtor`'s commands; it sets `run(args) -> exit code`."""
    parser = sub.add_parser(
        "say",
        help="tell units what to do, and see who did it",
        description=_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("text", nargs="+", metavar="TEXT", help="the order, as above")
    add_seeds(parser)
    parser.add_argument(
        "--timeout",
        type=float,
        default=5.0,
        metavar="SECONDS",
        help="how long to wait for the units' words (default: 5)",
    )
    parser.set_defaults(run=run)


def _run(args: argparse.Namespace, observer: Observer) -> int:
    units = settled(observer)["units"]
    draft = understood(" ".join(args.text), units)
    signer = keyring.issuer(args.keys) if args.keys else operator_signer()
    command = issue(draft, signer, time.time(), uuid.uuid4().hex)
    conversation = _Conversation(command, observer, args.timeout)
    rows = conversation.follow()
    text, code = verdict(draft, rows)
    console().print(text, soft_wrap=True)
    return code


run = watched(_run)
"""Issue a command and follow it; 0 only if every unit named did it."""


def understood(text: str, units: dict[str, dict[str, Any]]) -> Draft:
    """The draft of an order; "all" are those who are there, the lost are named one by one."""
    there = [name for name, unit in units.items() if unit["member_state"] not in GONE]
    order = sorted(units, key=lambda each: (len(each), each))
    try:
        return parse(text, [each for each in order if each in there])
    except CommandError:
        return parse(text, order)


def verdict(draft: Draft, rows: list[Row]) -> tuple[str, int]:
    """The last line, and the exit code."""
    did = sum(row.fulfilled for row in rows)
    if did == len(rows):
        return f"{draft.verb}: {did} of {did} did it", 0
    told = [f"{draft.verb}: {did} of {len(rows)} did it"]
    for status, words in (
        ("silent", "silent"),
        ("refused", "refused"),
        ("accepted", "accepted, but not done in time"),
    ):
        names = [row.unit for row in rows if row.status == status and not row.fulfilled]
        told += [f"{words}: {', '.join(names)}"] if names else []
    return "; ".join(told), 1


class _Conversation:
    """One command, and what its addressees say to it."""

    def __init__(self, command: Command, observer: Observer, timeout_s: float) -> None:
        self._command = command
        self._observer = observer
        self._until = time.monotonic() + timeout_s
        self._acks = Acknowledgements(command, time.monotonic(), timeout_s)
        self._changed = threading.Condition()

    def follow(self) -> list[Row]:
        """Issue the command and show the rows until all is said or the time is up."""
        end = self._observer.listen(self._hear)
        screen = console()
        try:
            with Live(console=screen, auto_refresh=False, transient=True) as live:
                self._publish()
                with self._changed:
                    while not self._acks.finished and time.monotonic() < self._until:
                        if screen.is_terminal:
                            live.update(table(self._rows()), refresh=True)
                        self._changed.wait(max(self._until - time.monotonic(), 0.0))
        finally:
            end()
        screen.print(table(self._rows()))
        return self._rows()

    def _publish(self) -> None:
        name = events.command_type(self._command.verb)
        self._observer.publish(
            events.make(self._command, source="/mtor/say", wall_s=time.time(), type=name)
        )

    def _rows(self) -> list[Row]:
        return self._acks.rows(time.monotonic())

    def _hear(self, kind: str, value: dict[str, Any]) -> None:
        if kind != "event" or value["type"] != "mtor.command.acknowledged":
            return
        unit = value.get("unit", "")
        known = self._observer.snapshot()["units"].get(unit)
        if known is None or known["member"] != value.get("origin"):
            return  # nobody speaks for another
        try:
            ack = msgspec.convert(value["data"], CommandAcknowledged)
        except msgspec.ValidationError:
            return
        with self._changed:
            if self._acks.take(unit, ack):
                self._changed.notify_all()


def table(rows: list[Row]) -> Table:
    """Where each addressee stands."""
    found = Table("unit", "says", "speed", "", box=None)
    for row in rows:
        style = _COLOURS.get(row.status, "red")
        speed = "" if row.speed_mps is None else f"{row.speed_mps:.3f} m/s"
        found.add_row(row.unit, Text(row.status, style=style), speed, row.reason)
    return found
