"""`mtor ask`: ask a unit's workers something, as a program in its realm would."""

from __future__ import annotations

import argparse
import contextlib
import mimetypes
import queue
import sys
import uuid
from pathlib import Path
from typing import Any

from rich.table import Table

from mtor_swarm.cli.watching import add_seeds, console, plain, seconds, settled, settling, watched
from mtor_swarm.errors import AskError, ConfigError, SwarmError
from mtor_swarm.realm import ask_wire, tracing
from mtor_swarm.realm.ask_wire import (
    BETWEEN_REALMS,
    MAX_PAYLOAD_BYTES,
    Answer,
    Ask,
    Part,
    Status,
)
from mtor_swarm.realm.orders import in_order
from mtor_swarm.swarm.observer import Observer
from mtor_swarm.swarm.picture import GONE

LATE_S = 3.0
"""A unit itself says that the time is over; if it does not, we do, so much later."""
MAX_WAITING = 4096
_HELP = """\
Asks a unit for something that its workers can do, and prints the answer. Without a CAPABILITY it
shows which units lend what, and how long an ask would wait there; what a unit keeps to itself you
can ask of it too (--unit). Else the one is asked that would answer soonest. A unit that cannot
itself asks a peer that can.

  mtor ask                                     who lends what
  mtor ask chat "Where would you look for a cat?" --stream
  mtor ask detect --file cat.jpg --unit r2 | jq
  mtor ask embed '["cat", "dog"]' --kind application/json
  mtor ask speak "I found it" --out it.wav     what is no text needs a file, or a pipe
  mtor ask detect --file cat.jpg --trace       and show its way: queue, worker, peer

In a swarm with keys, those of an operator or sysop are needed: name that folder with --keys.
Ctrl-C cancels. Exit codes: 0 answered, 1 not, 2 cannot be asked.
"""


def register(sub: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `ask` to `mtor`'s commands; it sets `run(args) -> exit code`."""
    parser = sub.add_parser(
        "ask",
        help="ask units' workers something",
        description=_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("capability", nargs="?", metavar="CAPABILITY", help="what to ask for")
    parser.add_argument("text", nargs="*", metavar="TEXT", help="the question")
    parser.add_argument("--unit", metavar="NAME", help="whom to ask (default: the least busy)")
    parser.add_argument(
        "--file", metavar="FILE", help="the question: this file's bytes (-: stdin)"
    )
    parser.add_argument(
        "--kind",
        metavar="TYPE",
        help="the question's media type (default: text/plain, or what FILE's name says)",
    )
    parser.add_argument(
        "--option",
        action="append",
        default=[],
        type=_option,
        metavar="NAME=VALUE",
        help="an option for the worker; may be given several times",
    )
    parser.add_argument("--out", metavar="FILE", help="write the answer there")
    parser.add_argument(
        "--stream", action="store_true", help="print the parts of a text as they come, instead"
    )
    parser.add_argument("--trace", action="store_true", help="show the way of the ask, on stderr")
    parser.add_argument(
        "--timeout",
        type=seconds,
        default=30.0,
        metavar="SECONDS",
        help="how long the answer may take (default: 30)",
    )
    add_seeds(parser)
    parser.set_defaults(run=run)


def _option(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"{text!r}: write NAME=VALUE")
    return name, value


def _run(args: argparse.Namespace, observer: Observer) -> int:
    if not args.capability:
        console().print(offers(settled(observer)["units"]))
        return 0
    ask: Ask = args.ask
    unit = args.unit or whom(settled(observer)["units"], args.capability)
    for snapshot in settling(observer):
        if unit in snapshot["units"]:
            break
    conversation = _Conversation(observer, unit, ask, stream=args.stream)
    answer = conversation.follow()
    if args.trace:
        print("\n".join(tracing.tree(answer, ask.capability)), file=sys.stderr)
    if not answer.ok:
        later = "" if answer.retry_s is None else f"; ask again in {answer.retry_s:.1f} s"
        print(f"mtor: {unit}: {plain(answer.reason)}{later}", file=sys.stderr)
        return 1
    _give(answer, args.out, conversation.shown)
    return 0


_joined = watched(_run)


def run(args: argparse.Namespace) -> int:
    """Ask, and print the answer; 1 if there is none. ConfigError if it cannot even be asked."""
    args.ask = question(args) if args.capability else None
    return _joined(args)


def question(args: argparse.Namespace) -> Ask:
    """What is asked, by the command's arguments; ConfigError if a file cannot be read."""
    payload = " ".join(args.text).encode(errors="surrogateescape")  # the bytes that were typed
    kind = "text/plain"
    if args.file and args.text:
        raise ConfigError(f"{args.file}: ask by a text or by a file, not both")
    if args.file:
        kind = mimetypes.guess_type(args.file)[0] or "application/octet-stream"
        try:
            stdin = args.file == "-"
            with sys.stdin.buffer if stdin else Path(args.file).open("rb") as file:
                payload = file.read(MAX_PAYLOAD_BYTES + 1)
        except OSError as error:
            raise ConfigError(f"{args.file}: cannot be read: {error.strerror}") from None
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise ConfigError(
            f"{args.file or 'the text'}: more than the {MAX_PAYLOAD_BYTES} bytes that an ask has "
            "room for: send a smaller picture, or less"
        )
    ask = Ask(
        askid=uuid.uuid4().hex,
        capability=args.capability,
        payload=payload,
        kind=args.kind or kind,
        caller="mtor",
        timeout_s=args.timeout,
        options=dict(args.option),
        stream=args.stream or args.trace,
    )
    ask_wire.decode(ask_wire.encode(ask))  # what no unit could read is better told here
    return ask


def whom(units: dict[str, dict[str, Any]], capability: str) -> str:
    """Who would answer soonest: of those that offer it, else of all that are there."""
    here = [name for name in in_order(units) if units[name]["member_state"] not in GONE]
    if not here:
        raise SwarmError("no unit is there to be asked; `mtor units` shows who was")
    able = [name for name in here if capability in _offers(units[name])]
    return min(able, key=lambda each: _offers(units[each])[capability], default=here[0])


def offers(units: dict[str, dict[str, Any]]) -> Table:
    """Which units can be asked for what, and how long an ask would wait there."""
    found = Table("capability", "unit", "would wait", box=None)
    rows = [
        (capability, name, wait_s)
        for name in in_order(units)
        if units[name]["member_state"] not in GONE
        for capability, wait_s in _offers(units[name]).items()
    ]
    for capability, name, wait_s in sorted(rows, key=lambda each: each[0]):
        found.add_row(plain(capability), plain(name), f"{wait_s:.1f} s")
    return found


def _offers(unit: dict[str, Any]) -> dict[str, float]:
    state: dict[str, Any] = unit["state"] or {}
    found: dict[str, float] = state.get("offers", {})
    return found


def _give(answer: Answer, out: str | None, shown: str) -> None:
    """The answer: into the file, or to standard output if that can show it and shows no parts."""
    text = answer.kind.startswith("text/") or answer.kind == "application/json"
    if out:
        try:
            Path(out).write_bytes(answer.payload)
        except OSError as error:
            raise ConfigError(f"{out}: cannot be written: {error.strerror}") from None
    elif text:
        if not shown:
            print(_plain(answer.payload.decode(errors="replace")))
    elif sys.stdout.isatty():
        print(f"{len(answer.payload)} bytes of {plain(answer.kind)}: name a file with --out")
    else:
        sys.stdout.buffer.write(answer.payload)


def _plain(text: str) -> str:
    """A text of several lines for a terminal; see `plain`."""
    return "\n".join(map(plain, text.split("\n")))


class _Conversation:
    """One ask, and what the unit says to it. `shown` is what was printed of it already."""

    def __init__(self, observer: Observer, unit: str, ask: Ask, *, stream: bool) -> None:
        self.shown = ""
        self._observer = observer
        self._unit = unit
        self._ask = ask
        self._stream = stream
        self._said: queue.Queue[ask_wire.Said | None] = queue.Queue(MAX_WAITING)

    def follow(self) -> Answer:
        """Ask, show how it fares, and wait for the answer; SwarmError if none comes."""
        raw, timeout_s = ask_wire.encode(self._ask), self._ask.timeout_s + LATE_S
        future = self._observer.ask(self._unit, BETWEEN_REALMS, raw, timeout_s, self._hear)
        future.add_done_callback(lambda _: self._put(None))
        try:
            self._show()
        finally:
            future.cancel()  # Ctrl-C: the unit need not go on
        said = ask_wire.decode(future.result())
        if not isinstance(said, Answer):
            raise AskError(f"{type(said).__name__} came where an answer was expected")
        return said

    def _show(self) -> None:
        screen = console()
        with contextlib.ExitStack() as stack:
            line = None
            if screen.is_terminal:
                line = stack.enter_context(screen.status(plain(f"{self._unit} is asked")))
            while (said := self._said.get()) is not None:
                if isinstance(said, Status) and line is not None:
                    line.update(plain(f"{said.state} {said.worker or said.place or ''}"))
                elif isinstance(said, Part) and self._stream and said.kind.startswith("text/"):
                    if line is not None:
                        line.stop()
                    self._print(said)
        if self.shown:
            print()

    def _print(self, part: Part) -> None:
        if part.seq == 0 and self.shown:  # it begins anew: who worked on it failed
            self.shown = ""
            print()
        text = part.payload.decode(errors="replace")
        self.shown += text
        print(_plain(text), end="", flush=True)

    def _hear(self, raw: bytes) -> None:
        with contextlib.suppress(AskError):  # nonsense: the answer may still come
            self._put(ask_wire.decode(raw))

    def _put(self, said: ask_wire.Said | None) -> None:
        while True:
            try:
                return self._said.put_nowait(said)
            except queue.Full:  # the terminal stands still: it misses something, but not the end
                with contextlib.suppress(queue.Empty):
                    self._said.get_nowait()
