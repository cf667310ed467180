"""`mtor doctor`: this machine, a unit's config, and what a swarm refused, dropped and lost."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from concurrent.futures import wait

from rich.table import Table
from rich.text import Text

from mtor_swarm.cli import checkup
from mtor_swarm.cli.watching import add_seeds, console, plain, settled, watched
from mtor_swarm.errors import SwarmError
from mtor_swarm.realm.orders import in_order
from mtor_swarm.swarm import diagnosis
from mtor_swarm.swarm.counters import COUNTERS
from mtor_swarm.swarm.observer import Observer
from mtor_swarm.swarm.picture import GONE

_HELP = """\
Looks at this machine, and with --config at what one unit's file names (keys, ports, model weights,
workers), and says what to do. Then asks every unit what it refused, dropped and lost since it
started, and what each count means. Small ones are life: radios lose, swarms change. What points at
somebody who means harm, or at keys that do not fit, is red, and the exit code is 1.

  mtor doctor                               the swarm that mtor sim runs here
  mtor doctor --here --config realm.yaml    will this unit run here? Asks nobody
  mtor doctor --keys ada-keys --seed tcp://10.0.0.7:7400
  mtor doctor --json | jq .r1               for programs
"""
ASK_S = 3.0
NAMED = 3
"""Units that a row names, those with the most."""


def register(sub: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `doctor` to `mtor`'s commands; it sets `run(args) -> exit code`."""
    parser = sub.add_parser(
        "doctor",
        help="show what the swarm refused, dropped and lost, and what this machine lacks",
        description=_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_seeds(parser)
    parser.add_argument("--config", metavar="FILE", help="look at this unit's config as well")
    either = parser.add_mutually_exclusive_group()
    either.add_argument("--here", action="store_true", help="ask nobody")
    either.add_argument("--json", action="store_true", help="print one JSON object, by unit")
    parser.set_defaults(run=run)


def _run(args: argparse.Namespace, observer: Observer) -> int:
    told = ask_all(observer)
    if args.json:
        print(json.dumps(told, sort_keys=True))
    else:
        console().print(table(told))
        console().print(verdict(told), soft_wrap=True)
    return int(any(diagnosis.meaning(name).harm for each in told.values() for name in each))


_ask_once = watched(_run)


def run(args: argparse.Namespace) -> int:
    """Look here, then ask once.

    1 if the unit needs something, if no member answers, or if something points at harm.
    """
    wrong = 0
    if not args.json:
        show("this machine", checkup.machine())
    if args.config:
        found = checkup.realm(args.config)
        wrong = int(any(each.cure for each in found))
        if not args.json:
            show("this unit", found)
    return wrong if args.here else max(wrong, _ask_once(args))


def ask_all(observer: Observer) -> dict[str, dict[str, int]]:
    """Each unit's counts; a unit that is lost or does not answer has the count `silent`."""
    units = settled(observer)["units"]
    asked = {
        name: observer.ask(name, COUNTERS, b"", ASK_S)
        for name, unit in units.items()
        if unit["member_state"] not in GONE
    }
    wait(asked.values(), ASK_S + 1)
    told: dict[str, dict[str, int]] = {name: {"silent": 1} for name in units}
    for name, answer in asked.items():
        try:
            told[name] = diagnosis.read(answer.result(0))
        except (SwarmError, TimeoutError):
            continue
    return told


def table(told: dict[str, dict[str, int]]) -> Table:
    """A row for each count: of all units together, of whom the most, and what it means."""
    found = Table("count", "of", "units", "", box=None)
    for what in diagnosis.in_order({name for counts in told.values() for name in counts}):
        by_unit = {unit: told[unit][what] for unit in in_order(told) if what in told[unit]}
        most = sorted(by_unit, key=lambda each: -by_unit[each])
        units = [f"{plain(each)} {by_unit[each]}" for each in most[:NAMED]]
        if len(most) > NAMED:
            units.append(f"{len(most) - NAMED} more")
        harm, means = diagnosis.meaning(what)
        of = Text(plain(what), style="red" if harm else "")
        found.add_row(str(sum(by_unit.values())), of, ", ".join(units), means)
    return found


def verdict(told: dict[str, dict[str, int]]) -> str:
    """What it comes to, in a line."""
    harm = diagnosis.in_order({name for counts in told.values() for name in counts})
    harm = [plain(name) for name in harm if diagnosis.meaning(name).harm]
    answered = sum("silent" not in counts for counts in told.values())
    end = f"look into: {', '.join(harm)}" if harm else "nothing points at harm"
    return f"{answered} of {len(told)} units answered; {end}"


def show(title: str, findings: Sequence[checkup.Finding]) -> None:
    """A row for each; what there is to do stands out."""
    found = Table(title, "", "to do" if any(each.cure for each in findings) else "", box=None)
    for each in findings:
        found.add_row(each.what, plain(each.found), Text(plain(each.cure), style="yellow"))
    console().print(found)
