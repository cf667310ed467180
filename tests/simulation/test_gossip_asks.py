"""Asks between members in virtual time: whatever is lost and whoever dies, each has one end."""

from __future__ import annotations

import pytest

from mtor_swarm.swarm.gossip import effects as fx

from .harness import Net

LATE_S = 1.0
"""So long after an ask's time both sides are rid of it."""


def is_idle(member) -> bool:
    asks = member.machine.asks
    return not asks._pending and not asks._served


def test_asks_are_answered_refused_or_end_in_time() -> None:
    net = Net(1)
    members = net.grow(4)
    a, b, c, _ = members
    net.give(a, fx.Asking(1, b.id, "echo", b"x", 2.0))
    net.give(a, fx.Asking(2, b.id, "refuse", b"no", 2.0))
    c.up = False
    net.give(a, fx.Asking(3, c.id, "echo", b"x", 1.0))
    net.give(a, fx.Asking(4, "0" * 32, "echo", b"x", 1.0))
    net.run(3.0)
    assert a.answers[1] == (True, b"x")
    assert a.answers[2] == (False, b"no")
    assert b"did not answer in time" in a.answers[3][1]
    assert b"no member" in a.answers[4][1]


def test_one_that_has_not_heard_of_the_asker_yet_answers_all_the_same() -> None:
    net = Net(1)
    asked = net.grow(2)[1]
    asker = net.add("new")
    net.delay_s = (0.001, 0.001)  # a link keeps the order
    asker.machine.members.learn_fact(asked.id, asked.machine.fact, net.now)
    net.give(asker, fx.Asking(1, asked.id, "echo", b"x", 2.0))
    net.run(1.0)
    assert asker.answers == {1: (True, b"x")}


@pytest.mark.parametrize("seed", range(3))
def test_under_loss_answers_come_whole_and_their_parts_in_order(seed: int) -> None:
    net = Net(seed)
    members = net.grow(5)
    net.loss, net.duplication = 0.2, 0.1
    for token, member in enumerate(members[1:]):
        net.give(members[0], fx.Asking(token, member.id, "spell", b"word", 30.0))
    net.run(31.0)
    for token in range(4):
        assert members[0].answers[token] == (True, b"word")
        assert members[0].parts[token] == [b"w", b"o", b"r", b"d"]
    assert all(map(is_idle, members))


@pytest.mark.parametrize("seed", range(3))
def test_who_dies_while_asked_ends_the_ask_long_before_its_time(seed: int) -> None:
    net = Net(seed)
    a, b, _ = net.grow(3)
    net.give(a, fx.Asking(1, b.id, "brood", b"", 600.0))
    net.run(1.0)
    net.kill(b)
    net.run(10.0)
    ok, reason = a.answers[1]
    assert (ok, b"ask another" in reason) == (False, True)
    assert is_idle(a)


def test_who_is_asked_by_one_that_dies_or_gives_up_works_no_more_for_it() -> None:
    net = Net(1)
    a, b, c = net.grow(3)
    net.give(a, fx.Asking(1, b.id, "brood", b"", 600.0))
    net.give(c, fx.Asking(1, b.id, "brood", b"", 600.0))
    net.run(1.0)
    net.give(a, fx.Abandoning(1))
    net.run(1.0)
    assert len(b.ended) == 1
    net.kill(c)
    net.run(10.0)
    assert len(b.ended) == 2
    assert is_idle(b)


def test_behind_a_wall_both_sides_are_rid_of_an_ask_when_its_time_is_over() -> None:
    net = Net(1)
    a, b = net.grow(2)
    net.give(a, fx.Asking(1, b.id, "brood", b"", 2.0))
    net.run(0.1)
    net.side = {a.name: 1}
    net.run(2.0 + LATE_S)
    assert list(a.answers) == [1]
    assert len(b.ended) == 1
    assert is_idle(a)
    assert is_idle(b)


@pytest.mark.parametrize("seed", range(5))
def test_each_ask_has_one_end_whoever_dies_and_comes_back(seed: int) -> None:
    net = Net(seed)
    members = net.grow(6)
    net.loss = 0.05
    tokens = {each.name: 0 for each in members}
    for turn in range(60):
        net.run(net.rng.random())
        alive = net.alive()
        asker, other = net.rng.sample(alive, 2)
        tokens[asker.name] += 1
        kind = net.rng.choice(["echo", "spell", "brood", "refuse"])
        net.give(asker, fx.Asking(tokens[asker.name], other.id, kind, b"word", 3.0))
        if turn % 10 == 5:
            net.kill(net.rng.choice(alive))
        if turn % 10 == 9:
            for gone in [each for each in net.members.values() if not each.up]:
                tokens[gone.name] = 0
                boot = gone.machine.boot + 1
                net.add(gone.name, seeds=[net.rng.choice(net.alive()).name], boot=boot)
    net.run(3.0 + LATE_S)
    for member in net.alive():
        assert sorted(member.answers) == [*range(1, tokens[member.name] + 1)]
        assert is_idle(member)
