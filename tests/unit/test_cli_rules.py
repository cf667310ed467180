"""`mtor rules`: what it says of files, and of what they would have done."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mtor_swarm.cli import main as cli

RULES = """
rules:
  - name: greet
    on: mtor.target.seen
    cooldown: 10
    then:
      - ask: describe
        as: seen
      - speak: I see ${seen.text} at ${event.data.x_m}
      - emit: greeted
        scope: swarm
  - name: again
    on: greeted
    then: [{emit: greeted}]
  - name: low
    when: state.own.battery < 0.2
    for: 3
    then: [{speak: low}]
"""


def line(second: float, **more) -> str:
    plain = {
        "id": "1",
        "source": "/r1/x",
        "unit": "r1",
        "type": "mtor.target.seen",
        "time": f"2026-11-25T12:00:{second:06.3f}Z",
    }
    return json.dumps(plain | more) + "\n"


@pytest.fixture
def files(tmp_path) -> tuple[Path, Path]:
    rules, log = tmp_path / "rules.yaml", tmp_path / "log.jsonl"
    rules.write_text(RULES)
    log.write_text(line(12, data={"x_m": 2.0}) + "\n" + line(1.5, data={"x_m": 1.5}))
    return rules, log


def test_check_counts_the_rules_or_names_the_mistake(files, tmp_path, capsys):
    rules, _ = files
    assert cli.main(["rules", "check", str(rules)]) == 0
    assert "rules.yaml: OK: 3 rules: greet, again, low" in capsys.readouterr().out
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("rules:\n  - nme: a\n")
    assert cli.main(["rules", "check", str(wrong), str(rules)]) == 1
    said = capsys.readouterr()
    assert "wrong.yaml:2: rules[0].nme: unknown key" in said.err
    assert "OK" in said.out


def test_test_prints_what_rules_would_have_done(files, capsys):
    rules, log = files
    words = ["rules", "test", str(rules), "--events", str(log), "--state"]
    words += ['{"own": {"battery": 0.1}}', "--answer", 'describe={"text": "a cat"}']
    assert cli.main(words) == 0
    *lines, last = capsys.readouterr().out.splitlines()
    assert lines[:6] == [
        "12:00:01.500 greet fires on mtor.target.seen",
        "12:00:01.500   greet: asks describe: null",
        "12:00:01.500   greet: emits greeted (swarm): {}",
        "12:00:01.500   greet: asks speak: I see a cat at 1.5",
        "12:00:01.500 again fires on greeted after greet",
        "12:00:01.500   again: emits greeted (realm): {}",
    ]
    assert "again: fails:" in lines[6]
    assert "greet > again > again" in lines[6]
    assert lines[7:9] == [
        "12:00:04.500 low fires on the state",
        "12:00:04.500   low: asks speak: low",
    ]
    assert lines[9].startswith("12:00:12.000 greet fires")
    assert last == "2 events; 5 fired, 2 failed, 2 looped, 3 asks without --answer: speak"


def test_a_state_that_lasts_past_the_log_still_counts(files, capsys):
    rules, log = files
    log.write_text(line(1, type="x"))
    state = '{"own": {"battery": 0.1}}'
    assert cli.main(["rules", "test", str(rules), "--events", str(log), "--state", state]) == 0
    assert "12:00:04.000 low fires on the state" in capsys.readouterr().out


def test_what_the_units_own_rules_said_is_not_heard_twice(files, capsys):
    rules, log = files
    log.write_text(line(1, type="greeted", subject="rules: greet"))
    for unit, fires in (("r1", False), ("r2", True)):
        assert cli.main(["rules", "test", str(rules), "--events", str(log), "--unit", unit]) == 0
        assert ("again fires" in capsys.readouterr().out) is fires


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{}", "log.jsonl:1: not an event"),
        (line(1) + "nonsense", "log.jsonl:2: not an event"),
        (line(1, time="soon"), "log.jsonl:1: Invalid isoformat"),
        (line(1, time="0001-01-01T00:00:00"), "log.jsonl:1: "),
    ],
)
def test_a_line_that_is_no_event_is_named(files, capsys, text: str, problem: str):
    rules, log = files
    log.write_text(text)
    assert cli.main(["rules", "test", str(rules), "--events", str(log)]) == 2
    assert problem in capsys.readouterr().err


def test_a_log_that_cannot_be_read_is_named(files, tmp_path, capsys):
    rules, log = files
    log.write_bytes(b"\xff\xfe")
    for name, problem in ((log, "is not UTF-8"), (tmp_path / "none", "cannot be read")):
        assert cli.main(["rules", "test", str(rules), "--events", str(name)]) == 2
        assert problem in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--answer", "x"], ["--state", "["], ["--state", "1"]])
def test_a_wrong_word_is_told(files, capsys, words: list[str]):
    rules, log = files
    with pytest.raises(SystemExit):
        cli.main(["rules", "test", str(rules), "--events", str(log), *words])
    assert words[0] in capsys.readouterr().err


def test_a_task_would_be_announced_and_its_id_is_an_answer(files, capsys):
    rules, log = files
    rules.write_text(
        "rules:\n  - name: a\n    on: mtor.target.seen\n    limit: 1\n"
        "    then: [{announce: {id: it, kind: goto}, as: job}, {speak: 'Task ${job.task}'}]\n"
    )
    assert cli.main(["rules", "test", str(rules), "--events", str(log)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == '12:00:01.500   a: announces {"id":"it","kind":"goto"}'
    assert lines[2] == "12:00:01.500   a: asks speak: Task it"


def test_an_answer_may_be_a_text(files, capsys):
    rules, log = files
    words = ["--answer", "describe=a cat", "--events", str(log)]
    assert cli.main(["rules", "test", str(rules), *words]) == 0
    assert "string has no 'text'" in capsys.readouterr().out
