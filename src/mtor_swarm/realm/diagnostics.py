"""What a part of a realm has done, on `/diagnostics`: now and then, and only if it changed.

The orchestrator says there what state each worker is in (`r1: perception`); each worker says for
itself, whatever process it is in, how much it has done and how fast (`r1: perception work`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.node import Node

from mtor_swarm.realm.bus import DIAGNOSTICS_QOS, UNSENT

TELL_EVERY_S = 5.0
MAX_VALUES = 64
WORK = " work"
"""At the end of the name of what a worker says of its own work."""


class Work:
    """What a worker's handlers did: how many ran, for how long. Seconds."""

    def __init__(self) -> None:
        self.handled = 0
        self.busy_s = 0.0

    def done(self, seconds: float) -> None:
        """One more."""
        self.handled += 1
        self.busy_s += seconds

    def values(self) -> dict[str, float]:
        """As diagnostics show it; the mean is over all that it has handled."""
        mean_ms = 1000 * self.busy_s / self.handled if self.handled else 0.0
        return {"handled": self.handled, "busy_s": self.busy_s, "mean_ms": mean_ms}


class Reporter:
    """Tells a part's values whenever `beat` finds that they changed, but not too often."""

    def __init__(
        self,
        node: Node,
        unit: str,
        part: str,
        values: Callable[[], Mapping[str, float]],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`part`: what the values are of, as in `perception work`; `faults` among them warn."""
        self._node = node
        self._unit, self._part = unit, part
        self._values = values
        self._clock = clock
        self._told: dict[str, float] = {}
        self._told_s = -TELL_EVERY_S
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", DIAGNOSTICS_QOS)

    def beat(self) -> None:
        """Look whether there is something new to tell; on a timer that is there anyway."""
        now = self._clock()
        if now - self._told_s < TELL_EVERY_S:
            return
        values = dict(self._values())
        if values == self._told:
            return
        new_faults = values.get("faults", 0) - self._told.get("faults", 0)
        self._told, self._told_s = values, now
        message = DiagnosticArray()
        message.header.stamp = self._node.get_clock().now().to_msg()
        message.status = [
            DiagnosticStatus(
                level=DiagnosticStatus.WARN if new_faults > 0 else DiagnosticStatus.OK,
                name=f"{self._unit}: {self._part}",
                message=f"{new_faults:g} more faults" if new_faults > 0 else "",
                hardware_id=self._unit,
                values=[KeyValue(key=key, value=f"{value:g}") for key, value in values.items()][
                    :MAX_VALUES
                ],
            )
        ]
        try:
            self._publisher.publish(message)
        except UNSENT:  # it is being taken down
            return
