"""Probing, links and the table of members, one machine at a time."""

from __future__ import annotations

import itertools

import pytest

from mtor_swarm.errors import WireError
from mtor_swarm.swarm.gossip import effects as fx
from mtor_swarm.swarm.gossip import probe, wire
from mtor_swarm.swarm.gossip.beacons import Heard
from mtor_swarm.swarm.gossip.membership import MAX_DOUBTS
from tests.unit.gossip_play import Play, doubt, fact, id_of


def test_nothing_is_heard_or_done_before_the_start_and_after_the_end() -> None:
    play = Play("a")
    play.give(fx.Leaving())
    assert play.said(wire.Spread, "a")[0].facts[0].left
    assert play.hear("a", wire.Ping(1)) == []
    assert play.fire("probe") == []
    asleep = Play()
    asleep.machine.fact = None
    assert asleep.hear("a", wire.Ping(1)) == []
    assert asleep.fire("probe") == []
    assert asleep.give(fx.Leaving()) == []


def test_a_new_certificate_is_told_with_a_higher_incarnation() -> None:
    play = Play("a")
    play.hear("a", wire.Neighbour("ask", 0))
    play.give(fx.Certified(b"l" * 32, b"certificate"))
    (told,) = play.said(wire.Spread, "a")[0].facts
    assert (told.incarnation, told.link, told.certificate) == (2, b"l" * 32, b"certificate")
    play.give(fx.Leaving())
    assert play.give(fx.Certified(bytes(32), b"")) == []


def test_the_share_of_datagrams_that_is_lost_is_kept_until_the_member_is_gone() -> None:
    play = Play("a")
    play.give(fx.Lossy(id_of("a"), 0.25))
    assert play.machine.loss == {id_of("a"): 0.25}
    play.machine.members.bury(id_of("a"), play.now)
    play.fire("retry")
    assert play.machine.loss == {}


def test_of_one_that_is_forgotten_nothing_is_kept() -> None:
    play = Play("a")
    play.give(fx.Lossy(id_of("a"), 0.25))
    play.machine.news.beacons._heard[id_of("a")] = Heard()
    play.machine.members.forget(id_of("a"))
    play.fire("retry")
    assert play.machine.loss == {}
    assert play.machine.news.beacons._heard == {}


def test_a_probe_asks_again_and_others_too_and_at_last_by_the_link() -> None:
    play = Play("a")
    play.machine.prober.check(id_of("a"), play.now)
    (number,) = play.machine.prober._waiting
    play.hear("b", wire.Spread([fact("b")], []))
    sent = []
    for step in range(1, probe.LAST_STEP):
        play.fire(f"again {number} {step}", 0.05)
        sent += [each for each in play.did(fx.Send) if isinstance(each.frame, wire.Ping)]
        if step == probe.INDIRECT_STEP:
            assert play.said(wire.PingRequest, "b") == [wire.PingRequest(number, id_of("a"))]
    assert [each.reliable for each in sent] == [False] * 7 + [True]
    play.fire(f"again {number} {probe.LAST_STEP}", 0.05)
    assert play.sees("a") == "suspect"


def test_a_probe_of_one_that_has_died_meanwhile_ends() -> None:
    play = Play("a")
    play.machine.prober.check(id_of("a"), play.now)
    (number,) = play.machine.prober._waiting
    play.now += 1.0
    play.give(fx.LinkLost("tcp://a:1", True))
    assert play.sees("a") == "dead"
    play.fire(f"again {number} 1")
    assert play.machine.prober._waiting == {}
    assert play.said(wire.Ping) == []


def test_only_who_was_probed_or_relays_it_can_answer() -> None:
    play = Play("a", "b")
    play.hear("b", wire.PingRequest(9, id_of("a")))
    (ping,) = play.said(wire.Ping, "a")
    play.hear("b", wire.Ack(ping.number))
    assert play.said(wire.Ack) == []
    play.hear("a", wire.Ack(ping.number))
    assert play.said(wire.Ack, "b") == [wire.Ack(9, id_of("a"))]


def test_relays_are_bounded_and_what_is_dropped_is_counted() -> None:
    play = Play("a", "b")
    for number in range(probe.MAX_RELAYS + 2):
        play.hear("b", wire.PingRequest(number, id_of("a")))
    assert play.counted("relays dropped") == 2


def test_probing_or_answering_one_that_is_unknown_sends_nothing() -> None:
    play = Play("b")
    play.hear("b", wire.PingRequest(1, id_of("x")))
    assert play.said(wire.Ping) == []
    play.hear("x", wire.PingRequest(1, id_of("b")))
    (ping,) = play.said(wire.Ping, "b")
    play.hear("b", wire.Ack(ping.number))
    assert play.said(wire.Ack) == []


def test_a_late_loop_doubts_itself_and_gives_a_suspect_more_time() -> None:
    play = Play("a", "b")
    play.hear("b", wire.Spread([], [doubt("b", "a")]))
    play.fire(f"suspect {id_of('a')}", 30.0)
    assert play.counted("stalls") == 1
    assert play.sees("a") == "suspect"
    play.fire(f"suspect {id_of('b')}")
    assert play.sees("b") == "alive"


def test_a_suspect_that_stays_silent_is_dead_when_its_time_is_over() -> None:
    play = Play("a", "b")
    play.hear("b", wire.Spread([], [doubt("b", "a")]))
    play.machine._due.clear()
    play.fire(f"suspect {id_of('a')}", 60.0)
    assert play.sees("a") == "dead"


def test_a_strangers_wish_for_a_link_is_counted() -> None:
    play = Play()
    play.hear("x", wire.Neighbour("ask", 0))
    assert play.counted("links of strangers") == 1


def test_a_full_member_grants_a_link_to_a_poorer_one_only_and_drops_another_for_it() -> None:
    names = [f"m{i}" for i in range(9)]
    play = Play(*names)
    for name in names[:5]:
        play.hear(name, wire.Neighbour("ask", 0))
    assert len(play.machine.overlay.active) == 5
    play.hear("m6", wire.Neighbour("ask", 4))
    assert play.said(wire.Neighbour, "m6")[0].word == "no"
    play.hear("m6", wire.Neighbour("ask", 3))
    assert [each.word for each in play.said(wire.Neighbour)] == ["no", "yes"]
    assert id_of("m6") in play.machine.overlay.active
    assert len(play.machine.overlay.active) == 5


def test_a_yes_that_comes_too_late_is_answered_with_no() -> None:
    play = Play("a")
    play.fire("overlay", 1.0)
    assert id_of("a") not in play.machine.overlay.active
    play.hear("a", wire.Neighbour("yes"))
    assert play.said(wire.Neighbour, "a")[0].word == "no"


def test_one_link_is_affirmed_at_a_time_and_ends_if_there_is_no_answer() -> None:
    play = Play("a")
    play.fire("affirm", 10.0)
    assert play.said(wire.Neighbour) == []
    play.hear("a", wire.Neighbour("ask", 0))
    play.fire("affirm", 10.0)
    assert play.said(wire.Neighbour, "a")[0].links == 1
    play.fire("overlay", 6.0)
    assert play.machine.overlay.active == []


def test_one_that_never_answers_is_asked_for_a_link_ever_more_rarely_until_it_does() -> None:
    play = Play("a")
    asked = [play.now]
    while len(asked) < 12:
        play.fire("overlay", 0.25)
        if play.said(wire.Neighbour, "a"):
            asked.append(play.now)
    waits = [later - earlier for earlier, later in itertools.pairwise(asked)]
    assert waits == sorted(waits)
    assert waits[0] < 2.0
    assert waits[-1] == waits[-2] > 60.0
    play.hear("a", wire.Neighbour("ask", 0))
    assert play.machine.overlay.active == [id_of("a")]
    play.hear("a", wire.Neighbour("no"))
    play.fire("overlay", 0.5)
    assert play.said(wire.Neighbour, "a")[0].word == "ask"


def test_of_a_sample_one_that_gives_no_link_makes_room_for_another() -> None:
    play = Play("a", "b", "c")
    play.machine.members.whole = False
    play.give(fx.LinkLost("tcp://a:1", True))
    play.now += 1.0
    play.give(fx.LinkLost("tcp://a:1", True))
    assert play.sees("a") == ""
    assert fx.Forgotten(id_of("a")) in play.did(fx.Forgotten)
    play.hear("b", wire.Spread([fact("b"), fact("c")], []))
    play.fire("affirm")
    assert len(play.said(wire.Spread)[0].facts) >= 2


def test_of_a_sample_a_suspect_without_a_link_is_forgotten_and_not_buried() -> None:
    play = Play("a", "b")
    play.hear("b", wire.Spread([], [doubt("b", "a")]))
    play.machine.members.whole = False
    play.machine._due.clear()
    play.fire(f"suspect {id_of('a')}", 60.0)
    assert play.sees("a") == ""


def test_a_peer_whose_table_is_a_sample_is_asked_for_some_and_ours_for_all_it_lacks() -> None:
    play = Play("a", "b")
    play.hear("a", wire.Neighbour("ask", 0, b""))
    assert play.said(wire.Spread, "a")[-1].pull
    play.hear("a", wire.Neighbour("ask", 0, b"another!"))
    (known,) = play.said(wire.Known, "a")
    assert known.whole
    assert len(known.ages) == 3
    play.hear("a", wire.Known([(id_of("a"), 1, 1, 0), (id_of("b"), 1, 0, 0)], True))
    told = {each.origin for each in play.said(wire.Spread, "a")[0].facts}
    assert told == {id_of("b"), play.machine.member_id}


def test_the_age_of_one_that_is_gone_and_unknown_is_not_asked_for() -> None:
    play = Play("a")
    play.hear("a", wire.Known([(id_of("x"), 1, 1, 2), (id_of("y"), 1, 1, 3)]))
    assert play.said(wire.Known) == []
    play.hear("a", wire.Known([(id_of("z"), 1, 1, 0)]))
    assert play.said(wire.Known, "a")[0].ages == [(id_of("z"), 0, 0, 0)]


def test_a_large_table_is_told_in_frames_that_all_fit() -> None:
    names = [f"m{i}" for i in range(300)]
    play = Play()
    play.hear("a", wire.Spread([fact("a")], []))
    for start in range(0, 300, 100):
        facts = [fact(each, certificate=b"c" * 512) for each in names[start : start + 100]]
        play.hear("a", wire.Spread(facts, []))
    play.machine.members.bury(id_of("m7"), play.now)
    play.hear("a", wire.Spread([], [], True))
    frames = play.said(wire.Spread, "a")
    assert len(frames) == 3
    assert sum(len(each.facts) for each in frames) == 302
    assert all(len(wire.encode(each)) < wire.MAX_FRAME_BYTES for each in frames)


def test_facts_that_come_thick_go_on_together() -> None:
    play = Play("a", "b")
    for name in ("a", "b"):
        play.hear(name, wire.Neighbour("ask", 0))
    play.now = 1.0
    play.hear("a", wire.Spread([fact("c")], []))
    assert [each.origin for each in play.said(wire.Spread, "b")[-1].facts] == [id_of("c")]
    for name in ("d", "e"):
        play.hear("a", wire.Spread([fact(name)], []))
    play.fire("flush", 0.02)
    told = [each.origin for each in play.said(wire.Spread, "b")[0].facts]
    assert sorted(told) == sorted([id_of("d"), id_of("e")])
    assert play.said(wire.Spread, "a") == []


def test_a_frame_over_the_limit_is_refused_both_ways() -> None:
    with pytest.raises(WireError, match="send less"):
        wire.encode(wire.Ask(1, "k", b"x" * wire.MAX_FRAME_BYTES))
    with pytest.raises(WireError, match="at most"):
        wire.decode(b"x" * (wire.MAX_FRAME_BYTES + 1))


def test_one_for_whom_there_is_no_room_is_not_known() -> None:
    names = [f"m{i}" for i in range(16)]
    play = Play(*names, members_known=16)
    play.machine.members.asked = [id_of(each) for each in names]
    play.hear("m0", wire.Spread([fact("late")], []))
    assert play.sees("late") == ""
    assert play.did(fx.Reach) == []
    assert play.machine.members.refused == 1


def test_to_one_that_is_forgotten_nothing_is_said_of_links() -> None:
    play = Play("a")
    play.hear("a", wire.Neighbour("ask", 0))
    play.machine.members.forget(id_of("a"))
    play.machine.overlay.affirm(play.now)
    assert play.machine.out.drain() == []
    play.fire("retry")
    assert play.machine.overlay.active == []


def test_a_death_is_told_to_a_newcomer_though_its_witnesses_are_gone_themselves() -> None:
    play = Play("x", "a", "b")
    play.hear("a", wire.Spread([], [doubt("a", "x", sure=True), doubt("b", "x", sure=True)]))
    assert play.sees("x") == "dead"
    play.hear("c", wire.Spread([fact("c")], [], True))
    assert sum(len(each.doubts) for each in play.said(wire.Spread, "c")) == 2
    play.hear("a", wire.Spread([fact("a", 1, 2, left=True), fact("b", 1, 2, left=True)], []))
    play.hear("c", wire.Spread([fact("c")], [], True))
    (told,) = [each for each in play.said(wire.Spread, "c") if each.doubts]
    assert play.machine.member_id in {each.origin for each in told.doubts}
    late = Play()
    late.machine.member_id = late.machine.members.me = id_of("late")
    late.hear("me", told)
    assert late.sees("x") == "suspect"


def test_the_doubts_of_one_that_we_hear_and_others_do_not_are_bounded() -> None:
    names = [f"m{i}" for i in range(40)]
    play = Play("x", *names)
    play.hear("m0", wire.Spread([], [doubt("m0", "x", sure=True)]))
    play.now += 1.0
    play.hear("x", wire.Ack(1))
    play.hear("m0", wire.Spread([], [doubt(each, "x", sure=True) for each in names]))
    assert play.sees("x") == "suspect"
    assert len(play.machine.members.views[id_of("x")].doubts) == MAX_DOUBTS
