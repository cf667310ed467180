"""What a realm takes while nothing happens, beside bare rclpy nodes in as many processes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence

import psutil

from benchmarks.realms.house import ROOT, Street, street
from mtor_swarm.config import RealmConfig, WorkerConfig

Found = dict[str, float]
SETTLE_S = 5.0
"""Discovery is over by then, and what loading took is given back."""
LAYOUT = (4, 1, 2)
"""Nodes in each process: core (with the orchestrator), models, two more workers."""
_BARE = """
import sys
import rclpy
from rclpy.experimental import EventsExecutor
rclpy.init()
executor = EventsExecutor()
nodes = [rclpy.create_node("bare" + str(number), namespace="/bench") for number in range({nodes})]
for each in nodes:
    executor.add_node(each)
if {model}:
    from mtor_swarm.models.store import Store
    from mtor_swarm.models.ultralytics_detector import UltralyticsDetector
    model = UltralyticsDetector(Store().path("coco-ssd"))
print("ready", flush=True)
while True:
    executor.spin_once(timeout_sec=0.2)
"""


def realm(seconds: float) -> Found:
    """`cpu` in percent of a core and `memory` in MiB (PSS) of a realm of six workers at rest."""
    with street() as here:
        more = WorkerConfig(kind="bench_idle", process="more")
        config = RealmConfig(
            unit="bench",
            state_dir=str(here.folder / "state"),
            workers={"one": more, "two": more},
        )
        house = here.build(config, models=True)
        workers = ("reflex", "gossip", "decision", "perception", "one", "two")
        up = ("active", "degraded")  # a camera sends no frames
        here.until(lambda: all(house.state(each) in up for each in workers))
        return _at_rest(psutil.Process(house.process.pid).children(), seconds, here)


def bare(seconds: float) -> Found:
    """The same of bare rclpy nodes in the same processes, the detector loaded as well."""
    environ = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
    }
    children = [
        subprocess.Popen(
            [sys.executable, "-c", _BARE.format(nodes=nodes, model=number == 1)],
            stdout=subprocess.PIPE,
            env=environ,
        )
        for number, nodes in enumerate(LAYOUT)
    ]
    try:
        for each in children:
            assert each.stdout
            each.stdout.readline()
        return _at_rest([psutil.Process(each.pid) for each in children], seconds)
    finally:
        for each in children:
            each.kill()
            each.wait()


def core() -> Found:
    """`memory` in MiB, resident, of a core alone: on a board of its own nobody shares it."""
    with street() as here:
        config = RealmConfig(unit="bench", state_dir=str(here.folder / "state"))
        house = here.build(config)
        here.until(lambda: house.state("decision") == "active")
        here.turn(SETTLE_S)
        memory = house.process_of("mtor_swarm.cli.core").memory_full_info()
        return {"memory": memory.rss / 2**20, "pss": memory.pss / 2**20}


def _at_rest(
    processes: Sequence[psutil.Process], seconds: float, here: Street | None = None
) -> Found:
    (here.turn if here else time.sleep)(SETTLE_S)
    before = [each.cpu_times() for each in processes]
    begun_s = time.monotonic()
    time.sleep(seconds)  # nobody beside turns an executor meanwhile
    took_s = time.monotonic() - begun_s
    after = [each.cpu_times() for each in processes]
    used_s = sum(
        now.user + now.system - then.user - then.system
        for now, then in zip(after, before, strict=True)
    )
    memory = sum(each.memory_full_info().pss for each in processes)
    return {"cpu": 100 * used_s / took_s, "memory": memory / 2**20}
