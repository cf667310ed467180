from __future__ import annotations

import msgspec
import pytest

from mtor_swarm import events
from mtor_swarm.errors import WireError
from mtor_swarm.swarm.gossip import records
from mtor_swarm.swarm.gossip.store import Store
from mtor_swarm.swarm.simnet.keys import HashKeys
from tests.unit.news_play import STOP, header_of, key_of, record

# --- records


def test_a_record_is_read_as_it_was_made_and_checked_by_the_bytes_that_came():
    made = record(3)
    read = records.read(records.unpack(made.raw), made.raw)
    assert read == made
    assert (read.seq, read.priority) == (3, events.NOTICE)
    assert records.is_genuine(read, HashKeys("a"))
    forged = msgspec.structs.replace(
        read, packed=msgspec.structs.replace(read.packed, signature=b"x" * 32)
    )
    assert not records.is_genuine(forged, HashKeys("a"))


def test_a_header_without_its_payload_is_still_genuine():
    proof = header_of(record(3))
    assert proof.packed.payload is None
    assert records.is_genuine(proof, HashKeys("a"))


def test_another_payload_under_a_genuine_header_is_refused():
    made = record(3)
    raw = msgspec.msgpack.encode(msgspec.structs.replace(made.packed, payload=b"other"))
    with pytest.raises(WireError, match="payload"):
        records.read(records.unpack(raw), raw)


def test_what_is_no_record_or_has_no_header_is_refused():
    with pytest.raises(WireError, match="not a record"):
        records.unpack(b"\xc1")
    raw = msgspec.msgpack.encode([b"\xc1", b"", None])
    with pytest.raises(WireError, match="header"):
        records.read(records.unpack(raw), raw)


# --- the store


def test_the_store_lets_go_of_the_oldest_beyond_its_number():
    store = Store(2, 100.0)
    for seq in (1, 2, 3):
        store.add(record(seq), 0.0)
    assert [(key, seq) for key, seq, _ in store.expire(0.0)] == [(key_of("a"), 1)]
    assert len(store) == 2
    assert store.get(key_of("a"), 1) is None
    assert store.get(key_of("a"), 2) == record(2).raw


def test_the_oldest_goes_first_whatever_its_type():
    store = Store(1, 100.0)
    store.add(record(1, type=STOP, channel="stop"), 0.0)
    store.add(record(1), 1.0)
    assert [key for key, _, _ in store.expire(1.0)] == [key_of("a", channel="stop")]


def test_each_type_is_kept_for_its_own_time_and_unknown_ones_together():
    store = Store(99, 300.0)
    store.add(record(1, type=STOP, channel="stop"), 0.0)
    store.add(record(1), 0.0)
    store.add(record(2, type="their.own"), 0.0)
    store.add(record(3, type="their.other"), 0.0)
    assert [seq for _, seq, _ in store.expire(events.COMMAND_S)] == [1]
    assert not store.holds(key_of("a", channel="stop"))
    assert [seq for _, seq, _ in store.expire(300.0)] == [1, 2, 3]


def test_no_type_takes_more_bytes_than_its_share():
    store = Store(999, 300.0)
    size = len(record(1, payload=b"p" * 60000).raw)
    for seq in range(1, 2 + events.KEEP_BYTES // size):
        store.add(record(seq, payload=b"p" * 60000), 0.0)
    assert [seq for _, seq, _ in store.expire(0.0)] == [1]


def test_a_dropped_streams_records_are_nobodys_when_they_expire():
    store = Store(9, 300.0)
    store.add(record(1), 0.0)
    store.drop(key_of("a"))
    assert not store.holds(key_of("a"))
    assert store.expire(300.0) == []
    assert len(store) == 0


def test_a_part_of_a_stream_comes_in_order_and_bounded():
    store = Store(9, 300.0)
    for seq in (5, 2, 4, 3):
        store.add(record(seq), 0.0)
    assert [seq for seq, _ in store.within(key_of("a"), 3, 9, 2)] == [3, 4]
