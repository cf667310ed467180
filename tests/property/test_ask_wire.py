"""What is said about asks survives the wire; whatever else comes raises one named error."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtor_swarm.errors import AskError
from mtor_swarm.realm import ask_wire as aw

ID = "0123456789abcdef" * 2


@given(st.binary(max_size=4096), st.integers(0, 3), st.floats(0, 86400), st.booleans())
def test_an_ask_arrives_as_it_was_sent(
    payload: bytes, priority: int, timeout_s: float, stream: bool
) -> None:
    ask = aw.Ask(
        askid=ID,
        capability="detect",
        payload=payload,
        caller="/r1/decision",
        priority=priority,
        timeout_s=timeout_s,
        stream=stream,
    )
    assert aw.decode(aw.encode(ask)) == ask


@given(st.binary(max_size=512))
def test_arbitrary_bytes_are_a_message_or_one_named_error(raw: bytes) -> None:
    with contextlib.suppress(AskError):
        aw.decode(raw)


def test_a_payload_that_is_too_large_is_refused_on_both_ends() -> None:
    answer = aw.Answer(askid=ID, ok=True, payload=bytes(aw.MAX_MESSAGE_BYTES))
    with pytest.raises(AskError, match="at most"):
        aw.encode(answer)
    with pytest.raises(AskError, match="at most"):
        aw.decode(bytes(aw.MAX_MESSAGE_BYTES + 1))
    over = aw.Answer(askid=ID, ok=True, payload=bytes(aw.MAX_PAYLOAD_BYTES + 1))
    with pytest.raises(AskError, match="not an ask"):
        aw.decode(aw.encode(over))


def test_an_ask_id_that_is_none_is_refused() -> None:
    with pytest.raises(AskError, match="not an ask"):
        aw.decode(aw.encode(aw.Cancel(askid="r1")))
