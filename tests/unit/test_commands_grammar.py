from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtor_swarm.errors import CommandError
from mtor_swarm.realm.commands import parse

UNITS = ["r1", "r2", "r3"]


@pytest.mark.parametrize(
    ("text", "verb", "units"),
    [
        ("all units hold", "hold", "r1 r2 r3"),
        ("All units, STOP!", "hold", "r1 r2 r3"),
        ("everyone halt", "hold", "r1 r2 r3"),
        ("stop", "hold", "r1 r2 r3"),
        ("Please stop now.", "hold", "r1 r2 r3"),
        ("freeze r2", "hold", "r2"),
        ("r1 wait", "hold", "r1"),
        ("r2 hold position", "hold", "r2"),
        ("r1 and r3 search", "search", "r1 r3"),
        ("r3, r1: search!", "search", "r1 r3"),
        ("unit 1 resume", "release", "r1"),
        ("Unit Two, go on", "release", "r2"),
        ("units one and three carry on", "release", "r1 r3"),
        ("unit 1 and unit 2 continue", "release", "r1 r2"),
        ("release everybody", "release", "r1 r2 r3"),
        ("all but r2 return to base", "return", "r1 r3"),
        ("all units except r2 and r3 come back", "return", "r1"),
        ("every robot without unit 3: return", "return", "r1 r2"),
        ("return to base all", "return", "r1 r2 r3"),
        ("r1 r1 r1 search", "search", "r1"),
    ],
)
def test_orders_are_understood(text: str, verb: str, units: str) -> None:
    draft = parse(text, UNITS)
    assert (draft.verb, draft.units, draft.text) == (verb, units.split(), text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not understood. Say for example"),
        ("make me a sandwich", "not understood"),
        ("do not stop", '"do" is no unit here'),
        ("search", "who?"),
        ("r9 hold", '"r9" is no unit here; known are r1, r2, r3'),
        ("unit ninety hold", '"ninety" is no unit here'),
        ("unit 9 hold", '"unit 9" is no unit here'),
        ("unit hold", "names no unit"),
        ("r1 and hold", "names no unit"),
        ("and r1 hold", "names no unit"),
        ("all units of mine hold", '"of mine": not understood'),
        ("all but hold", '"but": not understood'),
        ("all but r1 r2 r3 hold", "leaves nobody"),
        ("r1 hold and r2 search", "two orders in one"),
        ("3 hold", '"3" is no unit here'),
        ("x" * 501, "an order has 500 at most"),
    ],
)
def test_what_is_not_understood_is_said_and_never_guessed(text: str, said: str) -> None:
    with pytest.raises(CommandError) as caught:
        parse(text, UNITS)
    assert said in str(caught.value)


def test_a_number_that_fits_two_units_is_asked_back() -> None:
    with pytest.raises(CommandError, match="unit 1 may be r1 or scout_1"):
        parse("unit 1 hold", ["r1", "scout_1", "base"])


def test_many_known_units_are_not_all_listed() -> None:
    with pytest.raises(CommandError, match=r"r19, …$"):
        parse("zebra hold", [f"r{i}" for i in range(100)])


def test_a_misspelt_name_is_asked_back() -> None:
    with pytest.raises(CommandError, match=r"did you mean scout_1\?"):
        parse("scuot_1 hold", ["scout_1", "base"])


def test_with_nobody_known_nobody_is_addressed() -> None:
    with pytest.raises(CommandError, match="no unit is known yet"):
        parse("stop", [])


@given(st.text(max_size=80))
def test_any_text_is_an_order_or_one_named_error(text: str) -> None:
    try:
        draft = parse(text, UNITS)
    except CommandError:
        return
    assert set(draft.units) <= set(UNITS)
