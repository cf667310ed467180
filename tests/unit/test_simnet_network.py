"""What becomes of frames: lost, late, twice, parted."""

from __future__ import annotations

import random

from mtor_swarm.swarm.delivery import DATAGRAM_BYTES
from mtor_swarm.swarm.simnet.network import RETRANSMIT_S, Network

TRIES = 4000


def network(**more) -> Network:
    made = Network(random.Random(1))
    for name, value in more.items():
        setattr(made, name, value)
    return made


def test_a_datagram_is_lost_as_often_as_told() -> None:
    net = network(loss=0.3)
    lost = sum(1 for _ in range(TRIES) if not net.delays(stream=False))
    assert abs(lost / TRIES - 0.3) < 0.03


def test_a_datagram_comes_twice_as_often_as_told() -> None:
    net = network(duplication=0.2)
    twice = sum(1 for _ in range(TRIES) if len(net.delays(stream=False)) == 2)
    assert abs(twice / TRIES - 0.2) < 0.03


def test_a_stream_is_late_where_a_datagram_is_lost() -> None:
    net = network(loss=0.3, duplication=1.0)
    came = [net.delays(stream=True) for _ in range(TRIES)]
    assert {len(each) for each in came} <= {0, 1}
    assert sum(1 for each in came if not each) < TRIES / 500
    late = sum(1 for each in came if each and each[0] >= RETRANSMIT_S)
    assert abs(late / TRIES - 0.3) < 0.03


def test_what_is_large_or_must_be_reliable_rides_a_stream_unless_there_are_none() -> None:
    net = network()
    assert net.is_stream(DATAGRAM_BYTES + 1, False)
    assert net.is_stream(10, True)
    assert not net.is_stream(DATAGRAM_BYTES, False)
    assert not network(streams=False).is_stream(5000, True)


def test_delays_are_within_their_bounds() -> None:
    net = network(delay_s=(0.1, 0.2))
    assert all(0.1 <= net.delays(False)[0] <= 0.2 for _ in range(100))


def test_unequal_sides_hear_nothing_of_each_other() -> None:
    net = network(side={"a": 1, "b": 1})
    assert net.hears("a", "b")
    assert net.hears("c", "d")
    assert not net.hears("a", "c")


class Deaf:
    def delay_s(self, sender: str, receiver: str) -> float | None:
        return None if receiver == "far" else 0.5


def test_the_radio_says_who_hears_whom() -> None:
    net = Network(random.Random(1), Deaf())
    assert net.radio_delay_s("near", "far") is None
    assert net.radio_delay_s("far", "near") == 0.5
    assert network().radio_delay_s("near", "far") == 0.0
