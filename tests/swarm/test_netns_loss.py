"""Real members in a network namespace: packets are lost, processes killed and stopped."""

from __future__ import annotations

import signal

import pytest

from tests.swarm.crowd import Crowd, Process, wait_until
from tests.swarm.rooms import Room, lacking

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(bool(lacking()), reason=f"lacking: {lacking()}"),
]
MEMBERS, EVENTS = 8, 25


def crowd_in(room: Room, crowd: Crowd, number: int) -> list[Process]:
    """So many members that all know each other."""
    first = crowd.add("u0", within=room.within)
    seeds = {"seeds": [first.address]}
    more = [crowd.add(f"u{i}", within=room.within, swarm=seeds) for i in range(1, number)]
    made = [first, *more]
    for each in made:
        each.wait_states({other.unit: "alive" for other in made if other is not each})
    return made


def buried(members: list[Process]) -> list[tuple[str, str]]:
    """Who said of whom that it is dead."""
    return [
        (each.unit, said["unit"])
        for each in members
        for said in list(each.said)
        if said["kind"] == "member" and said["state"] == "dead"
    ]


def test_at_thirty_percent_loss_every_event_arrives_and_nobody_is_buried() -> None:
    with Room() as room, Crowd() as crowd:
        members = crowd_in(room, crowd, MEMBERS)
        room.lose(0.3)
        for _ in range(EVENTS):
            for each in members[:2]:
                each.write()
        wanted = list(range(1, EVENTS + 1))
        for origin in members[:2]:
            others = [each for each in members if each is not origin]
            wait_until(
                f"all of {origin.unit}'s events",
                lambda: all(len(each.numbers(origin.unit)) >= EVENTS for each in others),  # noqa: B023
            )
            assert all(each.numbers(origin.unit) == wanted for each in others)
        assert buried(members) == []


def test_a_killed_member_is_known_and_a_stopped_one_is_known_and_comes_back() -> None:
    with Room() as room, Crowd() as crowd:
        *rest, stopped, killed = crowd_in(room, crowd, 5)
        killed.child.kill()
        for each in [*rest, stopped]:
            each.wait_states({killed.unit: "dead"})
        stopped.child.send_signal(signal.SIGSTOP)
        for each in rest:
            each.wait_states({stopped.unit: "dead"})
        stopped.child.send_signal(signal.SIGCONT)
        for each in rest:
            each.wait_states({stopped.unit: "alive"})
        assert {who for _, who in buried([*rest, stopped])} <= {
            killed.unit,
            stopped.unit,
            *(each.unit for each in rest if (stopped.unit, each.unit) in buried([stopped])),
        }
