from __future__ import annotations

import errno
import random
import socket
from collections import Counter

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from mtor_swarm.swarm import datagrams, delivery
from mtor_swarm.swarm.datagrams import KEPT_S, Datagrams, Session
from mtor_swarm.swarm.delivery import (
    GIVE_UP,
    LOSS_PACKETS,
    SURE_S,
    TRIAL_S,
    Confirmations,
    Loss,
    Window,
)
from mtor_swarm.swarm.gossip.effects import Reach
from mtor_swarm.swarm.identity import Identity

LATER = 1e9
A, B = Identity.ephemeral(), Identity.ephemeral()


def at(identity: Identity, boot: int = 1, port: int = 9) -> Reach:
    return Reach(f"tcp://127.0.0.1:{port}", identity.member_id, boot, identity.link_public, port)


# --- counters


@given(st.lists(st.integers(1, 3000), max_size=60), st.integers(0, 2**60))
def test_each_counter_passes_once_in_whatever_order(counters, start) -> None:
    window, passed, highest = Window(), set(), 0
    for each in counters:
        fresh = each not in passed and each > highest - Window.WIDTH
        assert window.admit(start + each) == fresh
        passed.add(each)
        highest = max(highest, each)
    assert window.highest == (start + highest if counters else 0)


def measured(lost: float, packets: int, smooth: int = LOSS_PACKETS) -> tuple[Loss, list[float]]:
    rng, window, loss = random.Random(4), Window(), Loss(smooth)
    told = []
    for counter in range(10**6, 10**6 + packets):
        if rng.random() >= lost:
            loss.took(window.ahead(counter))
            window.admit(counter)
            told += [share for share in [loss.news()] if share is not None]
    return loss, told


def test_lost_packets_are_told_from_the_counters() -> None:
    loss, told = measured(0.3, 3000, smooth=200)
    assert loss.share == pytest.approx(0.3, abs=0.1)
    assert told[-1] == pytest.approx(0.3, abs=0.1)
    assert 1 < len(told) < 40


def test_where_nothing_is_lost_nothing_is_told() -> None:
    assert measured(0.0, 500)[1] == []


def test_a_loss_that_ends_is_told_to_have_ended() -> None:
    loss = Loss(LOSS_PACKETS)
    loss.took(2)
    assert loss.news() == pytest.approx(0.05, abs=0.01)
    for _ in range(100):
        loss.took(1)
    assert [loss.news(), loss.news()] == [0.0, None]


def test_a_packet_that_comes_late_was_not_lost() -> None:
    window, loss = Window(), Loss(LOSS_PACKETS)
    for counter in (1, 3, 2):
        loss.took(window.ahead(counter))
        assert window.admit(counter)
    assert loss.share < 0.01


def test_what_arrives_surely_asks_nothing() -> None:
    out = Confirmations()
    assert out.send(0.0) == (1, True, True)
    out.heard(1, 1, 0.1)
    assert [out.send(each) for each in (1.0, 1.4)] == [(2, False, False), (3, False, False)]
    assert out.send(1.6) == (4, True, True)
    out.heard(4, 1, 1.7)
    assert out.send(1.8 + SURE_S) == (5, True, True)
    assert out.send(1.8 + SURE_S) == (6, True, False)


def test_a_confirmation_of_what_was_never_sent_is_no_news() -> None:
    out = Confirmations(100)
    out.send(0.0)
    for lie in (0, 100, 102):
        assert out.heard(lie, 1, 0.1) is None
    assert not out.is_confirmed(101)
    assert out.heard(101, 1, 0.2) == 0.2
    assert out.is_confirmed(101)


def test_what_must_arrive_is_confirmed_by_name() -> None:
    out = Confirmations()
    out.send(0.0)
    out.heard(1, 1, 0.0)
    assert out.send(0.1, must=True) == (2, True, True)
    assert out.send(0.1, must=True) == (3, True, True)
    out.send(0.1)
    out.heard(4, 0b1011, 0.2)
    assert [out.is_confirmed(n) for n in (1, 2, 3, 4, 5)] == [True, False, True, True, False]
    for _ in range(99):
        out.send(0.2)
    out.heard(103, 2**32 - 1, 0.3)
    assert [out.is_confirmed(n) for n in (71, 72)] == [False, True]


@given(st.sets(st.integers(1, 60), min_size=1))
def test_a_window_says_which_of_the_last_came(counters) -> None:
    window = Window()
    for each in counters:
        window.admit(each)
    last = max(counters)
    for behind in range(32):
        assert bool(window.came >> behind & 1) == (last - behind in counters)


def test_who_never_confirms_is_blocked_until_a_trial_is_confirmed() -> None:
    out = Confirmations()
    for number in range(GIVE_UP):
        assert not out.blocked
        for _ in range(100):
            out.send(0.1 * number)
    assert out.blocked
    assert [out.is_trial_due(t) for t in (1.0, 1.0, 1.0 + TRIAL_S)] == [True, False, True]
    out.heard(100 * GIVE_UP, 1, 4.0)
    assert not out.blocked


def test_a_confirmation_waits_for_none_itself() -> None:
    out = Confirmations()
    out.send(0.0)
    out.heard(1, 1, 0.1)
    assert out.confirm() == 2
    assert out.send(5.0) == (3, False, False)


# --- sealing


def pair(boot: int = 1) -> tuple[Session, Session]:
    ends = Session(A, at(B, boot), 1.0), Session(B, at(A), 1.0)
    for end, each in zip(ends, (A, B), strict=True):
        assert end.agree(X25519PrivateKey.from_private_bytes(each.link_secret))
    return ends


def test_a_packet_opens_at_its_receiver_alone() -> None:
    a, b = pair()
    packet = a.seal(7, True, b"frame")
    assert packet[:8] == b.name
    assert b.open(packet) == (7, True, (0, 0), b"frame")
    assert a.open(packet) is None


def test_a_packet_to_another_boot_does_not_open() -> None:
    a, b = pair(boot=2)
    packet = a.seal(1, False, b"frame")
    assert packet[:8] != b.name
    assert b.open(packet) is None


@given(st.data())
def test_a_packet_that_was_touched_does_not_open(data) -> None:
    a, b = pair()
    packet = bytearray(a.seal(1, False, b"frame"))
    for place in data.draw(st.sets(st.integers(0, len(packet) - 1), min_size=1)):
        packet[place] ^= data.draw(st.integers(1, 255))
    assert b.open(bytes(packet)) is None


@given(st.binary(max_size=64))
def test_whatever_comes_opens_or_does_not(junk) -> None:
    assert pair()[1].open(junk) is None


# --- sockets


class Ends:
    """Two members' sockets on loopback, that know how to reach each other."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.a, self.b = (
            Datagrams(each, "127.0.0.1", 0, lambda what: self.counts.update([what]))
            for each in (A, B)
        )
        self.to_b, self.to_a = at(B, port=self.b.port), at(A, port=self.a.port)
        self.a.reach(self.to_b, "127.0.0.1")
        self.b.reach(self.to_a, "127.0.0.1")

    def __enter__(self) -> Ends:
        return self

    def __exit__(self, *ended: object) -> None:
        self.a.close()
        self.b.close()


def test_frames_go_both_ways_and_are_confirmed() -> None:
    with Ends() as ends:
        assert ends.a.send(ends.to_b.address, b"one", 0.0)
        assert ends.b.receive(0.0) == ([(A.member_id, b"one")], [])
        ends.b.settle(LATER)
        assert ends.a.receive(0.0) == ([], [])
        assert ends.a.overdue(KEPT_S) == []
        assert ends.b.send(ends.to_a.address, b"two", 0.0)
        assert ends.a.receive(0.0) == ([(B.member_id, b"two")], [])
        assert not ends.counts


def test_what_nobody_confirms_goes_another_way_and_then_all_does() -> None:
    with Ends() as ends:
        ends.b.forget(A.member_id)
        for number in range(GIVE_UP):
            assert ends.a.send(ends.to_b.address, b"%d" % number, float(number))
            assert ends.a.due == number + KEPT_S
            assert ends.a.overdue(number + 0.05) == []
            assert ends.a.overdue(number + KEPT_S) == [(ends.to_b.address, b"%d" % number)]
        assert not ends.a.send(ends.to_b.address, b"more", 10.0)
        assert not ends.a.send(ends.to_b.address, b"more", 10.0)
        ends.b.receive(10.0)
        assert ends.counts["datagrams of strangers"] == GIVE_UP + 1
        ends.b.reach(ends.to_a, "127.0.0.1")
        assert not ends.a.send(ends.to_b.address, b"more", 10.0 + TRIAL_S)
        ends.b.receive(10.0 + TRIAL_S)
        ends.b.settle(LATER)
        ends.a.receive(10.0 + TRIAL_S)
        assert ends.a.send(ends.to_b.address, b"again", 10.0 + TRIAL_S)


def test_a_replayed_packet_is_counted_and_not_heard() -> None:
    with Ends() as ends, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as thief:
        packet = pair_packet(ends)
        for _ in range(3):
            thief.sendto(packet, ("127.0.0.1", ends.b.port))
        assert ends.b.receive(0.0)[0] == [(A.member_id, b"stolen")]
        assert ends.counts == {"datagrams replayed": 2}


def pair_packet(ends: Ends) -> bytes:
    session = next(iter(ends.a._sessions.values()))
    ends.a._agree(session)
    return session.seal(10**15, False, b"stolen")


def test_junk_at_the_port_is_counted_by_name_and_never_raises() -> None:
    rng = random.Random(5)
    with Ends() as ends, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as rude:
        real = pair_packet(ends)
        junk = [b"", b"\0", rng.randbytes(24), rng.randbytes(1500), rng.randbytes(9000)]
        junk += [real[:n] for n in range(8, len(real), 5)] + [real[:8] + rng.randbytes(60)]
        for each in junk:
            rude.sendto(each, ("127.0.0.1", ends.b.port))
        assert ends.b.receive(0.0) == ([], [])
        assert ends.counts["datagrams of strangers"] == 5
        assert ends.counts["datagrams forged"] == len(junk) - 5


def test_what_does_not_fit_or_leads_nowhere_goes_another_way() -> None:
    with Ends() as ends:
        assert not ends.a.send(ends.to_b.address, bytes(delivery.DATAGRAM_BYTES + 1), 0.0)
        assert not ends.a.send("tcp://127.0.0.1:1", b"x", 0.0)
        ends.a.reach(at(B, port=0), "127.0.0.1")
        assert not ends.a.send(ends.to_b.address, b"x", 0.0)
        ends.a.reach(ends.to_b, "255.255.255.255")
        assert not ends.a.send(ends.to_b.address, b"x", 0.0)
        assert ends.counts == {f"datagrams not sent: {errno.errorcode[errno.EACCES]}": 1}


def test_a_member_that_moves_keeps_its_counters_and_one_that_restarts_does_not() -> None:
    with Ends() as ends:
        session = ends.a._sessions[B.member_id]
        ends.a.reach(at(B, port=5), "127.0.0.1")
        assert ends.a._sessions[B.member_id] is session
        assert not ends.a.send(ends.to_b.address, b"x", 0.0)
        ends.a.reach(at(B, boot=2, port=5), "127.0.0.1")
        assert ends.a._sessions[B.member_id] is not session


def test_who_comes_to_anothers_address_stays_there_when_that_one_is_forgotten() -> None:
    with Ends() as ends:
        heir = Identity.ephemeral()
        ends.a.reach(at(heir, port=ends.b.port), "127.0.0.1")
        ends.a.forget(B.member_id)
        ends.a.send(ends.to_b.address, b"x", 0.0)
        assert ends.b.receive(0.0) == ([], [])
        assert ends.counts == {"datagrams of strangers": 1}


def test_a_link_key_that_nobody_can_agree_on_is_refused() -> None:
    with Ends() as ends:
        ends.a.reach(Reach("tcp://127.0.0.1:7", "f" * 32, 1, bytes(32), 7), "127.0.0.1")
        for _ in range(2):
            assert not ends.a.send("tcp://127.0.0.1:7", b"x", 0.0)
        assert ends.counts == {"link keys refused": 1}


def test_sessions_are_bounded(monkeypatch) -> None:
    monkeypatch.setattr(datagrams, "MAX_SESSIONS", 1)
    with Ends() as ends:
        other = Identity.ephemeral()
        ends.a.reach(at(other, port=7), "127.0.0.1")
        assert not ends.a.send(ends.to_b.address, b"x", 0.0)
        assert ends.a.send(at(other, port=7).address, b"x", 0.0)


def test_a_new_link_key_is_agreed_on_with_everyone() -> None:
    with Ends() as ends:
        fresh = A.with_new_link()
        ends.a.rekey(fresh)
        ends.a.send(ends.to_b.address, b"too early", 0.0)
        assert ends.b.receive(0.0)[0] == []
        assert ends.counts == {"datagrams of strangers": 1}  # and none that looks forged
        ends.b.reach(at(fresh, port=ends.a.port), "127.0.0.1")
        assert ends.a.send(ends.to_b.address, b"x", 0.0)
        assert ends.b.receive(0.0)[0] == [(A.member_id, b"x")]


def test_losses_on_the_way_are_told_of_their_sender() -> None:
    rng = random.Random(6)
    with Ends() as ends:
        session = ends.a._sessions[B.member_id]
        ends.a._agree(session)
        told = []
        for _ in range(10 * LOSS_PACKETS):
            counter, _, asks = session.out.send(0.0)
            if rng.random() > 0.5:
                ends.a._put(session, session.seal(counter, asks, b"x"))
            told += ends.b.receive(0.0)[1]
        assert {each.member for each in told} == {A.member_id}
        assert 0.2 < told[-1].share < 0.8


def test_what_is_lost_of_everybody_is_held_for_likely_of_those_who_said_little() -> None:
    other = Identity.ephemeral()
    with Ends() as ends:
        quiet = Datagrams(other, "127.0.0.1", 0, str)
        ends.b.reach(at(other, port=quiet.port), "127.0.0.1")
        ends.b.reach(at(Identity.ephemeral(), port=7), "127.0.0.1")
        quiet.reach(ends.to_b, "127.0.0.1")
        quiet.send(ends.to_b.address, b"x", 0.0)
        session = ends.a._sessions[B.member_id]
        ends.a._agree(session)
        told = []
        for _ in range(3 * LOSS_PACKETS):
            session.out.confirm()
            ends.a._put(session, session.seal(session.out.confirm(), False, b"x"))
            told += ends.b.receive(0.0)[1]
        quiet.close()
        assert {each.member for each in told} == {A.member_id, other.member_id}


def test_a_port_that_is_taken_is_no_hindrance() -> None:
    with Ends() as ends:
        other = Datagrams(A, "127.0.0.1", ends.a.port, str)
        assert other.port not in (0, ends.a.port)
        other.close()


def test_a_flood_is_read_in_bounded_batches(monkeypatch) -> None:
    monkeypatch.setattr(datagrams, "MAX_BATCH", 3)
    monkeypatch.setattr(datagrams, "MAX_KEPT", 2)
    with Ends() as ends:
        for _ in range(4):
            ends.a.send(ends.to_b.address, b"x", 0.0)
        assert [len(ends.b.receive(0.0)[0]) for _ in range(3)] == [3, 1, 0]
        assert len(ends.a.overdue(1.0)) == 2
        ends.b.send(ends.to_a.address, b"x", 0.0)
        ends.b.forget(A.member_id)
        ends.b.settle(LATER)
        assert ends.b.overdue(1.0) == []


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 in this Python")
def test_ipv6_carries_datagrams_too() -> None:
    try:
        end = Datagrams(A, "::1", 0, str)
    except OSError as error:
        pytest.skip(f"no IPv6 on loopback here: {error}")
    end.reach(Reach("tcp://[::1]:1", B.member_id, 1, B.link_public, end.port), "::1")
    assert end.send("tcp://[::1]:1", b"x", 0.0)
    end.close()
