"""A realm with one real model worker, and somebody who asks it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from rclpy.lifecycle import TransitionCallbackReturn

from mtor_swarm.config import RealmConfig, WorkerConfig
from mtor_swarm.events import Event, WorkerChanged, payload
from mtor_swarm.realm.ask_wire import Answer
from mtor_swarm.realm.bus import ALL, RealmBus
from mtor_swarm.realm.worker import Worker
from tests.ros.asks_stage import Realm
from tests.ros.realm_stage import CONFIG

SUCCESS = TransitionCallbackReturn.SUCCESS


def configured(name: str, kind: str, **parameters: Any) -> RealmConfig:
    """The unit r1 with one more worker."""
    worker = WorkerConfig(kind=kind, parameters=parameters)
    return msgspec.structs.replace(CONFIG, workers={name: worker})


class ModelRealm(Realm):
    """The worker is loaded and active; `load=False`: it is left as it was made."""

    def __init__(self, worker: type[Worker], config: RealmConfig, *, load: bool = True) -> None:
        super().__init__(config)
        (self.name,) = config.workers or ["perception"]
        self.events: list[Event] = []
        RealmBus(self.node("ear")).subscribe((ALL,), self.events.append)
        kwargs = {"name": self.name} if config.workers else {}
        self.worker = self.add(worker(config=config, **kwargs))
        if load:
            assert self.worker.trigger_configure() == SUCCESS
            assert self.worker.trigger_activate() == SUCCESS
            self.desk.worker_active(self.name)

    def ask(self, capability: str, payload: bytes | str, **more: Any) -> Answer:
        """The final answer; a str is text/plain."""
        return self.ask_all(capability, [payload], **more)[0]

    def ask_all(self, capability: str, payloads: Sequence[bytes | str], **more: Any):
        """Several at once, and their answers in order."""
        futures = []
        for each in payloads:
            kind = "text/plain" if isinstance(each, str) else "application/json"
            raw = each.encode() if isinstance(each, str) else each
            futures.append(
                self.client.ask(capability, raw, **{"kind": kind, "timeout_s": 60.0, **more})
            )
        return [self.answer(each) for each in futures]

    def failure(self) -> str:
        """Why the worker says that it failed."""
        self.until(self._failures)
        return self._failures()[-1]

    def _failures(self) -> list[str]:
        told = [
            payload(each, WorkerChanged) for each in self.events if each.type.endswith("r.changed")
        ]
        return [each.reason for each in told if each.state == "failed"]

    def close(self) -> None:
        self.worker.close()
        super().close()
