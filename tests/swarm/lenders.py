"""Realms of a crew's units: each with a desk for its asks, and with a worker or without."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from mtor_swarm.realm.ask_client import AskClient, Asking
from mtor_swarm.realm.ask_desk import AskDesk
from mtor_swarm.realm.ask_wire import Answer
from mtor_swarm.realm.capability import Capability
from tests.ros.asks_stage import Answerer

from .crew import Crew, Unit
from .crowd import PATIENCE_S, wait_until

ECHO = Capability("echo", concurrency=8)


class Realm:
    """A unit with a desk for its asks, who asks there, and at most one worker."""

    def __init__(self, crew: Crew, unit: Unit) -> None:
        self.crew, self.unit = crew, unit
        self.desk = AskDesk(unit.body, unit.gossip.config)
        self.client = AskClient(unit.body, f"/{unit.name}/test")
        self.worker: Answerer | None = None
        unit.gossip.join(self.desk)

    def hire(self, reply: Callable[..., Any], capability: Capability) -> None:
        worker = Answerer("helper", reply, (capability,), self.unit.gossip.config)
        self.worker = worker
        self.unit.nodes = (*self.unit.nodes, worker)
        self.crew.executor.add_node(worker)
        worker.trigger_configure()
        worker.trigger_activate()
        self.desk.worker_active("helper")

    def ask(self, text: bytes = b"?", *, capability: str = "echo", **more: Any) -> Asking:
        return self.client.ask(capability, text, timeout_s=PATIENCE_S, **more)

    def lenders(self) -> set[str]:
        """Who is known to lend."""
        known = self.unit.gossip._loans._lending._lenders.values()
        return {each.unit for each in known if each.offers}


def realm(
    crew: Crew,
    name: str,
    reply: Callable[..., Any] | None = None,
    capability: Capability = ECHO,
    **more: Any,
) -> Realm:
    unit = crew.add(name, **more)
    made = crew.do(lambda: Realm(crew, unit))
    if reply is not None:
        crew.do(lambda: made.hire(reply, capability))
        wait_until(
            "it says what it answers", lambda: crew.do(made.desk.offers) or not capability.lend
        )
    return made


def knows(borrower: Realm, *lenders: str) -> None:
    wait_until(f"{lenders} are known to lend", lambda: borrower.lenders() == {*lenders})


def answer(future: Future[Answer]) -> Answer:
    return future.result(PATIENCE_S)


def backwards(ask: Any, tell: Callable[[bytes], None]) -> bytes:
    return bytes(reversed(ask.payload))
