"""The gossip of real processes, encrypted, beside its peers; the baseline is zenoh if unnamed.

Each measurement is a swarm of processes in a network namespace of its own (`peers/`). What cannot
be measured here is left out, and it is said why: without root there are no namespaces.
"""

from __future__ import annotations

from typing import Any

from benchmarks.form import Figure
from benchmarks.peers import room

Found = dict[str, Any]
LOSS = 0.3
LOSS_MEMBERS = FLOOD_MEMBERS = 16
BUSY_PROCESSES = 4
"""Twice the cores of the smallest machine that this runs on."""


def run(quick: bool) -> list[Figure]:
    """Measure; quick: 32 members and zenoh alone, else 64 too and all the peers."""
    plan = {"events": 30 if quick else 60, "kills": 2, "stop": 1, "idle_s": 5 if quick else 20}
    found: list[Figure] = []
    ours: Found | None = None
    for number in (32,) if quick else (32, 64):
        ours = room.measure("mtor", number, keys=True, **plan)
        peers = {}
        for peer in ("zenoh",) if quick else ("zenoh", "mesh", "kinship", "serf"):
            told = room.measure(peer, number, **{**plan, "stop": 0 if quick else 1})
            peers |= {peer: told} if told else {}
        if ours:
            found += _clean(number, ours, peers)
    if ours:
        found += _small(ours, 32 if quick else 64)
    return found + _lossy(quick) + _flood(quick)


def _clean(number: int, ours: Found, peers: dict[str, Found]) -> list[Figure]:
    """Nothing is lost: events, deaths, joining, rest."""
    zenoh = peers.get("zenoh", {})
    figures = []
    for key, name, unit, goal in (
        ("all_p50_ms", "event to all, p50", "ms", zenoh.get("all_p50_ms")),
        ("all_p99_ms", "event to all, p99", "ms", zenoh.get("all_p99_ms")),
        ("delivered", "events delivered", "", 1.0),
        ("join_s", "start to all know all", "s", 1.0),
        ("kill_s", "SIGKILL to all know", "s", 0.1),
        ("stop_s", "SIGSTOP to all know", "s", 2.5),
        ("back_s", "SIGCONT to all have it back", "s", None),
        ("idle_cpu_percent", "idle CPU a member", "%", 0.15),
        ("idle_bytes_s", "idle bytes a member", "B/s", 500.0),
        ("pss_mib", "memory a member (PSS)", "MiB", 15.0),
    ):
        better = "more" if key == "delivered" else "less"
        more = {"unit": unit, "goal": goal, "better": better}
        base = _worst(zenoh.get(key))
        title = f"{name}, {number} members"
        figures.append(Figure(name=title, value=_worst(ours[key]), baseline=base, **more))
        for peer in sorted(peers.keys() - {"zenoh"}):
            base = _worst(peers[peer].get(key))
            figures.append(
                Figure(name=f"… against {peer}", value=_worst(ours[key]), unit=unit, baseline=base)
            )
    return figures


def _small(ours: Found, number: int) -> list[Figure]:
    """The same at rest with eight members; joining without keys."""
    figures = []
    eight = room.measure("mtor", 8, keys=True, idle_s=5)
    for key, name in (("idle_bytes_s", "bytes"), ("idle_cpu_percent", "CPU")):
        if eight and eight[key]:
            title = f"idle {name} a member, {number} members to 8"
            figures.append(Figure(name=title, value=ours[key] / eight[key], goal=1.5))
    plain = room.measure("mtor", number)
    if plain:
        title = f"start to all know all, {number} members without keys"
        figures.append(Figure(name=title, value=plain["join_s"], unit="s", goal=0.5))
    return figures


def _lossy(quick: bool) -> list[Figure]:
    """Three packets in ten are lost; nobody dies, with the CPUs idle and busy."""
    plan: Found = {"events": 30 if quick else 60, "loss": LOSS}
    watch_s = 10 if quick else 600
    figures = []
    ours = room.measure("mtor", LOSS_MEMBERS, keys=True, watch_s=watch_s, **plan)
    zenoh = None if quick else room.measure("zenoh", LOSS_MEMBERS, **plan)
    where = f"{LOSS_MEMBERS} members, 30 % loss"
    if ours:
        figures = [
            _figure("events delivered", where, ours, zenoh, "delivered", goal=1.0, better="more"),
            _figure("event to all, p50", where, ours, zenoh, "all_p50_ms", unit="ms"),
            _figure("event to all, p99", where, ours, zenoh, "all_p99_ms", goal=50.0, unit="ms"),
            _figure("false deaths", f"{where}, {watch_s} s", ours, None, "false_deaths", goal=0.0),
        ]
    busy = room.measure("mtor", LOSS_MEMBERS, keys=True, watch_s=watch_s, load=BUSY_PROCESSES)
    if busy:
        where = f"{LOSS_MEMBERS} members, {BUSY_PROCESSES} busy processes, {watch_s} s"
        figures.append(_figure("false deaths", where, busy, None, "false_deaths", goal=0.0))
    return figures


def _flood(quick: bool) -> list[Figure]:
    """One publishes as fast as it is let."""
    count = 3_000 if quick else 20_000
    ours = room.measure("mtor", FLOOD_MEMBERS, keys=True, flood=count if quick else 100_000)
    if not ours:
        return []
    figures = []
    where = f"one publisher, {FLOOD_MEMBERS} members"
    for peer in ("zenoh",) if quick else ("zenoh", "mesh"):
        told = room.measure(peer, FLOOD_MEMBERS, flood=count)
        name = f"events to all ({peer} got {told['flood_delivered']:.1%})" if told else "events"
        more: Found = {"unit": "events/s", "better": "more"}
        figures.append(_figure(name, where, ours, told, "flood_hz", **more))
    figures += [
        _figure("events delivered", where, ours, None, "flood_delivered", goal=1.0, better="more"),
        _figure("memory grown", where, ours, None, "flood_growth_mib", goal=8.0, unit="MiB"),
    ]
    return figures


def _figure(
    name: str,
    where: str,
    ours: Found,
    peer: Found | None,
    key: str,
    *,
    goal: float | None = None,
    **more: Any,
) -> Figure:
    base = _worst(peer.get(key)) if peer else None
    return Figure(
        name=f"{name}, {where}", value=_worst(ours[key]), goal=goal, baseline=base, **more
    )


def _worst(value: Any) -> Any:
    """Of several tries the slowest."""
    return max(value) if isinstance(value, list) else value
