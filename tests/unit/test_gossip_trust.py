"""Only signed numbers count: what a member believes of others, and what it does not."""

from __future__ import annotations

import random

import msgspec
import pytest

from mtor_swarm.config import GossipConfig
from mtor_swarm.swarm.gossip import effects as fx
from mtor_swarm.swarm.gossip import wire
from mtor_swarm.swarm.gossip.membership import Membership
from mtor_swarm.swarm.simnet.keys import HashKeys
from tests.unit.gossip_play import Play, doubt, fact, id_of


def test_a_fact_that_another_has_signed_is_counted_and_forgotten() -> None:
    play = Play("a")
    play.hear("a", wire.Spread([fact("b", signer="a")], []))
    assert play.sees("b") == ""
    assert play.counted("forged") == 1


class Refusal:
    def admit(self, fact: wire.Fact, wall_s: float) -> str:
        return "no certificate" if fact.unit == "b" else ""


def test_a_fact_whose_certificate_is_refused_is_counted_by_the_reason() -> None:
    play = Play()
    play.machine.authority = Refusal()
    play.hear("a", wire.Spread([fact("a"), fact("b")], []))
    assert (play.sees("a"), play.sees("b")) == ("alive", "")
    assert play.counted("no certificate") == 1


def test_two_sure_witnesses_are_proof_of_a_death_and_one_is_none() -> None:
    play = Play("a", "b", "c")
    play.hear("a", wire.Spread([], [doubt("a", "c", sure=True)]))
    assert play.sees("c") == "suspect"
    play.hear("b", wire.Spread([], [doubt("b", "c", sure=True)]))
    assert play.sees("c") == "dead"


def test_one_witness_counts_once_however_often_it_is_heard() -> None:
    play = Play("a", "b", "c")
    for _ in range(3):
        play.hear("b", wire.Spread([], [doubt("a", "c", sure=True)]))
    assert play.sees("c") == "suspect"


@pytest.mark.parametrize(
    "said",
    [
        doubt("stranger", "c", sure=True),
        doubt("c", "c", sure=True),
        doubt("a", "c", incarnation=2, sure=True),
        doubt("a", "c", boot=2, sure=True),
        doubt("a", "c", signer="b", sure=True),
    ],
    ids=["a stranger", "itself", "no such incarnation", "no such boot", "forged"],
)
def test_a_doubt_that_proves_nothing_changes_nothing(said: wire.Doubt) -> None:
    play = Play("a", "b", "c")
    play.hear("b", wire.Spread([], [said]))
    assert play.sees("c") == "alive"
    assert not play.machine.members.views[id_of("c")].doubts


def test_a_doubt_of_a_fact_that_we_lack_asks_for_that_fact() -> None:
    play = Play("a", "c")
    play.hear("a", wire.Spread([], [doubt("a", "c", incarnation=5)]))
    assert play.said(wire.Known, "a")[0].ages == [(id_of("c"), 1, 1, 0)]


def test_where_only_a_sample_is_known_nothing_is_asked_about_others() -> None:
    play = Play("a")
    play.machine.members.whole = False
    play.hear("a", wire.Spread([], [doubt("a", "x")]))
    play.hear("a", wire.Known([(id_of("x"), 1, 1, 0)], True))
    assert play.said(wire.Known) == []


def test_witnesses_beyond_what_is_needed_are_not_kept() -> None:
    names = [f"w{i}" for i in range(9)]
    play = Play("c", *names)
    for name in names:
        play.hear(name, wire.Spread([], [doubt(name, "c")]))
    assert len(play.machine.members.views[id_of("c")].doubts) == 4
    play.hear("w8", wire.Spread([], [doubt("w8", "c", sure=True)]))
    assert len(play.machine.members.views[id_of("c")].doubts) == 5


def test_a_doubt_of_us_is_refuted_once_to_all_and_after_that_to_who_brings_it() -> None:
    play = Play("a", "b")
    play.hear("b", wire.Ping(7, doubt("a", "me")))
    assert play.machine.my_fact().incarnation == 2
    assert play.said(wire.Spread, "b")[0].facts == [play.machine.my_fact()]
    assert play.said(wire.Ack, "b") == [wire.Ack(7)]
    play.hear("b", wire.Ping(8, doubt("a", "me")))
    assert play.machine.my_fact().incarnation == 2
    assert play.said(wire.Spread, "b")[0].facts == [play.machine.my_fact()]


def test_nobody_can_raise_our_incarnation_by_a_number_of_its_own() -> None:
    play = Play("a")
    for said in (
        doubt("a", "me", incarnation=2**62),
        doubt("a", "me", boot=2),
        doubt("a", "me", signer="b"),
    ):
        play.hear("a", wire.Spread([], [said]))
    assert play.machine.my_fact().incarnation == 1
    assert play.counted("doubts of what we never said") == 2
    assert play.counted("forged") == 1


def test_one_that_we_hear_ourselves_is_not_buried_on_others_word() -> None:
    play = Play("a", "b", "c")
    play.hear("a", wire.Spread([], [doubt("a", "c", sure=True)]))
    play.now += 0.1
    play.hear("c", wire.Ack(1))
    play.hear("b", wire.Spread([], [doubt("b", "c", sure=True)]))
    assert play.sees("c") == "suspect"
    play.fire(f"suspect {id_of('c')}", 5.0)
    assert play.sees("c") == "suspect"
    assert play.did(fx.SetTimer)


def test_one_held_for_dead_that_speaks_is_shown_the_proof_but_not_at_every_word() -> None:
    play = Play("a", "b", "c")
    for witness in ("a", "b"):
        play.hear(witness, wire.Spread([], [doubt(witness, "c", sure=True)]))
    play.now += 1.0
    play.hear("c", wire.Ack(1))
    assert len(play.said(wire.Spread, "c")[0].doubts) == 2
    play.hear("c", wire.Ack(1))
    assert play.said(wire.Spread, "c") == []
    play.hear("c", wire.Spread([fact("c", incarnation=2)], []))
    assert play.sees("c") == "alive"


def test_who_tells_old_news_is_told_the_new_and_who_tells_a_death_is_not() -> None:
    play = Play("a", "b")
    play.hear("b", wire.Spread([fact("b", incarnation=3)], []))
    play.hear("a", wire.Spread([fact("b", incarnation=2)], []))
    assert play.said(wire.Spread, "a")[0].facts == [fact("b", incarnation=3)]
    play.machine.members.bury(id_of("b"), play.now)
    play.hear("a", wire.Spread([fact("b", incarnation=3)], []))
    assert play.said(wire.Spread, "a") == []


def test_an_established_member_does_not_go_for_one_that_claims_to_be_older() -> None:
    play = Play("a")
    play.now = 60.0
    play.hear("liar", wire.Spread([fact("liar", unit="me", started_s=0.0)], []))
    assert [each.later for each in play.did(fx.Conflict)] == [False]


def test_a_newcomer_goes_for_one_that_was_there_before() -> None:
    play = Play()
    play.hear("old", wire.Spread([fact("old", unit="me", started_s=0.0)], []))
    assert [each.later for each in play.did(fx.Conflict)] == [True]
    play.hear("old", wire.Spread([fact("old", incarnation=2, unit="me", started_s=0.0)], []))
    assert play.did(fx.Conflict) == []


def test_a_table_with_no_room_refuses_and_says_how_often() -> None:
    members = Membership("me", GossipConfig(members_known=16), random.Random(1))
    for number in range(16):
        members.learn_fact(f"m{number}", fact(f"m{number}"), 0.0)
    members.linked, members.asked = [f"m{i}" for i in range(8)], [f"m{i}" for i in range(8, 16)]
    assert not members.learn_fact("late", fact("late"), 1.0)
    assert members.refused == 1
    members.bury("m3", 2.0)
    assert members.learn_fact("late", fact("late"), 3.0)
    assert "m3" not in members.views
    assert members.forgotten == ["m3"]


def test_another_that_speaks_with_our_key_is_told_once_and_counted() -> None:
    play = Play()
    other = fact("me", boot=2)
    play.hear("a", wire.Spread([fact("a"), other], []))
    assert [(each.other.boot, each.later) for each in play.did(fx.Conflict)] == [(2, False)]
    play.hear("a", wire.Spread([other], []))
    assert not play.did(fx.Conflict)
    assert play.counted("another with our key") == 2
    assert play.machine.my_fact().boot == 1


def test_our_own_words_of_before_and_forged_ones_are_no_other() -> None:
    play = Play()
    mine = play.machine.my_fact()
    for said in (mine, fact("me", boot=0), fact("me", boot=2, signer="a")):
        play.hear("a", wire.Spread([said], []))
    assert play.counted("another with our key") == 0


@pytest.mark.parametrize("boot", [1, 2])
def test_who_speaks_with_the_key_of_one_that_is_elsewhere_is_told(boot) -> None:
    play = Play()
    held = fact("a", boot=2)
    play.hear("a", wire.Spread([held], []))
    play.now = 1.0
    moved = msgspec.structs.replace(fact("a", boot=boot), address="tcp://thief:1", signature=b"")
    play.hear("a", wire.Spread([moved], []))
    assert play.counted("forged") == 1
    play.hear("a", wire.Spread([wire.sign(moved, HashKeys("a"))], []))
    assert [each.facts for each in play.said(wire.Spread, "thief")] == [[held]]
    play.hear("a", wire.Spread([wire.sign(moved, HashKeys("a"))], []))
    assert not play.said(wire.Spread, "thief")
    assert play.counted("two with one key") == 1
