from __future__ import annotations

import hashlib
from typing import Any

import msgspec
import pytest

from mtor_swarm.errors import CommandError
from mtor_swarm.events import Command, CommandAcknowledged, fingerprint
from mtor_swarm.realm.commands import Acknowledgements, Draft, ReplayGuard, Row, check, issue

NOW = 1_700_000_000.0


class Keyed:
    """A signature that needs no cryptography: what is signed, hashed with a secret."""

    public_key = b"k" * 32
    certificate = b""

    def sign(self, message: bytes) -> bytes:
        return hashlib.blake2b(message, key=b"secret").digest()

    def verify(self, public_key: bytes, message: bytes, signature: bytes) -> bool:
        return public_key == self.public_key and signature == self.sign(message)


KEYED = Keyed()
ISSUER = fingerprint(KEYED.public_key)


def command(verb: Any = "hold", units: tuple[str, ...] = ("r1", "r2"), **other: Any) -> Command:
    draft = Draft(verb=verb, units=list(units), args={"b": 1, "a": 2.0}, text="so be it")
    return issue(draft, KEYED, NOW, "c1", **other)


def changed(of: Command, **values: Any) -> Command:
    return msgspec.structs.replace(of, **values)


def checked(of: Command, now_s: float = NOW, unit: str = "r1") -> bool:
    return check(of, unit, [ISSUER], KEYED, now_s)


def test_an_issued_command_passes_even_after_a_journey_as_json() -> None:
    travelled = msgspec.json.decode(msgspec.json.encode(command()), type=Command)
    assert checked(travelled)


def test_who_is_not_addressed_ignores_a_command() -> None:
    assert not checked(command(), unit="r9")


@pytest.mark.parametrize(
    "values",
    [
        {"verb": "release"},
        {"units": ["r1", "r2", "r3"]},
        {"args": {}},
        {"issued_s": NOW + 1},
        {"valid_s": 11.0},
        {"id": "c2"},
        {"signature": "00" * 64},
    ],
)
def test_whatever_is_changed_on_the_way_breaks_the_signature(values: dict[str, Any]) -> None:
    with pytest.raises(CommandError, match="its signature is wrong"):
        checked(changed(command(), **values))


def test_strangers_are_refused_by_their_fingerprint() -> None:
    with pytest.raises(CommandError, match=f"{ISSUER} is not among this unit's operators"):
        check(command(), "r1", [], KEYED, NOW)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"key": "xyz"}, "not hexadecimal"),
        ({"signature": "é"}, "not hexadecimal"),
        ({"key": "00"}, "not its issuer's"),
        ({"units": ["r1"] * 5000}, "names 5000 units"),
    ],
)
def test_malformed_commands_are_refused(values: dict[str, Any], reason: str) -> None:
    with pytest.raises(CommandError, match=reason):
        checked(changed(command(), **values))


@pytest.mark.parametrize("valid_s", [0.0, -1.0, 301.0, float("nan"), float("inf")])
def test_a_command_is_valid_for_a_sane_time(valid_s: float) -> None:
    with pytest.raises(CommandError, match="more than 0 s and at most 300 s"):
        checked(command(valid_s=valid_s))


@pytest.mark.parametrize("late_s", [-5.0, 0.0, 10.0, 15.0])
def test_a_command_within_its_time_and_the_clocks_tolerance_passes(late_s: float) -> None:
    assert checked(command(), NOW + late_s)


@pytest.mark.parametrize(
    ("late_s", "reason"), [(15.1, "it is 15 s old"), (-5.1, "issued 5 s in the future")]
)
def test_a_command_out_of_its_time_is_refused_and_names_the_clocks(
    late_s: float, reason: str
) -> None:
    with pytest.raises(CommandError, match=f"{reason}.*compare the clocks"):
        checked(command(), NOW + late_s)


def test_each_command_passes_once() -> None:
    guard = ReplayGuard()
    assert guard.admit(command(), NOW)
    assert not guard.admit(command(), NOW + 1)


def test_a_restart_with_its_entries_forgets_nothing() -> None:
    guard = ReplayGuard()
    guard.admit(command(), NOW)
    assert not ReplayGuard(entries=guard.entries).admit(command(), NOW + 1)


def test_entries_expire_with_their_command() -> None:
    guard = ReplayGuard()
    guard.admit(command(), NOW)
    guard.admit(changed(command(), id="c2", issued_s=NOW + 20), NOW + 20)
    assert guard.entries == {"c2": NOW + 35}


def test_a_full_guard_refuses_all_but_holds_and_counts() -> None:
    guard = ReplayGuard(most=1)
    guard.admit(command(), NOW)
    assert guard.admit(changed(command(), id="c2"), NOW)
    assert not guard.admit(changed(command("release"), id="c3"), NOW)
    assert guard.dropped == 2


def ack(status: Any, **other: Any) -> CommandAcknowledged:
    return CommandAcknowledged(command="c1", status=status, **other)


def test_a_hold_is_fulfilled_once_every_unit_is_measured_still() -> None:
    acks = Acknowledgements(command(), 0.0)
    assert acks.take("r1", ack("accepted"))
    assert acks.take("r1", ack("confirmed", speed_mps=0.01))
    assert acks.take("r2", ack("accepted"))
    assert not acks.finished
    assert acks.take("r2", ack("confirmed", speed_mps=0.0))
    assert acks.finished
    assert acks.fulfilled
    assert acks.rows(1.0)[0] == Row(unit="r1", status="confirmed", speed_mps=0.01, fulfilled=True)


def test_who_never_answers_is_silent_by_name() -> None:
    acks = Acknowledgements(command(), 0.0, timeout_s=5.0)
    acks.take("r1", ack("accepted"))
    assert [row.status for row in acks.rows(4.9)] == ["accepted", "asked"]
    assert [(row.unit, row.status) for row in acks.rows(5.0)] == [
        ("r1", "accepted"),
        ("r2", "silent"),
    ]
    assert not acks.finished


def test_what_a_unit_warned_of_when_it_took_on_a_hold_is_still_shown_once_it_stands() -> None:
    acks = Acknowledgements(command(units=("r1",)), 0.0)
    acks.take("r1", ack("accepted", reason="the latch is not written"))
    acks.take("r1", ack("confirmed", speed_mps=0.0))
    assert acks.rows(1.0)[0].reason == "the latch is not written"


def test_a_late_answer_still_counts() -> None:
    acks = Acknowledgements(command(units=("r1",)), 0.0)
    acks.rows(6.0)
    acks.take("r1", ack("confirmed", speed_mps=0.0))
    assert acks.rows(7.0)[0].status == "confirmed"


def test_a_refusal_finishes_without_fulfilling() -> None:
    acks = Acknowledgements(command(units=("r1",)), 0.0)
    acks.take("r1", ack("refused", reason="stale"))
    assert acks.finished
    assert not acks.fulfilled
    assert acks.rows(0.0)[0].reason == "stale"


def test_words_about_something_else_or_out_of_order_change_nothing() -> None:
    acks = Acknowledgements(command(), 0.0)
    assert not acks.take("r9", ack("accepted"))
    assert not acks.take("r1", CommandAcknowledged(command="c7", status="done"))
    acks.take("r1", ack("confirmed", speed_mps=0.0))
    assert not acks.take("r1", ack("accepted"))
    assert acks.rows(0.0)[0].status == "confirmed"


@pytest.mark.parametrize(
    ("verb", "status"),
    [("release", "done"), ("search", "accepted"), ("return", "accepted"), ("return", "done")],
)
def test_each_verb_is_fulfilled_in_its_own_way(verb: str, status: str) -> None:
    acks = Acknowledgements(command(verb, units=("r1",)), 0.0)
    acks.take("r1", ack(status))
    assert acks.fulfilled
