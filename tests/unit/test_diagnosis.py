"""What is counted is also explained."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from mtor_swarm import swarm
from mtor_swarm.errors import SwarmError
from mtor_swarm.swarm import diagnosis

ROOM = Path(swarm.__file__).parent
COUNTING = ("count", "_count", "CertificateError")
"""What the error says is also what it is counted as."""
ELSEWHERE = {"certificate missing", "certificate of another"}
"""Counted, but not by such a call."""
UNCOUNTED = {":", "revocation forged", "revocations without room"}


def literals(node: ast.expr) -> Iterator[str]:
    """The texts that the expression may be; of an f-string what it begins with."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        yield from literals(node.values[0])
    elif isinstance(node, ast.IfExp):
        yield from literals(node.body)
        yield from literals(node.orelse)


def counted() -> set[str]:
    found: set[str] = set()
    for path in ROOM.rglob("*.py"):
        if "simnet" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and node.args:
                name = getattr(node.func, "attr", getattr(node.func, "id", ""))
                if name in COUNTING:
                    found |= set(literals(node.args[0]))
    return found - UNCOUNTED | ELSEWHERE


def test_every_count_of_a_member_is_explained() -> None:
    found = counted()
    assert {"garbage", "shared: ", "datagrams not sent: ", "certificate forged"} <= found
    assert not {each for each in found if not diagnosis.meaning(each).text}


def test_what_is_explained_is_counted() -> None:
    known = {*diagnosis.HARM, *diagnosis.LIFE} - {"silent", "mdns: "}
    assert not known - counted()


def test_a_link_that_never_came_to_be_alarms_only_those_who_have_keys() -> None:
    assert diagnosis.meaning("handshakes refused").harm
    assert not diagnosis.meaning("links broken off").harm


def test_what_begins_alike_means_the_same_unless_it_is_told_apart() -> None:
    assert diagnosis.meaning("shared: nested too deep").harm
    assert not diagnosis.meaning("shared: no room").harm
    assert diagnosis.meaning("datagrams not sent: ENETUNREACH").text
    assert diagnosis.meaning("never heard of") == (False, "")


def test_an_answer_is_bounded_and_keeps_what_points_at_somebody() -> None:
    told = {f"a{number}": number for number in range(1000)}
    found = diagnosis.read(msgspec.json.encode({**told, "garbage": 3, "z" * 999: 1}))
    assert next(iter(found.items())) == ("garbage", 3)
    assert len(found) == diagnosis.MAX_COUNTS
    assert list(diagnosis.read(msgspec.json.encode({"z" * 999: 1}))) == ["z" * 64]


@pytest.mark.parametrize("answer", [b"", b"[]", b'{"a": "b"}', b"\xff", b'{"a": 1.5}'])
def test_what_holds_no_counts_is_said_to_hold_none(answer: bytes) -> None:
    with pytest.raises(SwarmError, match="no counts"):
        diagnosis.read(answer)
