"""What a realm says on `/diagnostics`, as Prometheus metrics over HTTP on loopback.

One way in: what a tool of ROS shows is what Prometheus is told. `mtor_state` is 1 for the state
that a worker is in, `mtor_level` the level of diagnostic_msgs (0 well, 1 warning, 2 error, 3
stale), `mtor_value` each number, by the part of the realm and what it counts. The format is
prometheus_client's.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable, Iterator, Mapping
from socket import SHUT_RDWR
from socketserver import TCPServer

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import GaugeMetricFamily, Metric, UnknownMetricFamily
from prometheus_client.exposition import MetricsHandler
from prometheus_client.registry import Collector

from mtor_swarm.errors import SwarmError

MAX_PARTS = 256
PATIENCE_S = 5.0
"""For a client that connects and is slow to ask: others wait for it."""


class Book(Collector):
    """The newest that each part of one unit said; read by another thread than it is written by."""

    def __init__(self, unit: str) -> None:
        self.refused = 0
        """Said by more parts than a realm has."""
        self._unit = unit
        self._levels: dict[str, int] = {}
        self._values: dict[str, Mapping[str, str]] = {}
        self._removed: dict[str, None] = {}
        """The last workers that were: what one says of its work as it ends is no news."""

    def take(self, name: str, level: int, values: Mapping[str, str]) -> None:
        """A DiagnosticStatus by its name, `r1: perception work`; other units' are no concern."""
        unit, _, part = name.partition(": ")
        if unit != self._unit or not part:
            return
        worker = part.partition(" ")[0]
        if values.get("state") == "removed":
            self._remove(worker)
            return
        if worker != part and worker in self._removed:
            return
        self._removed.pop(part, None)
        if part not in self._values and len(self._values) >= MAX_PARTS:
            self.refused += 1
            return
        self._values[part] = values
        self._levels[part] = level

    def _remove(self, worker: str) -> None:
        for part in [each for each in self._values if each.partition(" ")[0] == worker]:
            del self._values[part], self._levels[part]
        self._removed[worker] = None
        if len(self._removed) > MAX_PARTS:
            del self._removed[next(iter(self._removed))]

    def collect(self) -> Iterable[Metric]:
        """All of it, as prometheus_client wants it."""
        state = GaugeMetricFamily(
            "mtor_state", "The state that a worker is in.", labels=("unit", "part", "state")
        )
        level = GaugeMetricFamily(
            "mtor_level", "0 well, 1 warning, 2 error, 3 stale.", labels=("unit", "part")
        )
        value = UnknownMetricFamily(
            "mtor_value", "What a part of the realm counts.", labels=("unit", "part", "what")
        )
        for part, values in dict(self._values).items():
            # It may be removed by now: 3, stale.
            level.add_metric((self._unit, part), self._levels.get(part, 3))
            if "state" in values:
                state.add_metric((self._unit, part, values["state"]), 1)
            for what, number in _numbers(values):
                value.add_metric((self._unit, part, what), number)
        return state, level, value


class _Listener(TCPServer):
    allow_reuse_address = True


class _Handler(MetricsHandler):
    timeout = PATIENCE_S


class Server:
    """Answers `GET /metrics`, one client at a time, on a thread that sleeps until one comes."""

    def __init__(self, port: int, *collectors: Collector) -> None:
        """Port 0: any. SwarmError if it is taken."""
        registry = CollectorRegistry()
        for each in collectors:
            registry.register(each)
        ProcessCollector(registry=registry)
        try:
            self._server = _Listener(("127.0.0.1", port), _Handler.factory(registry))
        except OSError as error:
            raise SwarmError(
                f"no metrics at 127.0.0.1:{port}: {error.strerror}; set another `metrics_port`"
            ) from None
        self.port: int = self._server.server_address[1]
        self._open = True
        self._thread = threading.Thread(target=self._serve, name="metrics", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Serve nobody any more."""
        self._open = False
        self._server.socket.shutdown(
            SHUT_RDWR
        )  # wakes it: `serve_forever` would look twice a second
        self._thread.join(PATIENCE_S)
        self._server.server_close()

    def _serve(self) -> None:
        while self._open:
            self._server.handle_request()


def _numbers(values: Mapping[str, str]) -> Iterator[tuple[str, float]]:
    for what, text in values.items():
        try:
            number = float(text)
        except ValueError:
            continue
        if math.isfinite(number):
            yield what, number
