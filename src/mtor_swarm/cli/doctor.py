"""`mtor doctor`: what this machine lacks, and what a swarm refused, dropped and lost."""

from __future__ import annotations

import argparse
import importlib.util
import json
import resource
import socket
from concurrent.futures import wait

from rich.table import Table
from rich.text import Text

from mtor_swarm.cli.watching import add_seeds, console, plain, settled, watched
from mtor_swarm.errors import SwarmError
from mtor_swarm.realm.orders import in_order
from mtor_swarm.swarm import diagnosis
from mtor_swarm.swarm.counters import COUNTERS
from mtor_swarm.swarm.datagrams import BUFFER_BYTES
from mtor_swarm.swarm.observer import Observer
from mtor_swarm.swarm.picture import GONE

_HELP = """\
Says what this machine lacks; then asks every unit what it refused, dropped and lost since it
started, and what each count means. Small ones are life: radios lose, swarms change. What points at
somebody who means harm, or at keys that do not fit, is red, and the exit code is 1.

  mtor doctor                               the swarm that mtor sim runs here
  mtor doctor --keys ada-keys --seed tcp://10.0.0.7:7400
  mtor doctor --json | jq .r1               for programs
"""
ASK_S = 3.0
FILES = 1024
NAMED = 3
"""Units that a row names, those with the most."""
PARTS = {
    "rclpy": "runs no realm: pip install mtor_swarm[ros], or a ROS 2 distribution",
    "mujoco": "simulates nothing: pip install mtor_swarm[sim]",
    "fastapi": "serves no viewer: pip install mtor_swarm[viewer]",
    "onnxruntime": "perceives nothing: pip install mtor_swarm[ai]",
}


def register(sub: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `doctor` to `mtor`'s commands; it sets `run(args) -> exit code`."""
    parser = sub.add_parser(
        "doctor",
        help="show what the swarm refused, dropped and lost, and what this machine lacks",
        description=_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_seeds(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object, by unit")
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
    """Look here, and ask once; 1 if no member answers, or if something points at harm."""
    if not args.json:
        for line in lacking() or ["lacks nothing"]:
            console().print(f"this machine {line}", soft_wrap=True)
    return _ask_once(args)


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


def lacking() -> list[str]:
    """What this machine lacks, a line each."""
    found = [what for name, what in PARTS.items() if importlib.util.find_spec(name) is None]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
        room = probe.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
    if room < BUFFER_BYTES:
        found.append(
            f"buffers {room} bytes of datagrams, where {BUFFER_BYTES} outlast a stall: "
            f"sysctl -w net.core.rmem_max={BUFFER_BYTES}"
        )
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files < FILES:
        found.append(
            f"lets a process open {files} files, few for a large swarm: ulimit -n {FILES}"
        )
    return found
