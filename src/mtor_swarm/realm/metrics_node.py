"""The node that hears `/diagnostics` for the metrics; there is one only with a `metrics_port`."""

from __future__ import annotations

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node

from mtor_swarm.config import RealmConfig
from mtor_swarm.errors import SwarmError
from mtor_swarm.realm.bus import DIAGNOSTICS_QOS
from mtor_swarm.realm.metrics import Book, Server
from mtor_swarm.realm.worker import LEAN, lean_parameters


class MetricsNode(Node):  # type: ignore[misc]  # rclpy has no types
    """Serves one unit's metrics for as long as it lives; a robot whose port is taken runs on."""

    def __init__(self, *, config: RealmConfig) -> None:
        super().__init__(
            "metrics",
            namespace=f"/{config.unit}",
            parameter_overrides=lean_parameters(False),
            **LEAN,
        )
        self.book = Book(config.unit)
        self._server: Server | None = None
        try:
            self._server = Server(config.metrics_port, self.book)
        except SwarmError as error:
            self.get_logger().error(str(error))
            return
        self.create_subscription(DiagnosticArray, "/diagnostics", self._heard, DIAGNOSTICS_QOS)

    def _heard(self, message: DiagnosticArray) -> None:
        for each in message.status:
            values = {pair.key: pair.value for pair in each.values}
            self.book.take(each.name, each.level[0], values)

    def destroy_node(self) -> None:
        """Take the server along."""
        if self._server is not None:
            self._server.close()
        super().destroy_node()
