"""Who lives where we do not hear it is probed more and more rarely, until it answers."""

from __future__ import annotations

from mtor_swarm.swarm.gossip.effects import Send
from mtor_swarm.swarm.gossip.probe import FAR_FIRST_S, FAR_MOST_S, FAR_TIMES, LAST_STEP, Prober
from mtor_swarm.swarm.gossip.wire import Ack, Ping
from tests.simulation.harness import Net


def met() -> tuple[Prober, str]:
    net = Net(1)
    me, other = net.grow(2)
    me.machine.out.drain()
    return me.machine.prober, other.id


def probes(prober: Prober, member: str, now: float) -> list[int]:
    """The numbers of the pings that a check sends."""
    prober.check(member, now)
    sent = [each.frame for each in prober.out.drain() if isinstance(each, Send)]
    return [each.number for each in sent if isinstance(each, Ping)]


def test_each_refuted_doubt_makes_the_wait_longer_up_to_a_bound() -> None:
    prober, other = met()
    prober.refuted(other, 100.0)
    assert not probes(prober, other, 100.0 + FAR_FIRST_S - 0.1)
    prober.refuted(other, 200.0)
    assert not probes(prober, other, 200.0 + FAR_FIRST_S * FAR_TIMES - 0.1)
    for _ in range(5):
        prober.refuted(other, 300.0)
    assert not probes(prober, other, 300.0 + FAR_MOST_S - 0.1)
    assert probes(prober, other, 300.0 + FAR_MOST_S)


def test_answers_shorten_it_until_the_member_is_watched_like_any_other() -> None:
    prober, other = met()
    prober.refuted(other, 0.0)
    prober.refuted(other, 0.0)
    now, answers = 0.0, 0
    while other in prober._far:
        now += FAR_MOST_S
        (number,) = probes(prober, other, now)
        prober.acked(other, Ack(number), now)
        answers += 1
    assert answers == 5
    assert probes(prober, other, now)


def test_those_who_are_forgotten_take_no_room() -> None:
    prober, other = met()
    for number in range(50):
        prober.refuted(f"{number:032x}", 0.0)
    prober.refuted(other, 0.0)
    assert len(prober._far) <= 3


def test_one_that_speaks_anew_but_does_not_answer_us_is_far_and_not_silent() -> None:
    prober, other = met()
    (number,) = probes(prober, other, 1.0)
    prober.spoke(other, 1.0)
    assert prober.again(number, LAST_STEP, 2.0) is None
    assert not probes(prober, other, 2.0)
    (number,) = probes(prober, other, 2.0 + FAR_FIRST_S)
    assert prober.again(number, LAST_STEP, 3.0 + FAR_FIRST_S) == other
    prober.spoke(other, 3.0 + FAR_FIRST_S)
    assert probes(prober, other, 3.0 + 2 * FAR_FIRST_S)


def test_when_someone_is_gone_the_far_are_looked_at_again_unless_they_speak() -> None:
    prober, other = met()
    for _ in range(3):
        prober.refuted(other, 0.0)
    prober.spoke(other, 1.0)
    prober.lost(1.0)
    assert not probes(prober, other, 0.9 + FAR_FIRST_S)
    prober.spoke(other, 2.0)
    assert not probes(prober, other, 1.0 + FAR_FIRST_S)
    prober.lost(10.0)
    assert probes(prober, other, 10.0 + FAR_FIRST_S)
