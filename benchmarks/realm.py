"""The realm: bus, workers' return, asks and rest, each beside a baseline.

Everything runs in real processes on this machine, in a ROS domain of its own; the parts are in
`realms/`. A part that could not be measured is a missed figure, and says why.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable

from benchmarks.form import Figure
from benchmarks.realms import asking, crash, pair, rest, sight, storm
from mtor_swarm.errors import SwarmError
from mtor_swarm.realm import domain

BUS_GOAL, SIGHT_GOAL, REST_GOAL, ASK_GOAL, LENT_GOAL = 1.2, 1.05, 1.2, 1.1, 0.9
BACK_S = 1.0
SPREAD = 0.2
CORE_MIB = 100.0
GROWTH_MIB = 8.0
"""Of a core under load: its allocator's ups and downs, in less than a tenth of its size."""
MS = 1000.0


def run(quick: bool) -> list[Figure]:
    """Measure; quick: a storm of half a minute, else the ten that are asked for."""
    domain.claim()
    figures = []
    for part in (_core, _rest, _bus, _sight, _crash, _short, _borrowed, _storm):
        name = part.__name__.strip("_")
        print(f"measuring {name} ...", file=sys.stderr, flush=True)
        figures += _tried(name, part, quick)
    return figures


def _tried(name: str, part: Callable[[bool], list[Figure]], quick: bool) -> list[Figure]:
    try:
        return part(quick)
    except (RuntimeError, OSError, SwarmError) as error:
        print(f"{name}: {error}", file=sys.stderr, flush=True)
        return [Figure(name=f"{name} could be measured", value=0, goal=1, better="more")]


def _core(_: bool) -> list[Figure]:
    memory = rest.core()["memory"]
    return [Figure(name="a core alone, resident", value=memory, unit="MiB", goal=CORE_MIB)]


def _rest(quick: bool) -> list[Figure]:
    seconds = 6.0 if quick else 60.0
    bare, ours = rest.bare(seconds), rest.realm(seconds)
    return [
        Figure(
            name=f"idle realm, 6 workers, {what}",
            value=ours[key],
            unit=unit,
            goal=REST_GOAL * bare[key],
            baseline=bare[key],
        )
        for key, what, unit in (("cpu", "CPU", "%"), ("memory", "memory (PSS)", "MiB"))
    ]


def _bus(quick: bool) -> list[Figure]:
    took = pair.measure(500 if quick else 5000)
    figures = []
    for name, nth, goal in (("p50", 49, BUS_GOAL), ("p99", 98, None)):
        ours, bare = (
            statistics.quantiles(took[each], n=100)[nth] / 1e6 for each in ("bus", "bare")
        )
        figures.append(
            Figure(
                name=f"event of 1 KiB, worker to worker, {name}",
                value=ours,
                unit="ms",
                goal=goal and goal * bare,
                baseline=bare,
            )
        )
    return figures


def _sight(quick: bool) -> list[Figure]:
    found = sight.measure(40 if quick else 400)
    model = found["model"] * MS
    return [
        Figure(
            name="camera frame to event, beside the model alone",
            value=found["realm"] * MS,
            unit="ms",
            goal=SIGHT_GOAL * model,
            baseline=model,
        )
    ]


def _crash(quick: bool) -> list[Figure]:
    found = crash.measure(2 if quick else 20)
    return [
        Figure(
            name="SIGKILL to the worker's next answer, beside its start alone",
            value=found["back"],
            unit="s",
            goal=found["alone"] + BACK_S,
            baseline=found["alone"],
        ),
        Figure(
            name="the same beside a bare service, started again at once",
            value=found["back"],
            unit="s",
            baseline=found["bare"],
        ),
        Figure(
            name=f"SIGSTOP to found out, leases of {found['lease']:g} s",
            value=found["hang"],
            unit="s",
            goal=2 * found["lease"],
        ),
    ]


def _short(quick: bool) -> list[Figure]:
    nap_s = 6.0 if quick else 20.0
    found = asking.short(1000, nap_s)
    return [
        Figure(
            name=f"1,000 short asks beside one of {nap_s:g} s, p99 (goal: without; base: FIFO)",
            value=found["beside"] * MS,
            unit="ms",
            goal=ASK_GOAL * found["alone"] * MS,
            baseline=found["fifo"] * MS,
        )
    ]


def _borrowed(quick: bool) -> list[Figure]:
    found = asking.borrowed(200 if quick else 2000)
    return [
        Figure(
            name="borrowed asks of 50 ms, 3 realms, beside asked directly",
            value=found["borrowed"],
            unit="asks/s",
            goal=LENT_GOAL * found["direct"],
            better="more",
            baseline=found["direct"],
        ),
        Figure(
            name="two lenders, the busier one over the half", value=found["spread"], goal=SPREAD
        ),
    ]


def _storm(quick: bool) -> list[Figure]:
    seconds = 25.0 if quick else 600.0
    found = storm.measure(seconds)
    where = f"{seconds:g} s with a fault every {storm.EVERY_S:g} s"
    return [
        Figure(name=f"asks, {where}", value=found["asked"]),
        Figure(name="of them without a word", value=found["lost"], goal=0),
        Figure(name="of them refused", value=found["refused"]),
        Figure(
            name="the core's memory grown", value=found["memory_mib"], unit="MiB", goal=GROWTH_MIB
        ),
        Figure(name="the core's threads grown", value=found["threads"], goal=0),
        Figure(name="the core's files grown", value=found["files"], goal=0),
    ]
