"""The envelope and its codecs: what goes in comes out, and junk raises EventError alone."""

from __future__ import annotations

import contextlib
import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtor_swarm import errors, events
from mtor_swarm.errors import EventError
from mtor_swarm.events import Command, Event, TargetSeen, UnitChanged

SEEN = TargetSeen(label="cat", score=0.9, x_m=1.0, y_m=2.0, seen_from_x_m=0.0, seen_from_y_m=0.5)
CODECS = [(events.to_json, events.from_json), (events.to_msgpack, events.from_msgpack)]

texts = st.text(max_size=40)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
finite = values.filter(lambda value: "inf" not in repr(value).lower())
made = st.builds(
    Event,
    id=texts,
    source=texts,
    type=texts,
    time=texts,
    subject=texts,
    data=st.dictionaries(texts, finite, max_size=4),
    unit=texts,
    boot=st.integers(0, 2**40),
    seq=st.integers(0, 2**40),
)


@given(made)
def test_every_event_survives_both_codecs(event: Event):
    for encode, decode in CODECS:
        assert decode(encode(event)) == event


@given(st.binary(max_size=300))
def test_arbitrary_bytes_decode_or_raise_one_named_error(raw: bytes):
    for _, decode in CODECS:
        with contextlib.suppress(EventError):
            assert isinstance(decode(raw), Event)


@given(made, st.integers(0, 400), st.binary(max_size=4))
def test_a_damaged_event_decodes_or_raises_one_named_error(event: Event, at: int, junk: bytes):
    for encode, decode in CODECS:
        whole = encode(event)
        raw = whole.encode() if isinstance(whole, str) else whole
        with contextlib.suppress(EventError):
            assert isinstance(decode(raw[:at] + junk + raw[at + len(junk) :]), Event)


def test_json_is_a_cloudevent_1_0():
    event = events.make(SEEN, source="/r1/decision", wall_s=0.0, unit="r1")
    plain = json.loads(events.to_json(event))
    assert plain["type"] == "mtor.target.seen"
    assert plain["time"] == "1970-01-01T00:00:00.000Z"
    assert plain["data"]["label"] == "cat"
    assert set(plain) >= {"id", "source", "type", "time", "data"}


def test_an_event_carries_its_data_whole():
    event = events.make(SEEN, source="/r1", wall_s=1.0)
    assert events.payload(event, TargetSeen) == SEEN


def test_data_of_another_kind_is_named_with_its_type_and_source():
    event = events.make(SEEN, source="/r1", wall_s=1.0)
    with pytest.raises(EventError, match=r"mtor\.target\.seen from /r1"):
        events.payload(event, UnitChanged)


def test_an_event_over_the_limit_is_refused_on_both_sides():
    event = Event(id="1", source="s", type="t", time="", data={"x": "y" * events.MAX_EVENT_BYTES})
    for encode, decode in CODECS:
        with pytest.raises(EventError, match="at most"):
            encode(event)
        with pytest.raises(EventError, match="at most"):
            decode(b"x" * (events.MAX_EVENT_BYTES + 1))


def test_a_stop_has_a_type_of_its_own_that_overtakes_everything():
    assert events.priority_of(events.command_type("hold")) == events.STOP
    assert events.command_type("search") == "mtor.command.issued"
    assert all(
        each.priority > events.STOP for name, each in events.TYPES.items() if "stop" not in name
    )


def test_a_command_event_goes_by_its_own_channel():
    command = Command(id="c", verb="hold", units=["r1"], issuer="i", issued_s=0.0)
    event = events.make(command, source="/cli", wall_s=0.0, type=events.command_type("hold"))
    assert (event.type, event.channel) == ("mtor.stop.issued", "stop")


def test_an_unknown_type_stays_in_its_realm_and_is_a_notice():
    thing = events.make(
        UnitChanged(doing="", was=""), source="/x", wall_s=0.0, type="org.example.thing"
    )
    assert events.scope_of(thing) == "realm"
    assert events.priority_of(thing.type) == events.NOTICE


def test_an_unknown_type_goes_as_far_as_it_says_and_a_known_one_as_far_as_its_type_says():
    for name, scope in [("org.example.thing", "swarm"), ("mtor.detection.seen", "realm")]:
        event = events.make(
            UnitChanged(doing="", was=""), source="/x", wall_s=0.0, type=name, scope="swarm"
        )
        assert events.scope_of(event) == scope
        assert events.from_msgpack(events.to_msgpack(event)) == event
        assert events.from_json(events.to_json(event)) == event


def test_each_type_says_something_that_has_happened_to_a_thing_of_ours():
    for name, each in events.TYPES.items():
        assert name == each.name
        assert name.count(".") == 2
        assert name.startswith("mtor.")
        assert issubclass(each.data, msgspec.Struct)


def test_the_fingerprint_of_a_key_is_128_bits_of_hex():
    assert len(events.fingerprint(b"key")) == 32
    assert events.fingerprint(b"key") != events.fingerprint(b"other key")


def test_finite_means_every_number_that_is_given():
    assert events.is_finite(1.0, None, -2.0)
    assert not events.is_finite(1.0, float("nan"))
    assert not events.is_finite(float("inf"))


def test_every_error_of_ours_has_one_root_and_says_what_it_is_for():
    own = [each for each in vars(errors).values() if isinstance(each, type)]
    assert own
    assert all(issubclass(each, errors.SwarmError) and each.__doc__ for each in own)
