"""Measures one swarm from its start to the death of members; JSON in (argument), JSON out.

Runs inside the namespace that `room.measure` makes.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers import machine
from benchmarks.peers.fleet import Fleet, wait
from benchmarks.peers.link import FLOOD
from benchmarks.peers.serf import RPC_PORT, SerfFleet

READY_S, JOIN_S, DOWN_S, BACK_S, FLOOD_S = 120.0, 60.0, 60.0, 30.0, 60.0
SLOWEST_HZ = 200.0
"""Events a second below which a flood is given up."""
PAUSE_S = 2.0
TAIL_S = 10.0
"""How long what is still on its way is waited for."""
BUSY = [sys.executable, "-c", "while True: pass"]

Plan = dict[str, Any]


def main(plan: Plan) -> dict[str, Any]:
    """`plan`: backend, number, and for each phase its size; a phase of size 0 is left out."""
    machine.loopback_up()
    with tempfile.TemporaryDirectory(prefix="swarm") as folder:
        serf = plan["backend"] == "serf"
        options = {"keys": ""}
        if plan.get("keys"):
            options["keys"] = _keys(Path(folder), plan["number"])
        kind = SerfFleet if serf else Fleet
        fleet = kind(plan["backend"], plan["number"], Path(folder), options)
        try:
            return _phases(plan, fleet)
        finally:
            fleet.close()


def _keys(folder: Path, number: int) -> str:
    from mtor_swarm.swarm import keyring

    home, carried = folder / "home", folder / "keys"
    carried.mkdir()
    keyring.new_swarm(home)
    for index in range(number):
        keyring.issue(home, f"n{index}", None, carried / f"n{index}", time.time() + 86400)
    return str(carried)


def _phases(plan: Plan, fleet: Fleet) -> dict[str, Any]:
    number, loss = plan["number"], plan.get("loss", 0.0)
    spared = RPC_PORT if plan["backend"] == "serf" else 0
    if not wait(lambda: len(fleet.ready) == number, READY_S):
        return {"error": f"{len(fleet.ready)} of {number} started; {fleet.last_words()}"}
    time.sleep(1.0)
    found = _join(fleet)
    if found["joined"] < number:
        return {**found, "error": f"{found['joined']} of {number} met; {fleet.last_words()}"}
    if loss:
        machine.set_loss(loss, spared)
    time.sleep(PAUSE_S)
    if plan.get("events"):
        found |= _events(fleet, plan["events"], plan.get("gap_s", 0.2))
    if plan.get("idle_s"):
        found |= _idle(fleet, plan["idle_s"])
    if plan.get("watch_s"):
        found |= _watch(fleet, plan["watch_s"], plan.get("load", 0))
    if plan.get("flood"):
        found |= _flood(fleet, plan["flood"])
    live = list(range(number))
    killed = []
    for _ in range(plan.get("kills", 0)):
        killed.append(_known_after(fleet, live, live.pop(), signal.SIGKILL))
        time.sleep(1.0)
    if killed:
        found["kill_s"] = killed
    if plan.get("stop"):
        found |= _stop(fleet, live)
    return found


def _join(fleet: Fleet) -> dict[str, Any]:
    began = fleet.start()
    full: dict[int, float] = {}

    def met() -> bool:
        with fleet.lock:
            for at, index, count in fleet.alive:
                if count >= fleet.number:
                    full.setdefault(index, at)
        return len(full) == fleet.number

    wait(met, JOIN_S)
    return {"joined": len(full), "join_s": max(full.values(), default=began) - began}


def _events(fleet: Fleet, events: int, gap_s: float) -> dict[str, Any]:
    """Members publish in turn; how long until all others have each event."""
    others = fleet.number - 1
    before = machine.loopback_bytes()
    began = time.monotonic()
    for number in range(events):
        fleet.tell(number % fleet.number, "publish", number=number)
        time.sleep(gap_s)
    took = time.monotonic() - began
    sent = machine.loopback_bytes() - before

    def heard(number: int) -> dict[int, float]:
        had = fleet.got.get(number, {})
        return {each: at for each, at in had.items() if each != number % fleet.number}

    def all_have() -> bool:
        with fleet.lock:
            return all(len(heard(number)) == others for number in range(events))

    wait(all_have, TAIL_S)
    with fleet.lock:
        whole = [n for n in range(events) if len(heard(n)) == others]
        late = [1e3 * (max(heard(n).values()) - fleet.published[n]) for n in whole]
        delivered = sum(len(heard(n)) for n in range(events))
    return {
        "delivered": delivered / (events * others),
        "all_p50_ms": float(np.percentile(late, 50)) if late else float("inf"),
        "all_p99_ms": float(np.percentile(late, 99)) if late else float("inf"),
        "event_bytes_s": sent / took / fleet.number,
        "doubled": fleet.doubled,
    }


def _idle(fleet: Fleet, idle_s: float) -> dict[str, Any]:
    """Nobody says anything: CPU, memory and bytes of a member."""
    fleet.watching = False
    time.sleep(PAUSE_S + 3.0)
    pids = [child.pid for child in fleet.children]
    cpu, sent = [machine.cpu_s(pid) for pid in pids], machine.loopback_bytes()
    began = time.monotonic()
    time.sleep(idle_s)
    took = time.monotonic() - began
    sent = machine.loopback_bytes() - sent
    fleet.watching = True
    used = [machine.cpu_s(pid) - had for pid, had in zip(pids, cpu, strict=True)]
    return {
        "idle_cpu_percent": 100 * statistics.mean(used) / took,
        "idle_bytes_s": sent / took / fleet.number,
        "pss_mib": statistics.median(machine.pss_mib(pid) for pid in pids),
    }


def _watch(fleet: Fleet, watch_s: float, load: int) -> dict[str, Any]:
    """Nobody dies: who is held for dead all the same, perhaps with the CPUs under load."""
    before = len(fleet.down)
    busy = [subprocess.Popen(BUSY) for _ in range(load)]
    try:
        time.sleep(watch_s)
    finally:
        for each in busy:
            each.kill()
            each.wait()
    return {"false_deaths": len(fleet.down) - before}


def _flood(fleet: Fleet, count: int) -> dict[str, Any]:
    """One publishes as fast as it may: events a second until the last one has the last."""
    pids = [child.pid for child in fleet.children]
    before = statistics.median(machine.pss_mib(pid) for pid in pids)
    others = fleet.number - 1
    fleet.tell(0, "flood", first=FLOOD, count=count)
    ended = wait(lambda: len(fleet.flooded) >= others, FLOOD_S + count / SLOWEST_HZ)
    with fleet.lock:
        ends = {i: each for i, each in fleet.flooded.items() if i}
        got = sum(each for _, each in ends.values())
        took = max((at for at, _ in ends.values()), default=0.0) - fleet.flooding
    after = statistics.median(machine.pss_mib(pid) for pid in pids)
    return {
        "flood_hz": got / others / took if ended else 0.0,
        "flood_delivered": got / (others * count),
        "flood_growth_mib": after - before,
    }


def _known_after(fleet: Fleet, live: list[int], victim: int, sign: signal.Signals) -> float:
    """Seconds from the signal until all who live know; infinite if that takes too long."""
    others = [each for each in live if each != victim]
    downs, counts = len(fleet.down), len(fleet.alive)
    began = time.monotonic()
    os.kill(fleet.children[victim].pid, sign)
    knows: dict[int, float] = {}

    def known() -> bool:
        with fleet.lock:
            for at, index, who in fleet.down[downs:]:
                if who == f"n{victim}" and index in others:
                    knows.setdefault(index, at)
            for at, index, count in fleet.alive[counts:]:
                if count <= len(others) and index in others:
                    knows.setdefault(index, at)
        return len(knows) == len(others)

    return max(knows.values()) - began if wait(known, DOWN_S) else float("inf")


def _stop(fleet: Fleet, live: list[int]) -> dict[str, Any]:
    """One stands still until all know, then goes on until all have it back."""
    victim = live[-1]
    stopped = _known_after(fleet, live, victim, signal.SIGSTOP)
    counts, began = len(fleet.alive), time.monotonic()
    os.kill(fleet.children[victim].pid, signal.SIGCONT)
    others = set(live) - {victim}

    def back() -> bool:
        with fleet.lock:
            told = {i for _, i, count in fleet.alive[counts:] if count >= len(live)}
        return others <= told

    came = wait(back, BACK_S)
    return {"stop_s": stopped, "back_s": time.monotonic() - began if came else float("inf")}


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        print(json.dumps(main(json.loads(sys.argv[1]))))
