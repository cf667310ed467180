"""What an announcement heard by mDNS is worth."""

from __future__ import annotations

import pytest

from mtor_swarm.errors import SwarmError
from mtor_swarm.swarm.discovery import MAX_KNOWN, Discovery, reachable, refusal
from mtor_swarm.swarm.gossip.wire import VERSION

OURS = {b"swarm": b"field", b"v": str(VERSION).encode()}
ME = "a" * 32


def test_an_announcement_counts_only_from_our_swarm_and_version() -> None:
    assert refusal(OURS, "field") == ""
    assert refusal(OURS, "meadow") == "mdns: another swarm"
    assert refusal({}, "field") == "mdns: another swarm"
    assert refusal({**OURS, b"v": b"99"}, "field") == "mdns: another version"
    assert refusal({**OURS, b"v": None}, "field") == "mdns: another version"


@pytest.mark.parametrize(
    ("host", "port", "mine", "address"),
    [
        ("10.0.0.2", 5555, "10.0.0.1", "tcp://10.0.0.2:5555"),
        ("fd00::2", 5555, "10.0.0.1", "tcp://[fd00::2]:5555"),
        ("127.0.0.1", 5555, "127.0.0.1", "tcp://127.0.0.1:5555"),
        ("127.0.0.1", 5555, "10.0.0.1", ""),
        ("10.0.0.2", 5555, "127.0.0.1", ""),
        ("224.0.0.1", 5555, "10.0.0.1", ""),
        ("0.0.0.0", 5555, "10.0.0.1", ""),
        ("10.0.0.2", 0, "10.0.0.1", ""),
        ("fe80::2%3", 5555, "fd00::1", ""),
    ],
)
def test_an_announced_place_is_an_address_if_we_could_reach_it(
    host: str, port: int, mine: str, address: str
) -> None:
    assert reachable(host, port, mine) == address


def test_each_address_is_told_once_and_few_of_one_member() -> None:
    told: list[str] = []
    ear = Discovery("field", ME, "tcp://10.0.0.1:5555", told.append)
    ear._tell(OURS, ["10.0.0.1", "10.0.0.2"], 5555)
    ear._tell(OURS, ["10.0.0.2", "127.0.0.1"], 5555)
    ear._tell(OURS, [f"10.0.1.{i}" for i in range(9)], 5555)
    ear._tell({}, ["10.0.0.3"], 5555)
    assert told == ["tcp://10.0.0.2:5555", *(f"tcp://10.0.1.{i}:5555" for i in range(4))]
    assert ear.counters == {"mdns: out of reach": 1, "mdns: another swarm": 1}


def test_what_is_remembered_is_bounded_whatever_is_announced() -> None:
    ear = Discovery("field", ME, "tcp://10.0.0.1:5555", lambda address: None)
    for port in range(1, 2000):
        ear._tell(OURS, ["10.0.0.2"], port)
    assert len(ear._known) == MAX_KNOWN


def test_one_that_is_stopping_takes_no_more_addresses() -> None:
    def full(address: str) -> None:
        raise SwarmError("stopping")

    ear = Discovery("field", ME, "tcp://10.0.0.1:5555", full)
    ear._tell(OURS, ["10.0.0.2"], 1)
    assert ear.counters == {"mdns: not taken": 1}
    ear.stop()
