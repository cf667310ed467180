"""Real members where UDP is blocked, from the start or all at once: ZeroMQ carries everything."""

from __future__ import annotations

import pytest

from tests.swarm.crowd import Crowd, wait_until
from tests.swarm.rooms import CHAIN, Room, lacking
from tests.swarm.test_netns_loss import buried, crowd_in

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(bool(lacking()), reason=f"lacking: {lacking()}"),
]
MEMBERS, EVENTS = 5, 20


def block_udp(room: Room) -> None:
    room.run("nft", CHAIN.format(rule="meta l4proto udp drop;"))


@pytest.mark.parametrize("from_the_start", [True, False])
def test_where_udp_is_blocked_zeromq_carries_all(from_the_start) -> None:
    with Room() as room, Crowd() as crowd:
        if from_the_start:
            block_udp(room)
        members = crowd_in(room, crowd, MEMBERS)
        if not from_the_start:
            members[0].write()
            wait_until("spread", lambda: all(e.numbers("u0") == [1] for e in members[1:]))
            block_udp(room)
        for _ in range(EVENTS):
            members[1].write()
        wanted = list(range(1, EVENTS + 1))
        others = [each for each in members if each is not members[1]]
        wait_until("all events", lambda: all(e.numbers("u1") == wanted for e in others))

        def unconfirmed() -> bool:
            members[1].write("counters")
            return any("datagrams unconfirmed" in e for e in members[1].said)

        wait_until("it is counted", unconfirmed)
        assert buried(members) == []
