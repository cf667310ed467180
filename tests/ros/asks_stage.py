"""A realm for asks on one executor: a desk, workers that answer, and who asks them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import rclpy
from rclpy.lifecycle import TransitionCallbackReturn

from mtor_swarm.config import RealmConfig
from mtor_swarm.realm.ask_client import AskClient
from mtor_swarm.realm.ask_desk import AskDesk
from mtor_swarm.realm.capability import Capability
from mtor_swarm.realm.worker import Worker
from tests.ros.realm_stage import CONFIG, Stage


class Answerer(Worker):
    """Answers as it is told to."""

    def __init__(
        self,
        name: str,
        reply: Callable,
        capabilities: Sequence[Capability] = (Capability("echo"),),
        config: RealmConfig = CONFIG,
    ) -> None:
        self.capabilities = capabilities
        self.reply = reply
        super().__init__(name=name, config=config)

    def answer(self, ask, tell):
        return self.reply(ask, tell)


class Realm(Stage):
    """The stage, with a desk that is told of workers as an orchestrator would."""

    def __init__(self, config: RealmConfig = CONFIG) -> None:
        super().__init__()
        self.config = config
        self.desk = AskDesk(self.node("desk"), config)
        self.client = AskClient(self.node("caller"), "/r1/caller")

    def node(self, name: str):
        return self.add(
            rclpy.create_node(
                name, namespace="/r1", enable_rosout=False, start_parameter_services=False
            )
        )

    def worker(self, name: str, reply: Callable, *capabilities: Capability) -> Answerer:
        worker = Answerer(name, reply, capabilities or (Capability("echo"),), self.config)
        self.add(worker)
        assert worker.trigger_configure() == TransitionCallbackReturn.SUCCESS
        assert worker.trigger_activate() == TransitionCallbackReturn.SUCCESS
        self.desk.worker_active(name)
        return worker

    def answer(self, future):
        self.until(future.done)
        return future.result()

    def close(self) -> None:
        self.client.close()
        super().close()


def patient(event: threading.Event) -> None:
    """Wait for a test's sign, on a worker's thread."""
    assert event.wait(60.0)
