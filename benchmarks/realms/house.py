"""Real realms under `mtor up`, and somebody who listens and asks from beside them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import rclpy
from rclpy.experimental import EventsExecutor
from std_msgs.msg import String

from benchmarks.realms import kinds
from mtor_swarm import config as configs
from mtor_swarm.config import RealmConfig
from mtor_swarm.events import Event
from mtor_swarm.realm.ask_client import AskClient
from mtor_swarm.realm.bus import ALL, STATE_QOS, RealmBus

BOUND_S = 60.0
ROOT = Path(__file__).resolve().parents[2]
_UP = "import sys; from mtor_swarm.cli import up; sys.exit(up.run(sys.argv[1], models={}))"


class House:
    """One unit's realm. `changes` are its orchestrator's words on its workers, with their time."""

    def __init__(self, folder: Path, config: RealmConfig, *, models: bool = False) -> None:
        self.unit = config.unit
        self.changes: list[tuple[float, dict[str, Any]]] = []
        file = folder / f"{config.unit}.yaml"
        file.write_text(configs.dump(config), encoding="utf-8")
        self._log = (folder / f"{config.unit}.log").open("w")
        path = os.pathsep.join([str(folder), str(ROOT), os.environ.get("PYTHONPATH", "")])
        self.node = rclpy.create_node("beside", namespace=f"/{config.unit}")
        self._states: dict[str, str] = {}
        RealmBus(self.node).subscribe((ALL,), self._heard)
        self.node.create_subscription(String, "workers", self._told, STATE_QOS)
        self.asks = AskClient(self.node, f"/{config.unit}/beside")
        self.process = subprocess.Popen(
            [sys.executable, "-c", _UP.format(models), str(file)],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": path},
        )

    def state(self, worker: str) -> str:
        """What was last heard of a worker."""
        return self._states.get(worker, "")

    def process_of(self, word: str) -> psutil.Process:
        """The realm's process whose command line has this word; RuntimeError if there is none."""
        for each in psutil.Process(self.process.pid).children():
            try:
                if any(word in part for part in each.cmdline()):
                    return each
            except psutil.Error:
                continue
        raise RuntimeError(f"{self.unit} has no process {word}")

    def close(self) -> None:
        """End all of it."""
        self.asks.close()
        self.node.destroy_node()
        self.process.terminate()
        try:
            self.process.wait(30.0)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self._log.close()

    def _told(self, message: String) -> None:
        self._states = json.loads(message.data)

    def _heard(self, event: Event) -> None:
        if event.type == "mtor.worker.changed" and event.source.endswith("orchestrator"):
            self.changes.append((time.monotonic(), event.data))


class Street:
    """Realms, and the executor that turns what is beside them. In a ROS domain of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.houses: list[House] = []
        self._executor = EventsExecutor()

    def build(self, config: RealmConfig, *, models: bool = False) -> House:
        """One more realm; its state is below the street's folder."""
        house = House(self.folder, config, models=models)
        self.houses.append(house)
        self._executor.add_node(house.node)
        return house

    def until(self, so: Callable[[], object], bound_s: float = BOUND_S) -> None:
        """Turn until it is so; RuntimeError, with what was written last, if it never is."""
        end_s = time.monotonic() + bound_s
        while not so():
            if time.monotonic() > end_s:
                logs = [path.read_text()[-2000:] for path in self.folder.glob("*.log")]
                raise RuntimeError("it did not come to pass:\n" + "\n".join(logs))
            self._executor.spin_once(timeout_sec=0.02)

    def turn(self, seconds: float) -> None:
        """Turn for so long."""
        end_s = time.monotonic() + seconds
        self.until(lambda: time.monotonic() >= end_s, seconds + BOUND_S)

    def close(self) -> None:
        """End all realms."""
        for each in reversed(self.houses):
            each.close()
        self._executor.shutdown()


@contextmanager
def street() -> Iterator[Street]:
    """A street to build on; ROS is this process's alone for as long as it stands."""
    with tempfile.TemporaryDirectory(prefix="mtor-bench-") as name:
        folder = Path(name)
        kinds.install(folder)
        rclpy.init()
        found = Street(folder)
        try:
            yield found
        finally:
            found.close()
            rclpy.try_shutdown()
