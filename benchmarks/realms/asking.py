"""Short asks while a long one runs, faults at work, and asks that are borrowed."""

from __future__ import annotations

import functools
import queue
import socket
import statistics
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

from benchmarks.realms.house import House, Street, street
from mtor_swarm.config import RealmConfig, SupervisionConfig, SwarmConfig, WorkerConfig
from mtor_swarm.realm.ask_client import Asking
from mtor_swarm.realm.ask_wire import Answer

Found = dict[str, float]
NAP = b"nap 0.05"
NAPPING = 4
"""Naps of each borrower under way; a lender takes four at a time."""
ANYWHERE = "tcp://127.0.0.1:*"
GOSSIP_S = 3.0
"""Until all know what all lend."""
WINDOW = 2
"""Short asks under way at a time."""
SUPERVISION = SupervisionConfig(
    heartbeat_lease_s=1.0, restart_first_s=0.05, restart_most_s=0.5, failures_in_window=10_000,
    restarts_in_window=1000,
)  # fmt: skip


def config(
    street_: Street, unit: str, *workers: str, seeds: tuple[str, ...] = (), bind: str = ANYWHERE
) -> RealmConfig:
    """A realm with an echo worker for each name, each in a process of its own."""
    return RealmConfig(
        unit=unit,
        state_dir=str(street_.folder / unit),
        supervision=SUPERVISION,
        swarm=SwarmConfig(seeds=list(seeds), bind=bind),
        workers={each: WorkerConfig(kind="bench_echo", nice=0) for each in workers},
    )


def short(count: int, nap_s: float) -> Found:
    """The p99 in seconds of short asks `alone`, `beside` one of `nap_s`, and through a `fifo`."""
    with street() as here:
        house = here.build(config(here, "bench", "echo"))
        ready(here, house, "echo")
        _rounds(here, [house], 50)
        alone = _rounds(here, [house], count).took  # again at the end: the machine may change
        long = house.asks.ask("echo", f"nap {nap_s}".encode(), timeout_s=nap_s + 30)
        beside = _rounds(here, [house], count).took
        if long.done():
            raise RuntimeError("the long ask was over before the short ones: make it longer")
        here.until(long.done, nap_s + 30)
        alone += _rounds(here, [house], count).took
    return {"alone": p99(alone), "beside": p99(beside), "fifo": p99(fifo(count, nap_s))}


def fifo(count: int, nap_s: float) -> list[float]:
    """Seconds that short asks take behind a long one in a single-flight queue."""
    waiting: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()

    def serve() -> None:
        while (job := waiting.get()) is not None:
            job()

    server = threading.Thread(target=serve)
    server.start()
    waiting.put(lambda: time.sleep(nap_s))
    took: list[float] = []

    def answer(asked_s: float) -> None:
        took.append(time.monotonic() - asked_s)

    for _ in range(count):
        waiting.put(functools.partial(answer, time.monotonic()))
    waiting.put(None)
    server.join()
    return took


def ready(here: Street, house: House, *workers: str) -> None:
    """Until these are active, and an ask is answered."""
    here.until(lambda: all(house.state(each) == "active" for each in workers))
    answer = house.asks.ask("echo", b"ready")
    here.until(answer.done)


def borrowed(count: int) -> Found:
    """Naps a second: `direct`, then `borrowed` by two realms that have nobody who naps.

    `spread`: with two lenders, by how much the share of the busier one is over the half.
    """
    with street() as here:
        with socket.create_server(("127.0.0.1", 0)) as free:
            address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
        lender = here.build(config(here, "lender", "echo", bind=address))
        others = [here.build(config(here, each, seeds=(address,))) for each in ("b1", "b2")]
        ready(here, lender, "echo")
        direct = _rounds(here, [lender], count, NAP, 2 * NAPPING)
        for each in others:
            ready(here, each)
        lent = _rounds(here, others, count, NAP, NAPPING)
        second = here.build(config(here, "lender2", "echo", seeds=(address,)))
        ready(here, second, "echo")
        here.turn(GOSSIP_S)
        both = _rounds(here, others, count, NAP, NAPPING)
    by = Counter("lender2" if "lender2" in each.worker else "lender" for each in both.answers)
    return {
        "direct": count / direct.seconds,
        "borrowed": count / lent.seconds,
        "spread": max(by.values()) / count / 0.5 - 1,
    }


class Rounds(NamedTuple):
    """What came of some asks: seconds of each, and of all together."""

    took: list[float]
    answers: list[Answer]
    seconds: float


def _rounds(
    here: Street, houses: list[House], count: int, payload: bytes = b"x", window: int = WINDOW
) -> Rounds:
    """`count` asks from these realms, `window` of each under way; RuntimeError if one fails."""
    took: list[float] = []
    answers: list[Answer] = []
    open_: dict[Asking, tuple[House, float]] = {}
    left = {id(each): count // len(houses) for each in houses}
    wanted = sum(left.values())
    start_s = time.monotonic()

    def turn() -> bool:
        for each in [each for each in open_ if each.done()]:
            took.append(time.monotonic() - open_.pop(each)[1])
            answers.append(each.result())
            if not answers[-1].ok:
                raise RuntimeError(f"an ask failed: {answers[-1].reason}")
        for house in houses:
            under_way = sum(asker is house for asker, _ in open_.values())
            for _ in range(min(left[id(house)], window - under_way)):
                begun_s = time.monotonic()
                open_[house.asks.ask("echo", payload)] = (house, begun_s)
                left[id(house)] -= 1
        return len(took) >= wanted

    here.until(turn, 120.0)
    return Rounds(took, answers, time.monotonic() - start_s)


def p99(took: list[float]) -> float:
    """The 99th percentile."""
    return statistics.quantiles(took, n=100)[98]
