from __future__ import annotations

from mtor_swarm import events
from mtor_swarm.swarm.gossip import repair, streams
from tests.unit.news_play import STOP, answered, header_of, key_of, record, repairs, seqs

# --- order, gaps


def test_records_come_out_in_order_each_once():
    here = repairs()
    assert seqs(here.add(record(2), 0.0)) == []
    assert not here.is_new(key_of("a"), 2)
    assert here.streams.held == 1
    assert seqs(here.add(record(1), 0.0)) == [1, 2]
    assert (here.streams.held, here.streams.held_bytes) == (0, 0)
    assert not here.is_new(key_of("a"), 1)
    assert here.is_new(key_of("a"), 3)


def test_what_waits_for_an_earlier_one_is_bounded_over_all_streams(monkeypatch):
    monkeypatch.setattr(repair, "MAX_AHEAD", 2)
    here = repairs()
    here.add(record(5, "a"), 0.0)
    here.add(record(5, "b"), 0.0)
    assert not here.is_new(key_of("a"), 7)
    assert not here.is_new(key_of("c"), 7)
    assert here.is_new(key_of("c"), 1)
    assert here.is_new(key_of("a"), 1)


def test_what_waits_is_bounded_in_bytes(monkeypatch):
    monkeypatch.setattr(repair, "MAX_AHEAD_BYTES", 100)
    here = repairs()
    here.add(record(5), 0.0)
    assert not here.is_new(key_of("a"), 7)


def test_a_peers_word_alone_makes_no_stream_and_moves_none():
    here = repairs()
    spans, behind = here.compare([(*key_of("a"), 99)], False)
    assert spans == [(*key_of("a"), 1, 99)]
    assert not behind
    assert here.passed([(*key_of("a"), 99)], 0, 100.0) == []
    assert len(here.streams) == 0
    assert here.compare([(*key_of("a"), 0)], False) == ([], False)
    here.add(record(1), 0.0)
    assert here.passed([(*key_of("a"), 99)], 0, 100.0) == []
    assert here.streams.recent() == [(*key_of("a"), 1)]


def test_the_holes_of_a_stream_are_wanted_and_no_more_than_a_peer_has():
    here = repairs()
    for seq in (1, 3, 6):
        here.add(record(seq), 0.0)
    assert here.compare([(*key_of("a"), 7)], False)[0] == [
        (*key_of("a"), 2, 2),
        (*key_of("a"), 4, 5),
        (*key_of("a"), 7, 7),
    ]
    assert here.compare([(*key_of("a"), 2)], False) == ([(*key_of("a"), 2, 2)], False)
    assert here.compare([(*key_of("a"), 1)], False) == ([], False)


def test_a_peer_is_behind_with_a_lower_head_or_without_a_stream():
    here = repairs()
    here.add(record(1), 0.0)
    assert here.compare([(*key_of("a"), 0)], True) == ([], True)
    assert here.compare([], True) == ([], True)
    assert here.compare([], False) == ([], False)
    assert here.compare([(*key_of("a"), 1)], True) == ([], False)


def test_a_hole_that_nobody_fills_is_a_gap_after_a_while_told_in_order():
    here, there = repairs(), repairs(store_events=16)
    for seq in range(1, 30):
        there.add(record(seq), 0.0)
    here.add(record(1), 0.0)
    for seq in (4, 20):
        here.add(record(seq), 0.0)
    spans, _ = here.compare(there.streams.recent(), False)
    assert answered(here, there, spans, 1.0) == []
    spans, _ = here.compare(there.streams.recent(), False)
    told = answered(here, there, spans, repair.GAP_PATIENCE_S)
    assert told == [(2, 3), 4, (5, 13), *range(14, 30)]
    assert here.streams.held == 0


def test_what_waits_for_a_dead_origins_lost_event_is_told_when_nobody_can_have_that():
    here, other = repairs(live=False, store_age_s=60.0), repairs(live=False)
    for each in (here, other):
        each.add(record(1), 0.0)
        each.add(record(3), 0.0)
        each.add(record(4), 1.0)
    assert here.compare(other.streams.recent(), False) == ([], False)
    assert here.overdue(59.9) == []
    assert seqs(here.overdue(60.0)) == [(2, 2), 3, 4]
    assert here.overdue(99.0) == []
    assert answered(other, here, other.compare(here.streams.recent(), False)[0], 61.0) == [
        (2, 2),
        3,
        4,
    ]
    assert other.streams.held == 0


def test_a_stop_does_not_wait_long_for_a_lost_one():
    here = repairs(live=False)
    here.add(record(2, type=STOP, channel="stop"), 0.0)
    assert here.overdue(repair.GAP_PATIENCE_S) == []
    assert seqs(here.overdue(2 * repair.GAP_PATIENCE_S)) == [(1, 1), 2]


def test_what_waits_for_a_dead_origins_lost_event_is_shared_first():
    here, other = repairs(live=False), repairs(live=False)
    for each, waiting in ((here, (3, 5)), (other, (3, 4))):
        for seq in (1, *waiting):
            each.add(record(seq), 0.0)
    assert here.streams.digest() == other.streams.digest()
    for each in (here, other):
        assert each.overdue(repair.GAP_PATIENCE_S) == []
    for asker, server in ((here, other), (other, here)):
        assert asker.streams.digest() != server.streams.digest()
        spans, _ = asker.compare(server.streams.heads(9)[0], False)
        assert answered(asker, server, spans, repair.GAP_PATIENCE_S) == []
    assert here.streams.digest() == other.streams.digest()
    assert here.streams.held == other.streams.held == 3
    assert seqs(here.overdue(here.store.age_s)) == [(2, 2), 3, 4, 5]


def test_what_was_lost_before_a_member_began_is_passed_over_at_once_and_silently():
    here = repairs()
    here.learn(header_of(record(5, stamp=10)), 0.0)
    here.add(record(7, stamp=30), 0.0)
    assert seqs(here.passed([(*key_of("a"), 7)], 20, 0.0)) == []
    assert here.streams.recent() == [(*key_of("a"), 5)]
    assert seqs(here.add(record(6, stamp=25), 0.0)) == [6, 7]


def test_where_something_was_had_a_loss_of_before_is_told_at_once():
    here = repairs()
    here.add(record(1, stamp=5), 0.0)
    here.learn(header_of(record(3, stamp=10)), 0.0)
    assert seqs(here.passed([(*key_of("a"), 4)], 20, 0.0)) == [(2, 3)]


def test_a_header_without_payload_is_news_only_above_what_is_known():
    here = repairs()
    assert here.proves(header_of(record(3)))
    here.learn(header_of(record(3)), 0.0)
    assert not here.proves(header_of(record(3)))
    here.learn(header_of(record(4)), 1.0)
    here.add(record(1), 1.0)
    assert not here.proves(header_of(record(1)))
    assert here.compare([(*key_of("a"), 4)], False)[0] == [(*key_of("a"), 2, 4)]


def test_a_header_of_a_stream_that_finds_no_room_is_no_news(monkeypatch):
    here = repairs()
    monkeypatch.setattr(here.streams, "most", 0)
    assert not here.proves(header_of(record(3)))
    assert not here.is_new(key_of("a"), 1)
    assert here.compare([(*key_of("a"), 1)], False) == ([], False)


def test_what_came_by_itself_meanwhile_stands_between_the_gaps():
    here = repairs()
    for seq in (1, 3, 4, 9):
        here.add(record(seq), 0.0)
    told = here.passed([(*key_of("a"), 7)], 0, repair.GAP_PATIENCE_S)
    assert seqs(told) == [(2, 2), 3, 4, (5, 7)]


def test_what_expires_before_its_turn_is_delivered_and_proves_its_number():
    here, there = repairs(store_events=16), repairs()
    here.add(record(2), 0.0)
    for seq in range(1, 17):
        here.add(record(seq, "b"), 0.0)
    assert seqs(here.add(record(1), 0.0)) == [1, 2]
    here.expire(1000.0)
    spans, _ = there.compare(here.streams.recent(), False)
    assert answered(there, here, spans, 0.0) == []
    assert there.streams.get(key_of("a")).known == 2


# --- answers


def test_stops_are_served_first_and_by_themselves():
    there = repairs()
    there.add(record(1), 0.0)
    there.add(record(1, type="mtor.detection.seen", channel="bulk"), 0.0)
    there.add(record(1, type=STOP, channel="stop"), 0.0)
    every = ["events", "bulk", "stop"]
    served = there.serve([(*key_of("a", channel=each), 1, 9) for each in every])
    assert [priority for priority, _ in served] == [events.STOP, events.NOTICE]
    assert [len(frame.records) for _, frame in served] == [1, 2]
    assert not any(frame.more for _, frame in served)


def test_an_answer_is_bounded_and_says_that_there_is_more():
    there, here = repairs(), repairs()
    for seq in range(1, 201):
        there.add(record(seq), 0.0)
        there.add(record(seq, "b"), 0.0)
    told: list[int | tuple[int, int]] = []
    rounds = 0
    while spans := here.compare(there.streams.recent(), False)[0]:
        (_, frame) = there.serve(spans)[-1]
        assert len(frame.records) <= repair.MAX_REPAIR
        told += answered(here, there, spans, 0.0)
        rounds += 1
        assert frame.more or not here.compare(there.streams.recent(), False)[0]
    assert sorted(told) == sorted([*range(1, 201)] * 2)
    assert rounds == 7


def test_an_answer_is_bounded_in_bytes():
    there = repairs()
    for seq in range(1, 10):
        there.add(record(seq, payload=b"p" * 60000), 0.0)
    ((_, frame),) = there.serve([(*key_of("a"), 1, 9)])
    assert len(frame.records) == 5
    assert frame.upto == [(*key_of("a"), 5)]
    assert frame.more


def test_nothing_is_served_of_what_is_not_here():
    there = repairs()
    there.add(record(1), 0.0)
    assert there.serve([(*key_of("b"), 1, 9), (*key_of("a"), 2, 9)]) == []


# --- streams


def test_members_of_a_moment_deafen_nobody(monkeypatch):
    monkeypatch.setattr(streams, "MAX_STREAMS", 40)
    here = repairs(live=False, store_events=16)
    for number in range(100):
        whole = record(1, f"say{number}")
        assert here.is_new(whole.key, 1)
        assert seqs(here.add(whole, float(number))) == [1]
    assert len(here.streams) == 40
    assert here.streams.forgotten == 60


def test_live_members_streams_are_never_forgotten_for_others(monkeypatch):
    monkeypatch.setattr(streams, "MAX_STREAMS", 32)
    here = repairs(live=True, store_events=16)
    for number in range(32):
        here.add(record(1, f"m{number}"), 0.0)
    assert not here.is_new(key_of("late"), 1)
    here.streams.open(key_of("late"))
    assert len(here.streams) == 33


def test_of_one_origin_the_latest_boots_count():
    here = repairs()
    for boot in range(1, streams.MAX_OF_ONE + 1):
        here.add(record(1, boot=boot), 0.0)
    assert here.is_new(key_of("a", boot=99), 1)
    here.add(record(1, boot=99), 0.0)
    assert here.streams.get(key_of("a", boot=1)) is None
    assert not here.is_new(key_of("a", boot=1), 1)


def test_what_waits_in_a_boot_that_is_forgotten_takes_no_room():
    here = repairs()
    for boot in range(1, streams.MAX_OF_ONE + 2):
        here.add(record(2, boot=boot), 0.0)
    assert here.streams.held == streams.MAX_OF_ONE
    assert here.streams.held_bytes == here.streams.held * len(record(2).raw)


def test_a_forgotten_origin_leaves_nothing_behind(monkeypatch):
    monkeypatch.setattr(streams, "MAX_STREAMS", 32)
    here = repairs(live=False, store_events=16)
    for number in range(33):
        here.add(record(1, f"m{number}"), 0.0)
    assert here.is_new(key_of("m0"), 1)


def test_a_digest_is_of_what_is_stored_or_live_in_whatever_order():
    here, there, dead = repairs(), repairs(), repairs(live=False)
    for name in "abc":
        here.add(record(1, name), 0.0)
        dead.add(record(1, name), 0.0)
    for name in "cba":
        there.add(record(1, name), 0.0)
    assert here.streams.digest() == there.streams.digest() == dead.streams.digest()
    for each in (here, dead):
        each.expire(1000.0)
    assert here.streams.digest() == there.streams.digest()
    assert dead.streams.digest() == bytes(8)
    there.add(record(2), 0.0)
    assert here.streams.digest() != there.streams.digest()


def test_of_many_streams_each_is_told_in_turn_and_the_urgent_first():
    here = repairs()
    for number in range(20):
        here.add(record(1, f"m{number}"), 0.0)
    here.add(record(1, "m3", type=STOP, channel="stop"), 0.0)
    heads, whole = here.streams.heads(99)
    assert whole
    assert heads[0] == (*key_of("m3", channel="stop"), 1)
    told = set()
    for _ in range(10):
        heads, whole = here.streams.heads(6)
        assert not whole
        assert len(heads) == 6
        told |= set(heads)
    assert len(told) == 21


def test_what_moved_last_is_told_while_events_flow():
    here = repairs()
    for number in range(20):
        here.add(record(1, f"m{number}"), 0.0)
    assert here.streams.recent() == [
        (*key_of(f"m{number}"), 1) for number in range(20 - streams.RECENT, 20)
    ]
