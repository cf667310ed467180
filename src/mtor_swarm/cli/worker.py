"""`mtor worker`: which workers units have, and add, remove or restart one while they run."""

from __future__ import annotations

import argparse
import json
import re
import uuid
from collections.abc import Mapping
from concurrent.futures import CancelledError, Future
from concurrent.futures import TimeoutError as LateError
from typing import Any

import msgspec
import yaml
from rich.table import Table
from rich.text import Text

from mtor_swarm.cli.say import Conversation, verdict
from mtor_swarm.cli.watching import add_seeds, console, plain, seconds, settled, watched
from mtor_swarm.config import UNIT_NAME, WorkerConfig
from mtor_swarm.errors import CommandError, ConfigError, SwarmError
from mtor_swarm.realm import staff
from mtor_swarm.realm.grammar import Draft
from mtor_swarm.realm.orders import Order, Units, in_order
from mtor_swarm.realm.rollcall import KIND, MAX_LINES, Query, Reply
from mtor_swarm.realm.staff import Change
from mtor_swarm.swarm import keyring
from mtor_swarm.swarm.identity import operator_signer
from mtor_swarm.swarm.observer import Observer
from mtor_swarm.swarm.picture import GONE

_HELP = """\
Shows the workers of running units, and adds, removes or restarts one while its unit runs. A unit
obeys an operator whom its config lists, or in a swarm with keys a sysop (--keys). What is added or
removed holds until the unit is started anew: what is to stay, write into its config, under
`workers`. A worker's kind is what a package that is installed on the unit calls it.

  mtor worker list                                   of all units
  mtor worker add smoke --kind smoke_alarm --unit r1 --set rise=0.2
  mtor worker add smoke --kind smoke_alarm --replace --set rise=0.3
  mtor worker logs smoke --unit r1                   what it wrote last
  mtor worker restart smoke --unit r1
  mtor worker remove smoke --unit r1

Exit codes: 0 done by every unit named, 1 not.
"""
LATE_S = 5.0
"""Units are given so long to tell about their workers."""
_COLOURS = {"active": "green", "unloaded": ""}
_COLOURS |= dict.fromkeys(("starting", "inactive", "degraded"), "yellow")
_LIMITS = {
    "process": (str, "NAME", "the process that it shares by this name; models: perception's"),
    "nice": (int, "N", "how much its process gives way, 0 to 19 (default: 10)"),
    "memory-mib": (int, "MIB", "its process may hold so much, else it is restarted"),
    "least": (int, "N", "of it run at least; 0: it is loaded when it is asked (default: 1)"),
    "most": (int, "N", "of it run when asks wait for long (default: 1)"),
    "idle-s": (float, "SECONDS", "it is unloaded when nobody asked it for so long"),
}
"""Options of `add` that are keys of a worker in the config."""


def register(sub: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `worker` and its verbs to `mtor`'s commands; each sets `run(args) -> exit code`."""
    top = sub.add_parser(
        "worker",
        help="list, add, remove and restart workers of running units",
        description=_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = top.add_subparsers(dest="verb", metavar="VERB", required=True)
    told = "show each worker: its state, what it answers, its health, its process"
    _verb(verbs, "list", told, watched(_list)).add_argument(
        "--json", action="store_true", help="print one JSON object: unit → workers"
    )
    logs = _verb(verbs, "logs", "show what a worker's process wrote last", watched(_logs))
    logs.add_argument(
        "--lines", type=_lines, default=50, metavar="N", help=f"up to {MAX_LINES} (default: 50)"
    )
    add = _verb(verbs, "add", "add a worker, or replace one", _run_change)
    add.add_argument("--kind", required=True, metavar="KIND", help="what it is, as packages say")
    add.add_argument(
        "--set",
        action="append",
        default=[],
        type=_setting,
        metavar="KEY=VALUE",
        help="one of its parameters, as in YAML; may be given several times",
    )
    for name, (kind, metavar, told) in _LIMITS.items():
        add.add_argument(f"--{name}", type=kind, metavar=metavar, help=told)
    add.add_argument(
        "--replace",
        action="store_true",
        help="it is there already: put this in its place once it works; no ask is lost",
    )
    remove = _verb(verbs, "remove", "remove a worker", _run_change)
    restart = _verb(verbs, "restart", "restart a worker, quarantined or not", _run_change)
    for each in (logs, add, remove, restart):
        each.add_argument("name", type=_name, metavar="NAME", help="the worker's name")
    for each in (add, remove, restart):
        each.add_argument(
            "--timeout",
            type=seconds,
            default=60.0,
            metavar="SECONDS",
            help="how long to wait for it to be done (default: 60)",
        )


def _verb(verbs: Any, name: str, told: str, run: Any) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(
        name, help=told, description=f"{told[0].upper()}{told[1:]}."
    )
    parser.add_argument(
        "--unit",
        action="append",
        default=[],
        metavar="NAME",
        help="which unit; may be given several times (default: the only one there is)"
        if name != "list"
        else "which unit; may be given several times (default: all)",
    )
    add_seeds(parser)
    parser.set_defaults(run=run)
    return parser


def _name(text: str) -> str:
    if not re.fullmatch(UNIT_NAME, text):
        raise argparse.ArgumentTypeError(
            f"{text!r}: write small letters, digits and _, a letter first, up to 32"
        )
    return text


def _lines(text: str) -> int:
    if not (text.isdecimal() and 1 <= int(text) <= MAX_LINES):
        raise argparse.ArgumentTypeError(f"{text!r}: give a number from 1 to {MAX_LINES}")
    return int(text)


def _setting(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise argparse.ArgumentTypeError(f"{text!r}: write KEY=VALUE")
    try:
        return key, yaml.safe_load(value)
    except yaml.YAMLError:
        raise argparse.ArgumentTypeError(f"{text!r}: {value!r} is not valid YAML") from None


# Changes.


def change(args: argparse.Namespace) -> Change:
    """What the command line wants changed; ConfigError names an option that is wrong."""
    if args.verb != "add":
        return Change(do=args.verb, worker=args.name)
    limits = {each.replace("-", "_"): getattr(args, each.replace("-", "_")) for each in _LIMITS}
    given = {key: value for key, value in limits.items() if value is not None}
    try:
        config = msgspec.convert(
            {"kind": args.kind, "parameters": dict(args.set), **given}, WorkerConfig
        )
    except msgspec.ValidationError as error:
        raise ConfigError(f"mtor worker add: {error}") from None
    return Change(do="replace" if args.replace else "add", worker=args.name, config=config)


def meant(named: list[str], units: Units) -> list[str]:
    """The units that are named, or the only one there is; CommandError if that is not clear."""
    known = in_order(units)
    for name in named:
        if name not in known:
            raise CommandError(f"{name} is no unit here; known are {', '.join(known) or 'none'}")
    if named:
        return [each for each in known if each in named]
    live = [each for each in known if units[each]["member_state"] not in GONE]
    if len(live) != 1:
        there = ", ".join(live) or "none that lives"
        raise CommandError(f"which unit? There are {there}: say --unit NAME")
    return live


def _change(args: argparse.Namespace, observer: Observer) -> int:
    wanted: Change = args.wanted
    signer = keyring.issuer(args.keys) if args.keys else operator_signer()
    text = f"worker {wanted.do} {wanted.worker}"

    def understand(_: str, units: Units) -> Draft:
        return staff.draft(wanted, meant(args.unit, units), text)

    order = Order(text, signer, uuid.uuid4().hex, args.timeout, understand)
    rows = Conversation(order, observer, args.timeout).follow()
    words, code = verdict(f"{wanted.do} {wanted.worker}", rows, observer.snapshot()["units"])
    console().print(plain(words), soft_wrap=True)
    return code


_joined = watched(_change)


def _run_change(args: argparse.Namespace) -> int:
    args.wanted = change(args)  # what is wrong with it is told before any unit is looked for
    return _joined(args)


# Questions.


def _asked(observer: Observer, units: list[str], query: Query) -> dict[str, Reply | SwarmError]:
    """What each unit replies, or why it does not."""
    raw = msgspec.json.encode(query)
    futures = {unit: observer.ask(unit, KIND, raw, LATE_S) for unit in units}
    return {unit: _reply(unit, future) for unit, future in futures.items()}


def _reply(unit: str, future: Future[bytes]) -> Reply | SwarmError:
    try:
        return msgspec.json.decode(future.result(LATE_S + 1), type=Reply)
    except (SwarmError, CancelledError, LateError) as error:
        return SwarmError(f"{unit}: {str(error) or 'it does not answer'}")
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return SwarmError(f"{unit}: no reply that is understood here: {error}")


def _list(args: argparse.Namespace, observer: Observer) -> int:
    units = settled(observer)["units"]
    live = [each for each in in_order(units) if units[each]["member_state"] not in GONE]
    told = _asked(observer, meant(args.unit, units) if args.unit else live, Query(do="list"))
    replies = {unit: each for unit, each in told.items() if isinstance(each, Reply)}
    if args.json:
        rows = {unit: msgspec.to_builtins(each.rows) for unit, each in replies.items()}
        print(json.dumps(rows, sort_keys=True))
    else:
        console().print(table(replies))
    return _complain(told)


def _logs(args: argparse.Namespace, observer: Observer) -> int:
    (unit,) = meant(args.unit, settled(observer)["units"])[:1]
    query = Query(do="logs", worker=args.name, lines=args.lines)
    told = _asked(observer, [unit], query)
    for each in told.values():
        if isinstance(each, Reply):
            print("\n".join(plain(line) for line in each.lines))
    return _complain(told)


def _complain(told: Mapping[str, Reply | SwarmError]) -> int:
    """Say which units did not reply, and why: 1 if any."""
    errors = [each for each in told.values() if isinstance(each, SwarmError)]
    if errors:
        raise SwarmError("; ".join(map(str, errors)))
    return 0


def table(replies: Mapping[str, Reply]) -> Table:
    """The workers of each unit, a row each."""
    columns = ("unit", "worker", "kind", "state", "health", "answers", "process", "memory", "why")
    found = Table(*columns, box=None)
    for unit, reply in replies.items():
        for row in reply.rows:
            fault = f" ({row.fault})" if row.fault else ""
            found.add_row(
                plain(unit),
                plain(row.worker),
                plain(row.kind or "built in"),
                Text(plain(f"{row.state}{fault}"), style=_COLOURS.get(row.state, "red")),
                "" if row.health is None else f"{row.health:.0%}",
                plain(", ".join(row.answers)),
                plain(f"{row.process} {row.pid or ''}".strip()),
                f"{row.memory_mib:.0f} MiB" if row.pid else "",
                plain(row.reason),
            )
    return found
