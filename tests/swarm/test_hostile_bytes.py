"""Arbitrary bytes at every door of a real member's transport: counted by name, never raised."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator

import msgspec
import pytest
import zmq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from zmq.utils import z85

from mtor_swarm.config import SwarmConfig
from mtor_swarm.swarm import keyring, transport
from mtor_swarm.swarm.addresses import split
from mtor_swarm.swarm.certificates import revocation
from mtor_swarm.swarm.gossip import wire
from mtor_swarm.swarm.gossip.effects import Reach
from mtor_swarm.swarm.identity import Identity
from mtor_swarm.swarm.transport import Transport

pytestmark = pytest.mark.timeout(120)
LATER = time.time() + 10_000
PING = wire.encode(wire.Ping(1))
CORPUS = [
    b"",
    b"\xc1",
    PING[:-1],
    PING + b"\0",
    b"\x93\x03\x01\xc3",
    b"\x92" * 5000,
    msgspec.msgpack.encode([2, [[]] * 300, []]),
    msgspec.msgpack.encode([99, 1]),
    wire.encode(wire.Spread([], [])),
    bytes(wire.MAX_FRAME_BYTES),
]
WHATEVER = st.lists(st.binary(max_size=200) | st.sampled_from(CORPUS), min_size=1, max_size=4)
QUICK = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


class Door:
    """A member's transport, and someone rude who speaks to it."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self.address = transport.open()
        self.context = zmq.Context()

    def dealer(self, name: bytes = b"", keys=None, identity=None) -> zmq.Socket:
        made = self.context.socket(zmq.DEALER)
        made.linger = 0
        if name:
            made.routing_id = name
        if keys is not None:
            made.curve_serverkey = z85.encode(keys.swarm.public)
            made.curve_publickey = z85.encode(identity.link_public)
            made.curve_secretkey = z85.encode(identity.link_secret)
        made.connect(self.address)
        return made

    def heard(self, enough) -> list:
        """All that came until `enough` says so; a minute at most."""
        found, end = [], time.monotonic() + 60
        while not enough(found):
            assert time.monotonic() < end, self.transport.counters.all()
            found += self.transport.poll(0.05)
        return found

    def count(self, *names: str) -> int:
        counts = self.transport.counters.all()
        return sum(counts.get(each, 0) for each in names)

    def close(self) -> None:
        self.context.destroy(linger=0)
        self.transport.close()


@pytest.fixture
def door() -> Iterator[Door]:
    made = Door(Transport(SwarmConfig(), Identity.ephemeral()))
    yield made
    made.close()


@pytest.fixture
def keys(tmp_path):
    keyring.new_swarm(tmp_path / "home")
    for unit in ("r1", "r2"):
        keyring.issue(tmp_path / "home", unit, None, tmp_path / unit, LATER)
    return tmp_path


@pytest.fixture
def locked(keys) -> Iterator[Door]:
    mine = keyring.read(keys / "r1")
    made = Door(Transport(SwarmConfig(), Identity.load(keys / "r1/identity.key"), keys=mine))
    yield made
    made.close()


@QUICK
@given(messages=st.lists(WHATEVER, min_size=1, max_size=5))
def test_whatever_comes_over_a_link_is_a_frame_or_is_counted(door, messages) -> None:
    before = door.count("garbage")
    with door.dealer(b"0" * 32) as rude:
        for parts in messages:
            rude.send_multipart(parts)
        door.heard(lambda found: len(found) + door.count("garbage") - before == len(messages))


def test_a_frame_that_is_too_large_ends_its_connection_and_nothing_else(door) -> None:
    with door.dealer(b"1" * 32) as rude, door.dealer(b"2" * 32) as other:
        rude.send(bytes(2 * wire.MAX_FRAME_BYTES))
        other.send(PING)
        heard = door.heard(lambda found: len(found) >= 1)
    assert [each.sender for each in heard] == ["2" * 32]


@QUICK
@given(raw=st.binary(min_size=1, max_size=500))
def test_whatever_comes_by_tcp_harms_nobody(door, raw) -> None:
    with socket.create_connection(split(door.address)) as rude, contextlib.suppress(OSError):
        rude.sendall(raw)
    door.transport.poll(0.0)


def test_who_connects_and_says_nothing_is_hung_up_on(monkeypatch) -> None:
    monkeypatch.setattr(transport, "HANDSHAKE_MS", 100)
    door = Door(Transport(SwarmConfig(), Identity.ephemeral()))
    with socket.create_connection(split(door.address), timeout=60) as mute:
        door.heard(lambda found: door.count("links broken off") == 1)
        while mute.recv(64):  # our own greeting
            pass
    door.close()


def test_no_link_waits_while_a_name_is_looked_up(door) -> None:
    """A resolver that does not answer holds up its thread of ZeroMQ for 10 s, each time."""
    named, other = (door.transport._connect(f"tcp://{e}:1") for e in ("localhost", "127.0.0.1"))
    assert not named.dealer.affinity & (other.dealer.affinity | door.transport._router.affinity)
    assert other.dealer.affinity


@QUICK
@given(raw=st.binary(max_size=1500))
def test_whatever_comes_by_udp_is_counted(door, raw) -> None:
    names = ("datagrams of strangers", "datagrams forged")
    before = door.count(*names)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as rude:
        rude.sendto(raw, ("127.0.0.1", door.transport.port))
        door.heard(lambda found: door.count(*names) == before + 1)


def test_junk_inside_a_sealed_datagram_is_counted(door) -> None:
    peer = Transport(SwarmConfig(), Identity.ephemeral())
    address = peer.open()
    ids = [each._identity for each in (door.transport, peer)]
    places = [(door.address, door.transport.port), (address, peer.port)]
    reach = [
        Reach(where, each.member_id, 1, each.link_public, port)
        for each, (where, port) in zip(ids, places, strict=True)
    ]
    door.transport.reach(reach[1])
    peer.reach(reach[0])
    assert peer._datagrams is not None
    junk = [each for each in CORPUS if 0 < len(each) < 1000][:5]
    for raw in junk:
        assert peer._datagrams.send(door.address, raw, time.monotonic())
    door.heard(lambda found: door.count("garbage") == len(junk))
    peer.close()


@QUICK
@given(parts=st.lists(st.binary(max_size=64), min_size=1, max_size=12))
def test_whatever_is_asked_of_zap_is_answered_or_ignored(locked, parts) -> None:
    with locked.transport._context.socket(zmq.DEALER) as rude:
        rude.linger = 0
        rude.connect("inproc://zeromq.zap.01")
        rude.send_multipart(parts)
        locked.transport.poll(0.05)


@QUICK
@given(messages=st.lists(WHATEVER, min_size=1, max_size=3))
def test_strangers_are_not_heard_whatever_they_say(locked, keys, messages) -> None:
    with locked.dealer(keys=keyring.read(keys / "r1"), identity=Identity.ephemeral()) as rude:
        names = ("garbage", "strangers")
        before = locked.count(*names)
        for parts in messages:
            rude.send_multipart(parts)
        found = locked.heard(lambda found: locked.count(*names) == before + len(messages))
        assert found == []


def fact(folder, unit: str) -> wire.Fact:
    whose = Identity.load(folder / unit / "identity.key")
    return wire.Fact(
        whose.public_key,
        b"",
        boot=1,
        incarnation=1,
        address="tcp://127.0.0.1:1",
        unit=unit,
        role="unit",
        started_s=0.0,
        link=whose.link_public,
        certificate=(folder / unit / "certificate").read_bytes(),
    )


def test_a_link_speaks_for_its_owner_whatever_name_it_takes(locked, keys) -> None:
    r2 = Identity.load(keys / "r2/identity.key")
    hello = wire.encode(wire.Spread([fact(keys, "r2")], []))
    with locked.dealer(b"f" * 32, keyring.read(keys / "r2"), r2) as link:
        link.send(PING)
        link.send(hello)
        link.send(PING)
        heard = locked.heard(lambda found: len(found) == 2)
    assert {each.sender for each in heard} == {r2.member_id}
    assert locked.count("strangers") == 1


def test_another_ones_certificate_opens_nothing(locked, keys) -> None:
    hello = wire.encode(wire.Spread([fact(keys, "r2")], []))
    with locked.dealer(keys=keyring.read(keys / "r2"), identity=Identity.ephemeral()) as thief:
        thief.send(hello)
        thief.send(PING)
        assert locked.heard(lambda found: locked.count("strangers") == 2) == []


def test_a_revoked_link_is_hung_up_on_and_not_let_in_again(locked, keys) -> None:
    r2 = Identity.load(keys / "r2/identity.key")
    authority = locked.transport.authority
    with locked.dealer(keys=keyring.read(keys / "r2"), identity=r2) as link:
        link.send(wire.encode(wire.Spread([fact(keys, "r2")], [])))
        locked.heard(lambda found: len(found) == 1)
        authority.revoke(revocation(r2.member_id, Identity.load(keys / "home/sysop.key"), LATER))
        link.send(PING)
        assert locked.heard(lambda found: locked.count("handshakes refused") >= 1) == []
    assert locked.count("certificate revoked") >= 2


def test_datagrams_of_one_who_is_believed_no_more_are_not_heard(locked, keys) -> None:
    r2 = Identity.load(keys / "r2/identity.key")
    peer = Transport(SwarmConfig(), r2, keys=keyring.read(keys / "r2"))
    address = peer.open()
    mine, authority = locked.transport._identity, locked.transport.authority
    peer.reach(Reach(locked.address, mine.member_id, 0, mine.link_public, locked.transport.port))
    locked.transport.reach(Reach(address, r2.member_id, 0, r2.link_public, peer.port))
    assert authority.admit(fact(keys, "r2"), time.time()) == ""
    peer.send(locked.address, wire.Ping(1))
    locked.heard(lambda found: len(found) == 1)
    authority.revoke(revocation(r2.member_id, Identity.load(keys / "home/sysop.key"), LATER))
    peer.send(locked.address, wire.Ping(2))
    assert locked.heard(lambda found: locked.count("certificate revoked") == 1) == []
    peer.close()


def test_ipv6_links_and_datagrams_work_as_ipv4_ones_do() -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError as error:
        pytest.skip(f"no IPv6 on loopback here: {error}")
    door = Door(Transport(SwarmConfig(bind="tcp://[::1]:*"), Identity.ephemeral()))
    mine = Identity.ephemeral()
    peer = Transport(SwarmConfig(bind="tcp://[::1]:*"), mine)
    address = peer.open()
    peer.send(door.address, wire.Ping(1), reliable=True)
    theirs = door.transport._identity
    peer.reach(Reach(door.address, theirs.member_id, 1, theirs.link_public, door.transport.port))
    door.transport.reach(Reach(address, mine.member_id, 1, mine.link_public, peer.port))
    peer.send(door.address, wire.Ping(2))
    heard = door.heard(lambda found: len(found) == 2)
    assert {each.frame.number for each in heard} == {1, 2}
    assert not door.count("garbage", "datagrams of strangers", "datagrams forged")
    peer.close()
    door.close()
