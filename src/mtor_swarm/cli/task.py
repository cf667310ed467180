"""`mtor task`: announce work, see who does it, and call it off."""

from __future__ import annotations

import argparse
import json
import threading
import time
from pathlib import Path
from typing import Any, cast

import msgspec
import yaml
from rich.table import Table

from mtor_swarm import events
from mtor_swarm.cli.watching import add_seeds, console, plain, seconds, watched
from mtor_swarm.errors import SwarmError
from mtor_swarm.swarm import tasking
from mtor_swarm.swarm.observer import Observer
from mtor_swarm.swarm.picture import GONE
from mtor_swarm.swarm.tasks import allocator_io as io
from mtor_swarm.swarm.tasks.board import OVER, Standing
from mtor_swarm.swarm.tasks.task import KINDS, Task

_HELP = """\
A task is work for whichever units suit it: they agree among themselves who does it, and others
take over when one is lost. What is announced is known to all; anyone may announce and cancel.

  mtor task announce goto --at 2,3                  some unit is to go there
  mtor task announce deliver --at 0,0 --at 5,1      from the first place to the last
  mtor task announce inspect --at 4,4 --units 2 --needs camera --within 120
  mtor task announce --file tasks.yaml              a list of tasks, as docs/tasks.md says
  mtor task list                                    how each task stands
  mtor task cancel ID                               call one off
"""
WAIT_S = 5.0
SPREAD_S = 0.5
"""Who has said something stays for so long, so that neighbours have it."""
NAME = "mtor task"


def register(sub: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `task` to `mtor`'s commands; it sets `run(args) -> exit code`."""
    parser = sub.add_parser(
        "task",
        help="announce, list and cancel tasks",
        description=_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = parser.add_subparsers(metavar="WHAT", required=True)
    announce = what.add_parser("announce", help="announce a task, or a file of them")
    announce.add_argument("kind", nargs="?", choices=KINDS, default="goto", help="what to do")
    announce.add_argument(
        "--at", action="append", type=_place, default=[], metavar="X,Y",
        help="a place in the shared map (m); may be given several times, in order",
    )  # fmt: skip
    announce.add_argument("--id", default="", help="its name (default: one of its own)")
    announce.add_argument("--units", type=int, default=1, help="how many units do it together")
    announce.add_argument(
        "--needs",
        action="append",
        default=[],
        metavar="SKILL",
        help="what a unit must have for it",
    )
    announce.add_argument(
        "--after",
        action="append",
        default=[],
        metavar="ID",
        help="the task that must be done first",
    )
    announce.add_argument("--reward", type=float, default=1.0, help="its worth beside others'")
    announce.add_argument(
        "--dwell", type=float, default=0.0, metavar="S", help="how long it takes there"
    )
    announce.add_argument("--within", type=float, default=0.0, metavar="S", help="of no use later")
    announce.add_argument(
        "--every", type=float, default=0.0, metavar="S", help="again so long after it"
    )
    announce.add_argument("--file", type=Path, help="a YAML list of tasks, instead of all that")
    announce.add_argument(
        "--wait", type=seconds, default=WAIT_S, metavar="S",
        help="how long to wait for units to take it",
    )  # fmt: skip
    announce.set_defaults(run=watched(_announce))
    shown = what.add_parser("list", help="show how each task stands")
    shown.add_argument("--json", action="store_true", help="print one JSON object, by task")
    shown.set_defaults(run=watched(_list))
    cancel = what.add_parser("cancel", help="call tasks off")
    cancel.add_argument("ids", nargs="+", metavar="ID", help="a task's name, as `list` shows it")
    cancel.add_argument("--reason", default="", help="why, for those who look")
    cancel.set_defaults(run=watched(_cancel))
    for each in (announce, shown, cancel):
        add_seeds(each)


def _place(text: str) -> tuple[float, float]:
    try:
        x_m, y_m = (float(each) for each in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no place: write X,Y in metres") from None
    return x_m, y_m


class Desk:
    """The tasks of a swarm as an observer sees them, and what it says of them."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._changed = threading.Event()
        observer.listen(lambda kind, value: self._changed.set() if kind == "shared" else None)

    def standings(self) -> dict[str, Standing]:
        """How each task stands now."""
        units = self._observer.snapshot()["units"].items()
        alive = [name for name, each in units if each["member_state"] not in GONE]
        return tasking.standings(self._observer.shared, alive, time.time())

    def say(self, given: io.Announce | io.Cancel) -> None:
        """Announce or cancel; SwarmError names what cannot be."""
        now = time.time()
        for data in tasking.say(self._observer.shared, NAME, given, now):
            self._observer.publish(events.make(data, source="/mtor/task", wall_s=now))

    def wait(self, names: list[str], states: frozenset[str], for_s: float) -> bool:
        """Wait until those tasks are in one of these states; whether they are."""
        end = time.monotonic() + for_s
        while True:
            self._changed.clear()
            found = self.standings()
            if all(name in found and found[name].state in states for name in names):
                return True
            left_s = end - time.monotonic()
            if left_s <= 0:
                return False
            self._changed.wait(min(left_s, 0.5))


def _meet(observer: Observer) -> None:
    """Wait until nothing more comes of what the members knew before us."""
    before, known = -1, 0
    while before != known:
        time.sleep(SPREAD_S)
        entries = observer.shared.entries(tasking.STATE)
        before, known = known, len(observer.snapshot()["units"]) + len(entries)


def _announce(args: argparse.Namespace, observer: Observer) -> int:
    _meet(observer)
    desk = Desk(observer)
    tasks = _from_file(args.file) if args.file else [_from_words(args)]
    desk.say(io.Announce(tuple(tasks)))
    names = [each.id for each in tasks]
    taken = desk.wait(names, frozenset({"awarded", "begun", "waiting", *OVER}), args.wait)
    time.sleep(SPREAD_S)
    found = desk.standings()
    console().print(table({name: found[name] for name in names if name in found}))
    return 0 if taken else 1


def _from_words(args: argparse.Namespace) -> Task:
    now = time.time()
    return Task(
        id=args.id or f"{args.kind}-{int(now * 1000) % 10**9:09d}",
        kind=args.kind,
        places=args.at,
        dwell_s=args.dwell,
        reward=args.reward,
        needs=args.needs,
        units=args.units,
        after=args.after,
        until_s=now + args.within if args.within else 0.0,
        every_s=args.every,
        by=NAME,
    )


def _from_file(path: Path) -> list[Task]:
    """The tasks of a YAML file: a list of what a Task has; `within_s` instead of `until_s`."""
    try:
        rows = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeError, yaml.YAMLError) as error:
        raise SwarmError(f"{path}: {' '.join(str(error).split())}") from None
    if not isinstance(rows, list):
        raise SwarmError(f"{path}: a list of tasks is wanted, each with an id")
    tasks = []
    for number, row in enumerate(rows, start=1):
        plain_row = cast("dict[str, Any]", row if isinstance(row, dict) else {})
        unknown = plain_row.keys() - set(Task.__struct_fields__) - {"within_s"}
        if unknown:
            raise SwarmError(f"{path}: task {number}: no task has {', '.join(sorted(unknown))}")
        try:
            within_s = msgspec.convert(plain_row.pop("within_s", 0.0), float, strict=False)
            task = msgspec.convert({"by": NAME, **plain_row}, Task)
        except msgspec.ValidationError as error:
            raise SwarmError(f"{path}: task {number}: {error}") from None
        until_s = time.time() + within_s if within_s else task.until_s
        tasks.append(msgspec.structs.replace(task, until_s=until_s))
    return tasks


def _list(args: argparse.Namespace, observer: Observer) -> int:
    _meet(observer)
    found = Desk(observer).standings()
    if args.json:
        plain_form = {
            name: {
                "task": msgspec.to_builtins(each.task),
                "state": each.state,
                "units": list(each.units),
                "turn": each.turn,
                "share": each.share,
                "reason": each.reason,
            }
            for name, each in found.items()
        }
        print(json.dumps(plain_form, sort_keys=True))
    else:
        console().print(table(found))
    return 0


def _cancel(args: argparse.Namespace, observer: Observer) -> int:
    _meet(observer)
    desk = Desk(observer)
    for name in args.ids:
        desk.say(io.Cancel(name, by=NAME, reason=args.reason))
    done = desk.wait(args.ids, OVER, WAIT_S)
    time.sleep(SPREAD_S)
    return 0 if done else 1


def table(standings: dict[str, Standing]) -> Table:
    """A row for each task, those that are over last."""
    found = Table("task", "kind", "state", "units", "done", "places", "why", box=None)
    for name in sorted(standings, key=lambda each: (standings[each].state in OVER, each)):
        each = standings[name]
        found.add_row(
            plain(name),
            each.task.kind,
            each.state,
            plain(", ".join(each.units)),
            f"{each.share:.0%}",
            plain(" → ".join(f"{x:g},{y:g}" for x, y in each.task.places)),
            plain(each.reason),
        )
    return found
