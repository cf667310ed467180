"""The orchestrator's ties to one worker: its heartbeat, and ROS's lifecycle services."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.node import Node
from std_msgs.msg import String

from mtor_swarm.realm import supervision_io as sv
from mtor_swarm.realm.bus import heartbeat_qos

UNTOLD = "failed; its log says why"
"""A worker that refuses says why in an event of its own, which may come later."""


class Watch:
    """Tells `feed` what is seen and heard of one worker; asks of it what supervision wants.

    It stays for as long as the node, since the worker may come back, and since the EventsExecutor
    crashes (SIGSEGV) now and then when what has QoS events is destroyed while it turns.
    """

    def __init__(
        self,
        node: Node,
        worker: str,
        *,
        lease_s: float,
        feed: Callable[[sv.Input], None],
        was_late: Callable[[], bool],
    ) -> None:
        """`was_late`: whether this process itself stood still, and so cannot trust what it saw."""
        self._worker = worker
        self._feed = feed
        self._was_late = was_late
        self._pending: list[tuple[int, Any, Any]] = []
        self._change = node.create_client(ChangeState, f"{worker}/change_state")
        self._get = node.create_client(GetState, f"{worker}/get_state")
        node.create_subscription(
            String,
            f"{worker}/heartbeat",
            lambda _: None,  # nothing is ever sent: only the writer's liveliness counts
            heartbeat_qos(lease_s),
            event_callbacks=SubscriptionEventCallbacks(liveliness=self._on_liveliness),
        )

    @property
    def waiting(self) -> int:
        """Requests without an answer so far."""
        return len(self._pending)

    def do(self, action: sv.Ask | sv.Configure | sv.Activate) -> None:
        """Ask it for its state, or have it configured or activated."""
        if isinstance(action, sv.Ask):
            self._call(self._get, GetState.Request(), action.turn, self._on_state)
            return
        request = ChangeState.Request()
        request.transition.id = (
            Transition.TRANSITION_CONFIGURE
            if isinstance(action, sv.Configure)
            else Transition.TRANSITION_ACTIVATE
        )
        self._call(self._change, request, action.turn, self._on_transition)

    def _on_liveliness(self, info: Any) -> None:
        if info.alive_count == 0:
            self._feed(sv.LivelinessLost(self._worker, self._was_late()))
        else:
            self._feed(sv.WorkerSeen(self._worker, info.alive_count))

    def _call(
        self, client: Any, request: Any, turn: int, answered: Callable[[int, Any], None]
    ) -> None:
        for old in [each for each in self._pending if each[0] < turn]:
            self._pending.remove(old)
            old[1].remove_pending_request(old[2])
        if not client.service_is_ready():
            self._feed(sv.PerhapsUnheard(self._worker, turn))
        future = client.call_async(request)
        self._pending.append((turn, client, future))

        def done(future: Any) -> None:
            self._pending = [each for each in self._pending if each[2] is not future]
            if not future.cancelled() and future.exception() is None:
                answered(turn, future.result())

        future.add_done_callback(done)

    def _on_state(self, turn: int, answer: Any) -> None:
        self._feed(sv.StateKnown(self._worker, turn, answer.current_state.label))

    def _on_transition(self, turn: int, answer: Any) -> None:
        if answer.success:
            self._feed(sv.TransitionDone(self._worker, turn))
        else:
            self._feed(sv.TransitionFailed(self._worker, turn, UNTOLD))
