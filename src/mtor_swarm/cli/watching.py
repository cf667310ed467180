"""What `mtor units|events|say` share: joining the swarm as a member that only listens."""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console

from mtor_swarm.config import SwarmConfig
from mtor_swarm.errors import SwarmError
from mtor_swarm.realm.orders import SETTLE_S
from mtor_swarm.swarm.addresses import is_ipv6, is_loopback
from mtor_swarm.swarm.observer import Observer
from mtor_swarm.swarm.picture import GONE

SEEDS = [f"tcp://127.0.0.1:{port}" for port in range(7401, 7413)]
"""Where the units of `mtor sim` listen."""
JOIN_S = 5.0
POLL_S = 0.05
MAX_TIMEOUT_S = 3600.0

Command = Callable[[argparse.Namespace, Observer], int]


def add_seeds(parser: argparse.ArgumentParser) -> None:
    """Add `--seed`."""
    parser.add_argument(
        "--seed",
        action="append",
        type=_address,
        metavar="tcp://HOST:PORT",
        help="where to meet the swarm: any member will do; may be given several times "
        f"(default: {SEEDS[0]} to {SEEDS[-1].rpartition(':')[2]}, where mtor sim runs)",
    )
    add_keys(parser)


def add_keys(parser: argparse.ArgumentParser) -> None:
    """Add `--keys`."""
    parser.add_argument(
        "--keys",
        default="",
        metavar="DIR",
        help="your folder of `mtor keys issue`, if the swarm has keys",
    )


def seconds(text: str) -> float:
    """How long to wait, as an option says it."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= MAX_TIMEOUT_S:
        raise argparse.ArgumentTypeError(f"{text!r}: give seconds, up to {MAX_TIMEOUT_S:g}")
    return value


def _address(text: str) -> str:
    if not re.fullmatch(r"tcp://.+:\d+", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no address: write tcp://HOST:PORT")
    return text


def watched(command: Command) -> Callable[[argparse.Namespace], int]:
    """A `run(args)` that joins the swarm first; what goes wrong is one line and exit code 1."""

    def run(args: argparse.Namespace) -> int:
        try:
            with _joined(args.seed or SEEDS, args.keys) as observer:
                return command(args, observer)
        except SwarmError as error:
            print(f"mtor: {plain(str(error))}", file=sys.stderr)
            return 1

    return run


def observing(seeds: list[str], keys: str) -> SwarmConfig:
    """How to join: with keys, and a seed elsewhere, where others can answer."""
    far = [each for each in seeds if not is_loopback(each)] if keys else []
    if not far:
        return SwarmConfig(seeds=seeds, keys=keys)
    bind = "tcp://[::]:*" if is_ipv6(far[0]) else "tcp://0.0.0.0:*"
    near = [each for each in seeds if each not in far]
    return SwarmConfig(bind=bind, seeds=far + near, keys=keys)


@contextmanager
def _joined(seeds: list[str], keys: str) -> Iterator[Observer]:
    observer = Observer(observing(seeds, keys), name="mtor")
    observer.start()
    try:
        try:
            observer.wait_for_members(JOIN_S)
        except SwarmError:
            where = seeds[0] if len(seeds) == 1 else f"any of {seeds[0]} … {seeds[-1]}"
            raise SwarmError(
                f"nobody answers at {where}: start a swarm with `mtor sim`, or name a member of "
                "yours with --seed tcp://HOST:PORT, and if it has keys your folder with --keys DIR"
                if not keys
                else f"nobody answers at {where}: is the address right, and is {keys} of that "
                "swarm and not revoked?"
            ) from None
        yield observer
    finally:
        observer.stop()


def settling(observer: Observer) -> Iterator[dict[str, Any]]:
    """Snapshots, the last one once every unit that lives has been heard, or after `SETTLE_S`."""
    end = time.monotonic() + SETTLE_S
    known, since = -1, 0.0
    while True:
        snapshot = observer.snapshot()
        yield snapshot
        now, units = time.monotonic(), snapshot["units"].values()
        if len(units) != known:
            known, since = len(units), now
        heard = all(each["state"] or each["member_state"] in GONE for each in units)
        if now >= end or (known > 0 and heard and now - since > SETTLE_S / 4):
            return
        time.sleep(POLL_S)


def settled(observer: Observer) -> dict[str, Any]:
    """A snapshot once every unit that lives has been heard, or after `SETTLE_S` whatever came."""
    return deque(settling(observer), maxlen=1)[0]


def plain(text: str) -> str:
    """A text of the swarm for a terminal: what comes from outside cannot move its cursor."""
    return "".join(each if each.isprintable() else "?" for each in text)


def console() -> Console:
    """Standard output: as wide as the terminal, or as its lines are long."""
    found = Console(highlight=False, markup=False)
    return found if found.is_terminal else Console(highlight=False, markup=False, width=160)
