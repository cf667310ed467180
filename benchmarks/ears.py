"""How long events take from one unit to all others, while a swarm runs.

A process of its own (`python -m benchmarks.ears r1 r2 …`) says an event on one unit's realm bus
after another, ten a second, so that any moment is as likely as any other, and notes when each
other unit's bus brings it to this process, by DDS's own stamp: two hops of ROS and the swarm
between. What Python here waits for its turn afterwards does not count. `forget` and `report` come
on standard input; the answers go out, one JSON value a line.
"""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import threading
import time
from typing import Any

import psutil
import rclpy
from rclpy.executors import SingleThreadedExecutor
from std_msgs.msg import String

from mtor_swarm import events
from mtor_swarm.errors import EventError
from mtor_swarm.events import UnitChanged
from mtor_swarm.realm.bus import EVENT_QOS

SAY_S = 0.1


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
        """Of each event and each unit that heard it: the seconds it took from saying it."""
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


class Speaker:
    """Says events on the units' realm buses in turn, and hears all of them."""

    def __init__(self, units: list[str]) -> None:
        rclpy.init()
        self._said: dict[str, float] = {}
        self._latency_s: list[float] = []
        self._node = rclpy.create_node("ears", start_parameter_services=False, enable_rosout=False)
        buses = {}
        for unit in units:
            # Whoever wants DDS's stamps must be a function of exactly two.
            self._node.create_subscription(
                String, f"/{unit}/events", lambda m, i, u=unit: self._heard(u, m, i), EVENT_QOS
            )
            buses[unit] = self._node.create_publisher(String, f"/{unit}/events", EVENT_QOS)
        self._turn = itertools.cycle(buses.items())
        self._node.create_timer(SAY_S, self._say)
        self._executor = SingleThreadedExecutor()  # rclpy's EventsExecutor cannot hand out stamps
        self._executor.add_node(self._node)
        self._words: list[str] = []
        self._ended = False

    def run(self) -> None:
        """Until standard input ends."""
        threading.Thread(target=self._read, daemon=True).start()
        print("true", flush=True)
        while not self._ended:
            self._executor.spin_once(timeout_sec=SAY_S)
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
            self._said, self._latency_s = {}, []

    def _say(self) -> None:
        unit, bus = next(self._turn)
        data = UnitChanged(doing="measured", was="measured")
        event = events.make(data, source=f"/{unit}/ears", wall_s=time.time(), unit=unit)
        message = String(data=events.to_json(event))
        self._said[event.id] = time.time()
        bus.publish(message)

    def _heard(self, unit: str, message: Any, info: Any) -> None:
        try:
            event = events.from_json(message.data)
        except EventError:
            return
        if event.id in self._said and event.unit != unit:
            self._latency_s.append(info["received_timestamp"] / 1e9 - self._said[event.id])


if __name__ == "__main__":
    Speaker(sys.argv[1:]).run()
