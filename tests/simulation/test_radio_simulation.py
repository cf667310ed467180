"""Members of whom each hears but a few: news goes from one to the next through the swarm."""

from __future__ import annotations

import math
import random
from collections import defaultdict

import pytest

from mtor_swarm.sim.radio import Radio, RadioModel, Walls
from mtor_swarm.sim.spatial import Transform
from mtor_swarm.swarm.gossip import effects as fx
from mtor_swarm.swarm.simnet.world import Member, World
from tests.simulation.harness import event

seeds = pytest.mark.parametrize("seed", [1, 2, 3])


class Log:
    """What each member's consumers got."""

    def __init__(self) -> None:
        self.events: dict[str, list[str]] = defaultdict(list)
        self.states: list[str] = []

    def told(self, member: Member, effect: fx.Effect) -> None:
        if isinstance(effect, fx.Deliver):
            self.events[member.name].append(effect.event.id)
        elif isinstance(effect, fx.MemberSeen):
            self.states.append(effect.member.state)

    def carried(self, member, frame, size) -> None: ...
    def heard(self, member, sender, frame) -> None: ...
    def stepped(self, member) -> None: ...
    def failed(self, member, item, error: Exception) -> None:
        raise error


class Field:
    """Members at places in metres, with radios of 10 m; each knows the address of the last."""

    def __init__(self, seed: int, places: list[tuple[float, float]], walls: Walls | None = None):
        self.log = Log()
        self.radio = Radio(RadioModel(range_m=10.0), random.Random(seed), walls)
        self.world = World(seed, self.log, radio=self.radio)
        names = [f"m{number}" for number in range(len(places))]
        self.members = [
            self.world.add(name, names[number - 1 : number]) for number, name in enumerate(names)
        ]
        self.place(places)

    def place(self, places: list[tuple[float, float]]) -> None:
        self.radio.place(
            {each.id: (*at, 0.3) for each, at in zip(self.members, places, strict=True)}
        )

    def run(self, seconds: float) -> None:
        self.world.run(self.world.now + seconds)

    def publish(self, number: int, origin: int) -> None:
        self.world.give(self.members[origin], fx.Published(event(number)))

    def share(self, origin: int, item: str) -> None:
        self.world.give(self.members[origin], fx.SharedWritten("set:seen", item))

    def got(self, number: int) -> list[str]:
        return self.log.events[f"m{number}"]

    def seen(self) -> list[object]:
        return [each.machine.shared.replica.value("set:seen") for each in self.members]


@seeds
def test_a_chain_in_which_only_neighbours_hear_each_other_gets_everything(seed: int) -> None:
    field = Field(seed, [(7.0 * i, 0.0) for i in range(8)])
    assert field.radio.chances(field.members[0].id)[field.members[3].id] < 0.01
    field.run(15.0)
    for i in range(24):
        field.publish(i, i % 8)
        field.run(0.1)
    field.share(0, "cat")
    field.run(90.0)
    assert field.seen() == [["cat"]] * 8
    for number in range(8):
        assert sorted(field.got(number)) == sorted(f"e{i}" for i in range(24) if i % 8 != number)


@seeds
def test_through_the_door_goes_what_the_wall_keeps_back(seed: int) -> None:
    wall = [(Transform((0.0, y, 1.0)), (0.3, 19.0, 2.0)) for y in (-10.5, 10.5)]
    rooms = [(-4.0, 5.0), (-4.0, 3.0), (-2.0, 0.0), (2.0, 0.0), (4.0, 3.0), (4.0, 5.0)]
    field = Field(seed, rooms, Walls(wall))
    assert field.radio.chances(field.members[0].id)[field.members[5].id] < 0.01
    field.run(15.0)
    field.publish(1, 0)
    field.share(5, "cat")
    field.run(60.0)
    assert [field.got(number) for number in range(1, 6)] == [["e1"]] * 5
    assert field.seen() == [["cat"]] * 6


@seeds
def test_one_that_walks_between_two_groups_carries_the_news(seed: int) -> None:
    here, there = [(0.0, 0.0), (2.0, 0.0)], [(100.0, 0.0), (102.0, 0.0)]
    field = Field(seed, [*here, (1.0, 1.0), *there])
    field.run(10.0)
    field.publish(1, 0)
    field.share(0, "cat")
    field.run(5.0)
    assert field.got(4) == []
    field.place([*here, (101.0, 1.0), *there])
    field.run(60.0)
    assert field.got(3) == field.got(4) == ["e1"]
    assert field.seen() == [["cat"]] * 5


@seeds
def test_who_is_out_of_earshot_is_left_alone_and_missed_by_those_who_heard_it(seed: int) -> None:
    field = Field(seed, [(7.0 * i, 0.0) for i in range(8)])
    field.run(240.0)
    field.log.states.clear()
    field.run(60.0)
    assert len(field.log.states) < 8 * 8 * 2
    assert "dead" not in field.log.states
    field.members[7].up = False
    field.run(60.0)
    assert field.log.states.count("dead") >= 7
    views = [each.machine.members.views[field.members[7].id] for each in field.members[:7]]
    assert {each.info("").state for each in views} == {"dead"}


@seeds
def test_one_that_falls_silent_with_the_only_one_who_heard_it_is_missed_soon(seed: int) -> None:
    field = Field(seed, [(7.0 * i, 0.0) for i in range(8)])
    field.run(120.0)
    for each in field.members[6:]:
        field.world.stall(each, math.inf)
    field.run(25.0)
    views = [each.machine.members.views[field.members[7].id] for each in field.members[:6]]
    assert {each.info("").state for each in views} == {"dead"}


def test_out_of_earshot_nobody_finds_a_port_closed() -> None:
    field = Field(1, [(0.0, 0.0), (5.0, 0.0)])
    field.run(5.0)
    field.place([(0.0, 0.0), (500.0, 0.0)])
    field.members[0].up = False
    field.run(0.4)
    field.world.give(field.members[1], fx.Asking(1, field.members[0].id, "k", b"", 1.0))
    field.run(0.1)
    view = field.members[1].machine.members.views[field.members[0].id]
    assert view.info("").state == "alive"
