"""How soon a worker that was killed works again, and how soon one that stands still is found out.

Baselines: what its process takes by itself, from its start to a worker that is active; and a bare
rclpy service that is started again in the moment of its death, which has to be discovered anew
as well.
"""

from __future__ import annotations

import signal
import statistics
import subprocess
import sys
import time
from typing import Any

from std_srvs.srv import Trigger

from benchmarks.realms.house import House, Street, street
from mtor_swarm.config import RealmConfig, SupervisionConfig, WorkerConfig

LEASE_S = 1.0
ALONE = """
import rclpy
from mtor_swarm.cli import worker_process
from mtor_swarm.config import RealmConfig
from mtor_swarm.realm import host
from benchmarks.realms.kinds import Echo
rclpy.init()
worker = Echo(name="echo", config=RealmConfig(unit="alone"))
worker.trigger_configure()
worker.trigger_activate()
print("active", flush=True)
"""

SERVICE = """
import rclpy
from std_srvs.srv import Trigger
from rclpy.experimental import EventsExecutor
rclpy.init()
node = rclpy.create_node("bare", namespace="/bench")
node.create_service(Trigger, "bare", lambda _, answer: answer)
executor = EventsExecutor()
executor.add_node(node)
while True:
    executor.spin_once(timeout_sec=0.2)
"""
AGAIN_S = 0.05


def measure(times: int) -> dict[str, float]:
    """Seconds: `back`, `alone` and `bare` (medians), `hang` (the slowest) and `lease`."""
    config = SupervisionConfig(
        heartbeat_lease_s=LEASE_S, restart_first_s=0.05, failures_in_window=1000
    )
    with street() as beside:
        house = beside.build(
            RealmConfig(
                unit="bench",
                state_dir=str(beside.folder / "state"),
                supervision=config,
                workers={"echo": WorkerConfig(kind="bench_echo", nice=0)},
            )
        )
        beside.until(lambda: house.state("echo") == "active")
        back = [_killed(beside, house) for _ in range(times)]
        hang = [_stopped(beside, house) for _ in range(times)]
        bare = _bare(beside, house, times)
    alone = [_alone() for _ in range(times)]
    return {
        "back": statistics.median(back),
        "alone": statistics.median(alone),
        "bare": statistics.median(bare),
        "hang": max(hang),
        "lease": LEASE_S,
    }


def _killed(beside: Street, house: House) -> float:
    """From SIGKILL to the next answer."""
    beside.turn(1.0)
    process = house.process_of("--process")
    begun_s, seen = time.monotonic(), len(house.changes)
    process.kill()
    beside.until(lambda: _since(house, seen, "active"))
    answer = house.asks.ask("echo", b"again")
    beside.until(answer.done)
    if not answer.result().ok:
        raise RuntimeError(f"it came back, and does not work: {answer.result().reason}")
    return time.monotonic() - begun_s


def _stopped(beside: Street, house: House) -> float:
    """From SIGSTOP to the orchestrator's word that it is active no more."""
    beside.turn(1.0)
    process = house.process_of("--process")
    begun_s, seen = time.monotonic(), len(house.changes)
    process.send_signal(signal.SIGSTOP)
    beside.until(lambda: len(house.changes) > seen)
    found_s = house.changes[seen][0] - begun_s
    beside.until(lambda: _since(house, seen, "active"))
    return found_s


def _since(house: House, seen: int, state: str) -> bool:
    return any(each["state"] == state for _, each in house.changes[seen:])


def _bare(beside: Street, house: House, times: int) -> list[float]:
    """From SIGKILL to the next answer of a bare service, asked again all the time."""
    client = house.node.create_client(Trigger, "bare")
    took = []
    process = subprocess.Popen([sys.executable, "-c", SERVICE])
    try:
        _answered(beside, client)
        for _ in range(times):
            beside.turn(1.0)
            begun_s = time.monotonic()
            process.kill()
            process.wait()
            process = subprocess.Popen([sys.executable, "-c", SERVICE])
            _answered(beside, client)
            took.append(time.monotonic() - begun_s)
    finally:
        process.kill()
        process.wait()
    return took


def _answered(beside: Street, client: Any) -> None:
    asked: list[Any] = []
    due_s = 0.0

    def answered() -> bool:
        nonlocal due_s
        if time.monotonic() >= due_s:
            asked.append(client.call_async(Trigger.Request()))
            due_s = time.monotonic() + AGAIN_S
        return any(each.done() for each in asked)

    beside.until(answered)


def _alone() -> float:
    begun_s = time.monotonic()
    with subprocess.Popen([sys.executable, "-c", ALONE], stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        took_s = time.monotonic() - begun_s
        process.kill()
    return took_s
