"""The gossip of ten thousand members in virtual time (a thousand with `--quick`).

No peer can be simulated like this, so that there are goals and no baselines.
"""

from __future__ import annotations

import time

import msgspec

from benchmarks.form import Figure
from mtor_swarm.swarm.simnet import scenario
from mtor_swarm.swarm.simnet.play import Play
from mtor_swarm.swarm.simnet.report import Report

SEED = 1
TABLE = 64
"""Members that one knows in a large swarm."""
PUBLISHERS = 8
"""So few that each one's tree is grown after some seconds."""


def run(quick: bool) -> list[Figure]:
    """A calm swarm, one that loses half its members, and every scenario with fewer members."""
    number = 1_000 if quick else 10_000
    figures = []
    calm, took_s = _play("calm", number, 6.0, rate_hz=8.0)
    figures += [
        Figure(name=f"hops of an event, {number} members", value=calm.hops.most, goal=12),
        Figure(name=f"copies of an event, {number} members", value=calm.copies),
        _share(calm, f"events delivered, {number} members", number),
        Figure(
            name=f"virtual seconds a second, {number} members",
            value=calm.virtual_s / took_s,
            better="more",
        ),
    ]
    half, _ = _play("half-dies", number, 10.0, rate_hz=4.0)
    where = f"half of {number} die"
    figures += [
        Figure(name=f"whole again, {where}", value=half.whole_s, unit="s", goal=10),
        Figure(name=f"repair rounds, {where}", value=half.repair_rounds.most, goal=6),
        Figure(name=f"invariants broken, {where}", value=len(half.violations), goal=0),
    ]
    for name in scenario.shipped():
        report, _ = _play(name, 32 if quick else 100)
        title = f"invariants broken, {name}, {report.members} members"
        figures.append(Figure(name=title, value=len(report.violations), goal=0))
    return figures


def _play(
    name: str, number: int, for_s: float = 0.0, rate_hz: float = 0.0
) -> tuple[Report, float]:
    told = scenario.load(name)
    if for_s:
        gossip = msgspec.structs.replace(told.gossip, members_known=TABLE)
        events = msgspec.structs.replace(told.events, rate_hz=rate_hz, publishers=PUBLISHERS)
        told = msgspec.structs.replace(told, for_s=for_s, gossip=gossip, events=events)
    began = time.perf_counter()
    report = Play(name, told, number, SEED).run()
    return report, time.perf_counter() - began


def _share(report: Report, name: str, number: int) -> Figure:
    owed = report.events * (number - 1)
    return Figure(name=name, value=report.deliveries / max(1, owed), goal=1.0, better="more")
