"""What `mtor ask` asks, and whom."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from mtor_swarm.cli import ask
from mtor_swarm.cli.main import _parser
from mtor_swarm.errors import ConfigError, SwarmError
from mtor_swarm.realm.ask_wire import MAX_PAYLOAD_BYTES


def given(*words: str) -> argparse.Namespace:
    return _parser(["ask"]).parse_args(["ask", *words])


def unit(state: str = "alive", **offers: float) -> dict:
    return {"member_state": state, "state": {"offers": offers} if offers else None}


def test_a_text_is_asked_as_text_and_a_file_as_what_its_name_says(tmp_path: Path) -> None:
    asked = ask.question(given("chat", "where", "is it?", "--timeout", "5", "--option", "a=b=c"))
    assert (asked.payload, asked.kind) == (b"where is it?", "text/plain")
    assert (asked.timeout_s, asked.options, asked.stream) == (5.0, {"a": "b=c"}, False)
    picture = tmp_path / "cat.jpg"
    picture.write_bytes(b"\xff\xd8")
    asked = ask.question(given("detect", "--file", str(picture), "--trace"))
    assert (asked.payload, asked.kind, asked.stream) == (b"\xff\xd8", "image/jpeg", True)
    (tmp_path / "what").write_bytes(b"")
    asked = ask.question(given("detect", "--file", str(tmp_path / "what")))
    assert asked.kind == "application/octet-stream"
    asked = ask.question(given("embed", "[]", "--kind", "application/json"))
    assert asked.kind == "application/json"


def test_a_question_that_cannot_be_asked_is_told_why(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not both"):
        ask.question(given("detect", "what?", "--file", "cat.jpg"))
    with pytest.raises(ConfigError, match="cannot be read"):
        ask.question(given("detect", "--file", str(tmp_path / "none.jpg")))
    large = tmp_path / "large.jpg"
    large.write_bytes(bytes(MAX_PAYLOAD_BYTES + 1))
    with pytest.raises(ConfigError, match="smaller picture"):
        ask.question(given("detect", "--file", str(large)))
    with pytest.raises(ConfigError, match="smaller picture"):
        ask.question(given("detect", "--file", "/dev/zero"))
    with pytest.raises(SwarmError, match="not an ask"):
        ask.question(given("c" * 65))
    for words in (("c\udcff",), ("chat", "--option", "a=\udcff")):
        with pytest.raises(SwarmError, match="UTF-8"):
            ask.question(given(*words))


def test_a_text_that_is_no_utf8_is_asked_as_the_bytes_that_were_typed() -> None:
    assert ask.question(given("chat", "caf\udce9")).payload == b"caf\xe9"


@pytest.mark.parametrize(
    "words", [("--option", "novalue"), ("--option", "=v"), ("--timeout", "0")]
)
def test_an_option_that_is_none_is_refused(words: tuple[str, str], capsys) -> None:
    with pytest.raises(SystemExit):
        given("chat", *words)
    assert words[1] in capsys.readouterr().err


def test_the_unit_that_would_answer_soonest_is_asked() -> None:
    units = {"r1": unit(detect=3.2), "r2": unit(detect=0.1), "r3": unit("dead", detect=0.0)}
    assert ask.whom(units, "detect") == "r2"
    assert ask.whom(units, "chat") == "r1"
    assert ask.whom({"r4": unit()}, "chat") == "r4"
    with pytest.raises(SwarmError, match="no unit"):
        ask.whom({"r3": unit("dead")}, "chat")


def test_what_can_be_asked_of_whom_is_shown() -> None:
    table = ask.offers({"r1": unit(see=0.0, chat=0.4), "r2": unit("left", see=0.0), "r3": unit()})
    cells = [list(each.cells) for each in table.columns]
    assert cells == [["chat", "see"], ["r1", "r1"], ["0.4 s", "0.0 s"]]
