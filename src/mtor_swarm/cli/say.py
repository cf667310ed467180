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
from mtor_swarm.cli.watching import add_seeds, console, plain, seconds, settling, watched
from mtor_swarm.events import CommandAcknowledged
from mtor_swarm.realm.commands import Row
from mtor_swarm.realm.orders import Order, Units
from mtor_swarm.swarm import keyring
from mtor_swarm.swarm.identity import operator_signer
from mtor_swarm.swarm.observer import Observer
from mtor_swarm.swarm.picture import GONE, speaker

_HELP = """\
Understands an order, signs it with your operator's key, sends it to the swarm, and shows what each
unit that was named says to it: accepted, refused (and why), confirmed (a stop, once the unit's
measured speed is under 0.02 m/s), done; or silent, if it never answers. A stop goes out at once.
"All" are all who have not left the swarm: the lost are asked too, and named if they do not answer.

  mtor say "all units hold"                  stop, and stay stopped, through restarts too
  mtor say "all units release"               let them go on; nothing else does
  mtor say "r1 and r3 search"                look for the mission's target again
  mtor say "all but r2 return to base"       drive home
  mtor say "unit 2, stop!"                   also: halt, freeze, wait; resume, go on, carry on
  mtor say "all units hold" || echo "somebody still moves"

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
        type=seconds,
        default=5.0,
        metavar="SECONDS",
        help="how long to wait for the units' words (default: 5)",
    )
    parser.set_defaults(run=run)


def _run(args: argparse.Namespace, observer: Observer) -> int:
    signer = keyring.issuer(args.keys) if args.keys else operator_signer()
    order = Order(" ".join(args.text), signer, uuid.uuid4().hex, args.timeout)
    rows = Conversation(order, observer, args.timeout).follow()
    text, code = verdict(order.verb, rows, observer.snapshot()["units"])
    console().print(plain(text), soft_wrap=True)
    return code


run = watched(_run)
"""Issue a command and follow it; 0 only if every unit named did it."""


def verdict(verb: str, rows: list[Row], units: Units) -> tuple[str, int]:
    """The last line, and the exit code."""
    did = sum(row.fulfilled for row in rows)
    if did == len(rows):
        return f"{verb}: {did} of {did} did it", 0
    told = [f"{verb}: {did} of {len(rows)} did it"]
    lost = [name for name in units if units[name]["member_state"] in GONE]
    for words, names in (
        ("lost", [row.unit for row in rows if row.status == "silent" and row.unit in lost]),
        ("silent", [row.unit for row in rows if row.status == "silent" and row.unit not in lost]),
        ("refused", [row.unit for row in rows if row.status == "refused"]),
        (
            "accepted, but not done in time",
            [row.unit for row in rows if row.status == "accepted" and not row.fulfilled],
        ),
    ):
        told += [f"{words}: {', '.join(names)}"] if names else []
    return "; ".join(told), 1


class Conversation:
    """One order, and what its addressees say to it."""

    def __init__(self, order: Order, observer: Observer, timeout_s: float) -> None:
        self._order = order
        self._observer = observer
        self._timeout_s = timeout_s
        self._until = 0.0
        self._changed = threading.Condition()

    def follow(self) -> list[Row]:
        """Issue the order and show the rows until all is said or the time is up."""
        end = self._observer.listen(self._hear)
        screen = console()
        try:
            with Live(console=screen, auto_refresh=False, transient=True) as live:

                def show() -> None:
                    if screen.is_terminal:
                        live.update(table(self._rows()), refresh=True)

                for snapshot in settling(self._observer):
                    self._send(snapshot["units"], settled=False)
                    show()
                self._send(snapshot["units"], settled=True)
                with self._changed:
                    while not self._order.finished and time.monotonic() < self._until:
                        show()
                        self._changed.wait(max(self._until - time.monotonic(), 0.0))
        finally:
            end()
        screen.print(table(self._rows()))
        return self._rows()

    def _send(self, units: Units, *, settled: bool) -> None:
        """Send it to those who are found: a stop at once, the rest once the swarm has settled."""
        with self._changed:
            command = self._order.address(units, time.time(), time.monotonic(), settled=settled)
        if command is None:
            return
        name = events.command_type(command.verb)
        self._observer.publish(
            events.make(command, source="/mtor/say", wall_s=time.time(), type=name)
        )
        self._until = time.monotonic() + self._timeout_s

    def _rows(self) -> list[Row]:
        return self._order.rows(self._observer.snapshot()["units"], time.monotonic())

    def _hear(self, kind: str, value: dict[str, Any]) -> None:
        if kind != "event" or value["type"] != "mtor.command.acknowledged":
            return
        unit = speaker(value, self._observer.snapshot()["units"])
        try:
            ack = msgspec.convert(value["data"], CommandAcknowledged)
        except msgspec.ValidationError:
            return
        with self._changed:
            if self._order.take(unit, ack):
                self._changed.notify_all()


def table(rows: list[Row]) -> Table:
    """Where each addressee stands."""
    measured = any(row.speed_mps is not None for row in rows)
    found = Table("unit", "says", *["speed"] * measured, "", box=None)
    for row in rows:
        says = Text(row.status, style=_COLOURS.get(row.status, "red"))
        speed = "" if row.speed_mps is None else f"{row.speed_mps:.3f} m/s"
        found.add_row(plain(row.unit), says, *[speed] * measured, plain(row.reason))
    return found
