from __future__ import annotations

from typing import Any

import pytest

from mtor_swarm.errors import CommandError
from mtor_swarm.events import CommandAcknowledged, fingerprint
from mtor_swarm.realm.commands import ReplayGuard, check
from mtor_swarm.realm.orders import Order, in_order, understood
from mtor_swarm.swarm.identity import Ed25519Verifier, Identity

PERSON = Identity.ephemeral()


def known(**states: str) -> dict[str, dict[str, Any]]:
    return {name: {"unit": name, "member_state": state} for name, state in states.items()}


def order(text: str) -> Order:
    return Order(text, PERSON, "a", 5.0)


def test_all_are_those_who_have_not_left_the_lost_among_them() -> None:
    units = known(r10="alive", r2="dead", r3="suspect", r4="left")
    assert understood("all hold", units).units == ["r2", "r3", "r10"]
    assert understood("r4 hold", units).units == ["r4"]
    assert understood("all but r3 hold", units).units == ["r2", "r10"]


def test_people_count_two_before_ten() -> None:
    assert in_order(["r10", "r2", "a"]) == ["a", "r2", "r10"]


def test_a_stop_goes_out_at_once_and_again_to_each_who_is_found_later() -> None:
    stop = order("all units hold")
    assert stop.address({}, 100.0, 0.0, settled=False) is None
    first = stop.address(known(r1="alive"), 100.0, 0.0, settled=False)
    assert first is not None
    assert first.units == ["r1"]
    assert stop.address(known(r1="alive"), 100.1, 0.1, settled=False) is None
    second = stop.address(known(r1="alive", r2="alive"), 100.2, 0.2, settled=False)
    assert second is not None
    assert second.units == ["r2"]
    assert (second.id, second.issued_s) == (first.id, first.issued_s)
    assert stop.address(known(r1="alive", r2="alive"), 100.9, 0.9, settled=True) is None
    assert [row.unit for row in stop.rows({}, 1.0)] == ["r1", "r2"]


def test_each_part_of_a_stop_is_signed_and_is_obeyed_once_by_those_it_names() -> None:
    stop = order("stop")
    parts = [
        stop.address(units, 100.0, 0.0, settled=False)
        for units in (known(r1="alive"), known(r1="alive", r2="alive"))
    ]
    operators = [fingerprint(PERSON.public_key)]
    for unit in ("r1", "r2"):
        guard = ReplayGuard()
        obeyed = [
            part
            for part in parts
            if part
            and check(part, unit, operators, Ed25519Verifier(), 100.0)
            and guard.admit(part, 100.0)
        ]
        assert len(obeyed) == 1


def test_whatever_is_no_stop_waits_until_the_swarm_has_settled_and_is_issued_once() -> None:
    go = order("all units search")
    assert go.address(known(r1="alive"), 100.0, 0.0, settled=False) is None
    command = go.address(known(r1="alive", r2="alive"), 100.0, 0.0)
    assert command is not None
    assert command.units == ["r1", "r2"]
    assert go.address(known(r1="alive", r2="alive", r3="alive"), 100.0, 0.0) is None


def test_what_is_not_understood_may_be_once_more_units_are_known() -> None:
    spare = order("all but r2 hold")
    assert spare.address(known(r1="alive"), 100.0, 0.0, settled=False) is None
    command = spare.address(known(r1="alive", r2="alive"), 100.0, 0.0, settled=False)
    assert command is not None
    assert command.units == ["r1"]
    with pytest.raises(CommandError, match='"r9" is no unit here; known are r1'):
        order("all but r9 hold").address(known(r1="alive"), 100.0, 0.0)
    with pytest.raises(CommandError, match="no unit is known yet"):
        order("all hold").address({}, 100.0, 0.0)


def test_a_name_that_grows_ambiguous_takes_nothing_back() -> None:
    stop = order("unit 2 stop")
    assert stop.address(known(r2="alive"), 100.0, 0.0, settled=False) is not None
    assert stop.address(known(r2="alive", s2="alive"), 100.0, 0.0) is None


def test_it_is_done_once_everyone_who_was_asked_did_it() -> None:
    stop = order("stop")
    assert not stop.fulfilled
    assert not stop.finished
    stop.address(known(r1="alive"), 100.0, 0.0, settled=False)
    stop.take("r1", CommandAcknowledged(command="a", status="confirmed", speed_mps=0.0))
    assert stop.fulfilled
    assert stop.finished
    stop.address(known(r1="alive", r2="alive"), 100.0, 0.0, settled=False)
    assert not stop.fulfilled
    assert not stop.finished
    assert not stop.take("r2", CommandAcknowledged(command="b", status="confirmed"))
    assert stop.take("r2", CommandAcknowledged(command="a", status="refused", reason="no"))
    assert stop.finished
    assert not stop.fulfilled


def test_the_absent_are_told_from_the_silent() -> None:
    stop = order("stop")
    units = known(r1="alive", r2="dead", r3="suspect")
    stop.address(units, 100.0, 0.0)
    rows = {row.unit: row for row in stop.rows(units, 1.0)}
    assert (rows["r2"].status, rows["r2"].reason) == (
        "asked",
        "it is lost: the swarm believes it dead",
    )
    rows = {row.unit: row for row in stop.rows(units, 6.0)}
    assert (rows["r1"].status, rows["r1"].reason) == ("silent", "")
    assert (rows["r2"].status, rows["r3"].reason) == ("silent", "it answers nobody just now")
    stop.take("r2", CommandAcknowledged(command="a", status="accepted"))
    assert stop.rows(units, 6.0)[1].reason == ""  # it lives after all
