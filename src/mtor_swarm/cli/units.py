"""`mtor units`: who is there, and what each unit does."""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

from rich.table import Table
from rich.text import Text

from mtor_swarm.cli.watching import add_seeds, console, plain, settled, watched
from mtor_swarm.realm.orders import in_order
from mtor_swarm.swarm.observer import Observer
from mtor_swarm.swarm.picture import GONE

_HELP = """\
Joins the swarm as one who only listens, and shows each unit: its state as the gossip sees it
(alive, suspect, dead, left), what it does, where it is (metres and degrees in the shared map),
how fast it goes, whether a stop holds it, and its workers. Units that are lost stay, with the
place and the time. Any member's address will do; there is no central one.

  mtor units                                who is in the swarm that mtor sim runs here
  mtor units --seed tcp://10.0.0.7:7400     ask the swarm of another machine
  mtor units --json | jq '.r1.state.pose'   for programs
"""
_COLOURS = {"alive": "green", "suspect": "yellow", "dead": "red", "left": "bright_black"}


def register(sub: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `units` to `mtor`'s commands; it sets `run(args) -> exit code`."""
    parser = sub.add_parser(
        "units",
        help="show who is there and what each unit does",
        description=_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_seeds(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object, by unit")
    parser.set_defaults(run=run)


def _run(args: argparse.Namespace, observer: Observer) -> int:
    units = settled(observer)["units"]
    if args.json:
        print(json.dumps(units, sort_keys=True))
    else:
        console().print(table(units, time.time()))
    return 0


run = watched(_run)
"""Show the units once; 1 if no member answers."""


def table(units: dict[str, dict[str, Any]], wall_s: float) -> Table:
    """The units of a snapshot (`ports.Swarm`), a row each."""
    columns = ("unit", "state", "doing", "pose", "speed", "battery", "latched", "workers", "heard")
    found = Table(*columns, box=None)
    for name in in_order(units):
        unit = units[name]
        state = unit["state"] or {}
        member = unit["member_state"]
        battery = state.get("battery")
        found.add_row(
            plain(name),
            Text(member, style=_COLOURS.get(member, "")),
            _lost(unit, wall_s) if member in GONE else plain(state.get("doing", "")),
            _pose(state.get("pose")),
            f"{state.get('speed_mps', 0.0):.2f} m/s" if state else "",
            "" if battery is None else f"{battery:.0%}",
            "HELD" if state.get("latched") else "",
            _workers(state.get("workers", {})),
            "never" if unit["heard_s"] is None else _ago(wall_s - unit["heard_s"]),
        )
    return found


def _lost(unit: dict[str, Any], wall_s: float) -> str:
    when = " earlier" if unit["lost_at_s"] is None else f" {_ago(wall_s - unit['lost_at_s'])}"
    if unit["lost_x_m"] is None:
        return f"LOST{when}"
    return f"LOST{when} at {unit['lost_x_m']:.1f}, {unit['lost_y_m']:.1f}"


def _pose(pose: dict[str, float] | None) -> str:
    if pose is None:
        return "?"
    degrees = pose["yaw_rad"] * 57.29577951308232
    return f"{pose['x_m']:.2f}, {pose['y_m']:.2f} m, {degrees:.0f}°"


def _workers(workers: dict[str, str]) -> str:
    """Those that work by number; those that do not by name and state."""
    active = sum(state == "active" for state in workers.values())
    ill = [f"{name} {state}" for name, state in sorted(workers.items()) if state != "active"]
    return plain(", ".join([f"{active} active", *ill])) if workers else ""


def _ago(seconds: float) -> str:
    return f"{max(seconds, 0.0):.0f} s ago"
