"""A log line is one object of JSON, whatever it says."""

from __future__ import annotations

import json
import re

import pytest

from mtor_swarm.realm import logs


@pytest.fixture(name="lines")
def _lines() -> list[str]:
    return []


@pytest.fixture(name="logger")
def _logger(lines) -> logs.JsonLogger:
    return logs.JsonLogger("r1.perception", lines.append)


def test_a_line_says_who_says_what_and_when(logger, lines) -> None:
    logger.warning('says "no"\nand goes on')
    (found,) = map(json.loads, lines)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", found.pop("time"))
    assert found == {
        "level": "warning",
        "unit": "r1",
        "worker": "perception",
        "message": 'says "no"\nand goes on',
    }


def test_what_is_logged_while_an_event_is_handled_has_its_id(logger, lines) -> None:
    with logs.About(event="e1"):
        with logs.About(ask="a1"):
            logger.error("both")
        logger.info("event")
    logger.fatal("neither")
    logger.debug("nobody asked")
    logs.within(lambda: logger.info("later"), ask="a2")()
    ids = [(each.get("event"), each.get("ask")) for each in map(json.loads, lines)]
    assert ids == [("e1", "a1"), ("e1", None), (None, None), (None, "a2")]


@pytest.mark.parametrize("character", ["x", "ü", "\x00", "🐈", '"', "\ud800"])
def test_a_long_message_keeps_its_beginning_and_its_end(logger, lines, character) -> None:
    logger.error(f"begin {character * 9999} end")
    (text,) = lines
    assert len(text.encode(errors="replace")) <= logs.MAX_LINE_BYTES
    assert re.fullmatch(r"begin .* … .* end", json.loads(text)["message"])


def test_lines_of_others_are_wrapped_and_ours_keep_what_they_have(lines) -> None:
    shown = logs.JsonLines(lines.append)
    shown("[r1.core] [ERROR] [rcl]: no JSON")
    shown('[r1.models] {"level": "error", "message": "m"}')
    shown("[1, 2]")
    shown("[r1.core] " + "[" * 9999)
    found = list(map(json.loads, lines))
    first, last = found[0], found[3]
    assert (first["unit"], first["process"]) == ("r1", "r1.core")
    assert first["message"] == "[ERROR] [rcl]: no JSON"
    assert found[1] == {"level": "error", "message": "m", "process": "r1.models"}
    assert (found[2]["message"], found[2]["process"]) == ("[1, 2]", "")
    assert last["message"].startswith("[[[[")


def test_a_node_keeps_ros_s_logger_unless_json_is_wanted(monkeypatch, capsys) -> None:
    ros = logs.JsonLogger("r1.reflex")
    monkeypatch.delenv(logs.VARIABLE, raising=False)
    assert logs.logger(ros) is ros
    monkeypatch.setenv(logs.VARIABLE, "json")
    logs.logger(ros).info("hello")
    assert json.loads(capsys.readouterr().err)["worker"] == "reflex"


def test_fields_that_leave_no_room_cost_the_message(lines) -> None:
    assert json.loads(logs.line(message="m" * 99, more="x" * 9999))["message"] == logs._CUT
