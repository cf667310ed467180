"""Asks on real processes while faults happen: each has its answer, and nothing grows."""

from __future__ import annotations

import itertools
import signal
import time

import psutil

from benchmarks.realms.asking import Found, config, ready
from benchmarks.realms.house import House, street
from mtor_swarm.errors import AskError
from mtor_swarm.realm.ask_client import Asking

EVERY_S = 5.0
"""Between two faults."""
ASKS_S = 50.0
"""Asks a second, between and during faults."""
PATIENCE_S = 60.0
WORKERS = ("echo", "second")


def measure(seconds: float) -> Found:
    """Of all asks: how many were `asked`, `answered`, `refused`, and `lost` without a word.

    `memory_mib`, `threads` and `files`: what the core grew by in the last two thirds.
    """
    with street() as here:
        house = here.build(config(here, "bench", *WORKERS))
        ready(here, house, *WORKERS)
        faults = itertools.cycle((_kill, _stop, _die))
        asked: list[Asking] = []
        refused_at_once = 0
        core = house.process_of("mtor_swarm.cli.core")
        before: tuple[float, int, int] | None = None
        end_s = time.monotonic() + seconds
        fault_s = time.monotonic() + 1.0
        while time.monotonic() < end_s:
            try:
                asked.append(house.asks.ask("echo", b"x", timeout_s=15.0))
            except AskError:
                refused_at_once += 1
            here.turn(1 / ASKS_S)
            if time.monotonic() >= fault_s:
                if time.monotonic() > end_s - seconds * 2 / 3:
                    before = before or _size(core)
                next(faults)(house)
                fault_s += EVERY_S
        here.until(lambda: all(each.done() for each in asked), PATIENCE_S)
        here.turn(EVERY_S)  # what still comes back is there again
        after = _size(core)
    answers = [each.result() for each in asked]
    grown = [now - then for now, then in zip(after, before or after, strict=True)]
    return {
        "asked": len(asked) + refused_at_once,
        "answered": sum(each.ok for each in answers),
        "refused": sum(not each.ok for each in answers) + refused_at_once,
        "lost": sum("the orchestrator did not answer" in each.reason for each in answers),
        "memory_mib": grown[0],
        "threads": grown[1],
        "files": grown[2],
    }


def _kill(house: House) -> None:
    house.process_of("--process").kill()


def _stop(house: House) -> None:
    house.process_of("--process").send_signal(signal.SIGSTOP)


def _die(house: House) -> None:
    house.asks.ask("echo", b"die", timeout_s=5.0)


def _size(process: psutil.Process) -> tuple[float, int, int]:
    memory = process.memory_full_info()
    return memory.uss / 2**20, process.num_threads(), process.num_fds()
