"""A stage for nodes: an executor that turns until something is so."""

from __future__ import annotations

import time
from collections.abc import Callable

import rclpy
from rclpy.experimental import EventsExecutor

from mtor_swarm.config import RealmConfig, SupervisionConfig

BOUND_S = 60.0
"""Returned from at once when the condition is met; long, since the machine may be busy."""
CONFIG = RealmConfig(
    unit="r1",
    supervision=SupervisionConfig(
        heartbeat_lease_s=1.0, restart_first_s=0.05, restart_most_s=0.2, failures_in_window=100
    ),
)


class Stage:
    """Nodes on one executor, in this thread."""

    def __init__(self) -> None:
        if not rclpy.ok():
            rclpy.init()
        self.executor = EventsExecutor()
        self.nodes: list = []

    def add(self, node):
        self.nodes.append(node)
        self.executor.add_node(node)
        return node

    def until(self, condition: Callable[[], object], bound_s: float = BOUND_S) -> None:
        end_s = time.monotonic() + bound_s
        while not condition():
            assert time.monotonic() < end_s, "it did not come to pass"
            self.executor.spin_once(timeout_sec=0.05)

    def close(self) -> None:
        self.executor.shutdown()
        for each in reversed(self.nodes):
            each.destroy_node()
        rclpy.try_shutdown()
