"""How long events take from one unit to the others, heard from outside.

A process of its own with nothing else to do (`python -m benchmarks.ears r1 r2 …`): whatever it
waits for the CPU counts as the swarm's latency. It prints `forget` and `report` answers on
standard output, one JSON value a line.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from typing import Any

import psutil
import rclpy
from rclpy.experimental.events_executor import EventsExecutor
from std_msgs.msg import String

from mtor_swarm import events
from mtor_swarm.errors import EventError
from mtor_swarm.realm.bus import EVENT_QOS


class Ears:
    """The process, from the benchmark's side."""

    def __init__(self, units: list[str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.ears", *units],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.process = psutil.Process(self._process.pid)
        self._answer()

    def forget(self) -> None:
        """Start anew: what was heard so far does not count."""
        self._say("forget")

    def latency_s(self) -> list[float]:
        """For every unit that heard another's event: the seconds after its own realm did."""
        found: list[float] = self._say("report")
        return found

    def close(self) -> None:
        self._process.communicate(timeout=60)

    def _say(self, word: str) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(word + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())


class Listener:
    """Hears every unit's realm bus. One hop of ROS lies on both sides and so falls out."""

    def __init__(self, units: list[str]) -> None:
        rclpy.init()
        self._born: dict[str, float] = {}
        self._latency_s: list[float] = []
        self._node = rclpy.create_node("ears", start_parameter_services=False, enable_rosout=False)
        for unit in units:
            self._node.create_subscription(
                String, f"/{unit}/events", lambda m, u=unit: self._event(u, m), EVENT_QOS
            )
        self._executor = EventsExecutor()
        self._executor.add_node(self._node)
        self._words: list[str] = []
        self._ended = False

    def run(self) -> None:
        """Until standard input ends."""
        threading.Thread(target=self._read, daemon=True).start()
        print("true", flush=True)
        while not self._ended:
            self._executor.spin_once(timeout_sec=0.1)
            while self._words:
                self._answer(self._words.pop(0))
        self._node.destroy_node()
        rclpy.shutdown()

    def _read(self) -> None:
        for line in sys.stdin:
            self._words.append(line.strip())
        self._ended = True

    def _answer(self, word: str) -> None:
        print(json.dumps(self._latency_s if word == "report" else True), flush=True)
        if word == "forget":
            self._born, self._latency_s = {}, []

    def _event(self, unit: str, message: Any) -> None:
        now = time.perf_counter()
        try:
            event = events.from_json(message.data)
        except EventError:
            return
        if events.scope_of(event.type) != "swarm":
            return
        if event.unit == unit:
            self._born.setdefault(event.id, now)
        elif event.id in self._born:
            self._latency_s.append(now - self._born[event.id])


if __name__ == "__main__":
    Listener(sys.argv[1:]).run()
