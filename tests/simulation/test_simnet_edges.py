"""What scenarios seldom meet: gaps, deaf radios, frames too large, tables that are samples."""

from __future__ import annotations

import msgspec
import pytest

from mtor_swarm.config import GossipConfig
from mtor_swarm.events import Event
from mtor_swarm.swarm.gossip import effects as fx
from mtor_swarm.swarm.gossip import wire
from mtor_swarm.swarm.simnet import scenario
from mtor_swarm.swarm.simnet.health import disagreement
from mtor_swarm.swarm.simnet.ledger import Ledger
from mtor_swarm.swarm.simnet.network import RETRANSMITS
from mtor_swarm.swarm.simnet.play import Play
from mtor_swarm.swarm.simnet.world import Member, World


def ledger_and_world(**more) -> tuple[Ledger, World]:
    ledger = Ledger(false_deaths=False)
    ledger.world = World(1, ledger, **more)
    return ledger, ledger.world


def pair(world: World) -> list[Member]:
    return [world.add("a"), world.add("b", ["a"])]


def event(number: int = 1) -> Event:
    return Event(id=f"e{number}", source="x", type="mtor.unit.changed", time="")


def test_what_expired_behind_a_partition_is_a_gap_and_no_violation() -> None:
    told = scenario.Scenario(
        about="x",
        false_deaths=True,
        for_s=22.0,
        gossip=GossipConfig(store_events=16),
        events=scenario.Traffic(rate_hz=20.0, publishers=1),
        steps=[scenario.Part(at_s=2.0, share=0.25, for_s=15.0)],
    )
    report = Play("gap", told, 8, 2).run()
    assert report.violations == []
    assert report.gaps > 0


def test_nothing_is_published_while_all_stand_still() -> None:
    told = scenario.Scenario(
        about="x", for_s=2.0, steps=[scenario.Stop(at_s=0.0, share=1.0, for_s=3.0)]
    )
    report = Play("still", told, 3, 1).run()
    assert (report.events, report.violations) == (0, [])


def test_loss_comes_and_goes() -> None:
    steps = [scenario.Loss(at_s=0.5, share=0.5, for_s=1.0)]
    told = scenario.Scenario(about="x", for_s=3.0, steps=steps)
    play = Play("loss", told, 6, 1)
    assert play.run().violations == []
    assert play.world.network.loss == 0.0
    assert any(each.losses for each in play.world.up())


class Deaf:
    def delay_s(self, sender: str, receiver: str) -> float | None:
        return None


def test_out_of_earshot_nobody_meets() -> None:
    _, world = ledger_and_world(radio=Deaf())
    members = pair(world)
    world.run(3.0)
    assert "does not see 1" in disagreement(members, 1024)


def test_frames_survive_the_codec() -> None:
    ledger, world = ledger_and_world(codec=True)
    members = pair(world)
    world.run(1.0)
    ledger.publish(members[0], event())
    world.run(2.0)
    assert disagreement(members, 1024) == ""
    assert (len(ledger.latency_s), ledger.violations) == (1, [])


def test_a_frame_too_large_to_encode_is_found() -> None:
    ledger, world = ledger_and_world()
    member, _ = pair(world)
    large = wire.Answer(1, True, bytes(wire.MAX_FRAME_BYTES))
    world._carry(member, fx.Send("tcp://b:1", large))
    assert "WireError" in ledger.violations[0]


def test_a_stream_that_loses_everything_gives_up() -> None:
    _, world = ledger_and_world()
    world.network.loss = 1.0
    assert world.network.delays(stream=True) == []
    assert RETRANSMITS > 0


def test_a_store_over_its_bound_is_found() -> None:
    ledger, world = ledger_and_world()
    member, _ = pair(world)
    world.run(1.0)
    for number in range(17):
        ledger.publish(member, event(number))
    member.machine.config = msgspec.structs.replace(world.config, store_events=16)
    ledger.stepped(member)
    assert "17 events in a store for 16" in ledger.violations[0]


def test_a_stream_told_only_from_its_middle_on_is_found() -> None:
    ledger, world = ledger_and_world()
    first, second = pair(world)
    world.run(1.0)
    for number in range(2):
        ledger.publish(first, event(number))
    world.run(2.0)
    next(iter(second.notes.values())).first = 2
    ledger.close([first, second])
    assert "only from 2 on" in ledger.violations[0]


@pytest.mark.parametrize(
    ("spoil", "wanted"),
    [
        (lambda members: members.pop(), "which is gone"),
        (lambda members: [each.machine.overlay.active.clear() for each in members], "cut off"),
    ],
)
def test_of_large_swarms_the_links_are_looked_at(spoil, wanted: str) -> None:
    _, world = ledger_and_world()
    members = [*pair(world), world.add("c", ["a"])]
    world.run(2.0)
    assert disagreement(members, 2) == ""
    spoil(members)
    assert wanted in disagreement(members, 1)
