"""One machine of a swarm, and what others may say to it, for the tests of membership."""

from __future__ import annotations

import random
from typing import TypeVar

from mtor_swarm.config import GossipConfig
from mtor_swarm.events import fingerprint
from mtor_swarm.swarm.gossip import effects as fx
from mtor_swarm.swarm.gossip import wire
from mtor_swarm.swarm.gossip.machine import Machine
from mtor_swarm.swarm.simnet.keys import HashKeys
from tests.simulation.harness import WALL

T = TypeVar("T")


def id_of(name: str) -> str:
    return fingerprint(HashKeys(name).public_key)


def fact(name: str, boot: int = 1, incarnation: int = 1, **more) -> wire.Fact:
    """What that member says of itself, signed."""
    keys = HashKeys(more.pop("signer", name))
    made = wire.Fact(
        HashKeys(name).public_key,
        b"",
        boot=boot,
        incarnation=incarnation,
        address=f"tcp://{name}:1",
        unit=more.pop("unit", name),
        role="unit",
        started_s=more.pop("started_s", WALL),
        link=bytes(32),
        **more,
    )
    return wire.sign(made, keys)


def doubt(witness: str, member: str, boot: int = 1, incarnation: int = 1, **more) -> wire.Doubt:
    """That witness's doubt of that member, signed."""
    keys = HashKeys(more.pop("signer", witness))
    made = wire.Doubt(
        HashKeys(witness).public_key,
        b"",
        member=id_of(member),
        boot=boot,
        incarnation=incarnation,
        **more,
    )
    return wire.sign(made, keys)


class Play:
    """The member `me` at virtual time `now`, and what it did last."""

    def __init__(self, *known: str, **config) -> None:
        keys = HashKeys("me")
        self.now = 0.0
        self.machine = Machine(
            GossipConfig(**config),
            keys,
            keys,
            random.Random(1),
            boot=1,
            unit="me",
            role="unit",
            wall_offset_s=WALL,
            seeds=[],
        )
        self.give(fx.Started("tcp://me:1"))
        for name in known:
            self.hear(name, wire.Spread([fact(name)], []))

    def give(self, item: fx.Input) -> list[fx.Effect]:
        self.done = self.machine.handle(item, self.now)
        return self.done

    def hear(self, sender: str, frame: wire.Frame) -> list[fx.Effect]:
        return self.give(fx.Received(id_of(sender), frame))

    def fire(self, key: str, after: float = 0.0) -> list[fx.Effect]:
        self.now += after
        return self.give(fx.Fired(key))

    def said(self, kind: type[T], to: str = "") -> list[T]:
        """The frames of that kind that were sent last, to that member or to anyone."""
        sent = [each for each in self.done if isinstance(each, fx.Send)]
        here = [each for each in sent if not to or each.address == f"tcp://{to}:1"]
        return [each.frame for each in here if isinstance(each.frame, kind)]

    def did(self, kind: type[T]) -> list[T]:
        return [each for each in self.done if isinstance(each, kind)]

    def sees(self, name: str) -> str:
        view = self.machine.members.views.get(id_of(name))
        return view.info(id_of(name)).state if view else ""

    def counted(self, what: str) -> int:
        return self.machine.out.counters.get(what, 0)
