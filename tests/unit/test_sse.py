from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtor_swarm.errors import ModelError
from mtor_swarm.models.sse import MAX_EVENT_BYTES, EventStream

TEXT = (
    b": hello\r\nevent: ping\r\ndata: 1\r\n\r\n"
    b"data:2\ndata\ndata:  3\n\nid: 7\nevent: x\r\rdata: 4\r\r"
)
EVENTS = [("ping", b"1"), ("", b"2\n\n 3"), ("", b"4")]


def test_events_have_names_and_lines_of_data_and_all_else_is_passed_over():
    assert EventStream().feed(TEXT + b"\n") == EVENTS


@given(st.lists(st.integers(0, len(TEXT)), max_size=8))
def test_it_does_not_matter_how_the_bytes_are_cut(cuts: list[int]):
    edges = [0, *sorted(cuts), len(TEXT)]
    stream = EventStream()
    found = [
        each for low, high in itertools.pairwise(edges) for each in stream.feed(TEXT[low:high])
    ]
    assert [*found, *stream.feed(b"\n")] == EVENTS


def test_what_is_not_ended_is_no_event():
    assert EventStream().feed(b"data: 1\n") == []


@given(st.binary(max_size=200))
def test_any_bytes_are_borne(raw: bytes):
    EventStream().feed(raw)


@pytest.mark.parametrize("flood", [b"x" * MAX_EVENT_BYTES + b"x", b"data: x\n" * MAX_EVENT_BYTES])
def test_an_event_without_end_is_refused(flood: bytes):
    with pytest.raises(ModelError, match="an event of more than"):
        EventStream().feed(flood)
