"""The machine of rules: when they fire, what they do, and what stops them."""

from __future__ import annotations

from itertools import pairwise

import msgspec
import pytest

from mtor_swarm.realm import rules
from mtor_swarm.realm.rules_io import LED_BY, Answered, Heard, chain_of
from tests.unit.rules_play import Play, event, one


def test_a_rule_fires_on_its_types_when_its_expression_is_true():
    play = Play(one(on="[x.y, 'z.*']", when="event.data.n > 1"))
    for name, n in [("x.y", 2), ("x.y", 1), ("x", 2), ("x.yy", 2), ("z.a", 2), ("z", 2)]:
        play.hear(name, n=n)
    assert [each.type for each in play.emits] == ["done"] * 2
    assert play.fired == ["a", "a"]
    assert play.rules.counts == {"fired": 2}


def test_a_rule_that_speaks_of_events_hears_all_of_them_but_those_about_rules():
    play = Play(one(when="event.unit == 'r2' && state.unit == 'r1'"))
    play.hear("x")
    play.hear("mtor.rule.fired")
    assert play.fired == ["a"]


def test_what_is_missing_is_false_and_a_mistake_is_told_once_in_a_while():
    play = Play(one(on="x", when="event.data.n > 1"))
    play.hear("x")
    assert not play.effects
    for now in (0.0, 1.0, 4.9, 5.0):
        play.hear("x", now, n="many")
    first, second = play.failed
    assert "string and int have no order" in first.reason
    assert first.where == "f.yaml:2: when"
    assert (first.more, second.more) == (0, 2)
    assert play.rules.counts == {"failed": 4}


def test_with_for_an_event_must_come_again_and_again():
    play = Play(one(on="x", when="event.data.ok", for_=3))
    for now in (0.0, 2.0, 2.9):
        play.hear("x", now, ok=True)
    assert not play.fired
    play.hear("x", 3.0, ok=True)
    assert play.fired == ["a"]
    play.hear("x", 4.0, ok=True)
    play.hear("x", 5.0, ok=False)  # says otherwise
    play.hear("x", 7.0, ok=True)
    play.hear("x", 10.5, ok=True)  # after too long a pause
    play.hear("x", 13.0, ok=True)
    assert play.fired == ["a"]
    play.hear("x", 13.5, ok=True)
    assert play.fired == ["a", "a"]


def test_after_it_fired_a_rule_cools():
    play = Play(one(on="x", cooldown=10))
    for now in (0.0, 9.9, 10.0):
        play.hear("x", now)
    assert play.fired == ["a", "a"]
    assert play.rules.counts == {"fired": 2, "cooling": 1}


def test_a_rule_fires_so_many_times_a_minute():
    play = Play(one(on="x", limit=2))
    for now in (0.0, 1.0, 2.0, 3.0, 60.0, 60.5):
        play.hear("x", now)
    assert play.fired == ["a"] * 3
    assert play.rules.counts == {"fired": 3, "limited": 3, "failed": 3}
    assert "fires more than 2 times a minute" in play.failed[0].reason


def test_a_rule_about_the_state_fires_once_each_time_it_becomes_true():
    play = Play(one(when="state.own.battery < 0.2"))
    for battery in (0.5, 0.1, 0.05, 0.5, 0.1):
        play.know("own", value={"battery": battery})
    play.hear("x")
    assert play.fired == ["a", "a"]
    assert play.rules.next_s is None


def test_a_rule_about_the_state_waits_until_that_has_lasted():
    play = Play(one(when="has(state.units.r2)", for_=5))
    play.know("units", "r2", value={}, now=1.0)
    assert play.rules.next_s == 6.0
    play.tick(5.9)
    assert not play.fired
    play.know("units", "r2", value=None, now=5.95)
    assert play.rules.next_s is None
    play.know("units", "r2", value={}, now=7.0)
    play.tick(12.0)
    assert play.fired == ["a"]
    assert play.rules.next_s is None


def test_the_state_keeps_so_many_things_of_one_sort(monkeypatch):
    monkeypatch.setattr(rules, "MAX_KNOWN", 2)
    play = Play(one(when="size(state.units) > 2"))
    for name in ("r2", "r3", "r2", "r4"):
        play.know("units", name, value={})
    assert sorted(play.rules.state["units"]) == ["r2", "r3"]
    assert play.rules.counts == {"unknown": 1}


ASKING = one(
    on="x",
    then="""
      - ask: describe
        with: {of: "${event.data.label}"}
        options: {n: "${event.data.n}", s: "${event.type}"}
        timeout: 5
        as: seen
      - if: seen.text == "cat"
        then: [{speak: "A ${seen.text}.", as: said}, {emit: told, data: {by: "${said}"}}]
        else: [{emit: other, data: {is: "${seen}", at: [1, "${event.data.n}"]}, scope: swarm}]
      - announce: {kind: inspect}
      - emit: beside""",
)


def test_steps_run_side_by_side_and_an_answer_feeds_the_next():
    play = Play(ASKING)
    play.hear("x", label="it", n=3)
    (ask,), (announce,) = play.asks, play.announced
    assert (ask.capability, ask.payload, ask.kind) == (
        "describe",
        b'{"of":"it"}',
        "application/json",
    )
    assert (ask.options, ask.timeout_s) == ({"n": "3", "s": "x"}, 5.0)
    assert announce.task == {"kind": "inspect"}
    assert [each.type for each in play.emits] == ["beside"]
    play.answer(ask.call, {"text": "cat"})
    said = play.asks[-1]
    assert (said.capability, said.payload, said.kind) == ("speak", b"A cat.", "text/plain")
    play.answer(said.call, "ok")
    assert play.emits[-1].data == {"by": "ok"}
    play.answer(announce.call, {})
    play.answer(announce.call, {})  # said twice
    assert not play.rules._runs
    assert not play.rules._calls
    assert not play.failed


def test_the_other_branch_is_taken_when_the_test_is_false():
    play = Play(ASKING)
    play.hear("x", label="it", n=3)
    play.answer(play.asks[0].call, {"text": "dog"})
    other = play.emits[-1]
    assert (other.type, other.scope) == ("other", "swarm")
    assert other.data == {"is": {"text": "dog"}, "at": [1, 3]}


def test_a_step_that_fails_is_told_what_needs_it_is_skipped_and_the_others_go_on():
    play = Play(ASKING)
    play.hear("x", label="it", n=3)
    play.answer(play.asks[0].call, reason="nobody can")
    play.answer(play.announced[0].call, {})
    assert [(each.where, each.reason) for each in play.failed] == [
        ("f.yaml:5: rules[0].then[0].ask", "nobody can"),
        ("f.yaml:10: rules[0].then[1].if", "skipped: there is no seen"),
    ]
    assert not play.rules._runs


def test_a_step_whose_text_has_no_value_fails_alone():
    play = Play(
        one(on="x", then='[{speak: "${event.data.nope}", as: b}, {speak: "${b}"}, {emit: c}]')
    )
    play.hear("x")
    assert [each.reason for each in play.failed] == [
        "at character 13: there is no `nope` in it",
        "skipped: there is no b",
    ]
    assert [each.type for each in play.emits] == ["c"]


def test_an_if_needs_a_truth():
    play = Play(
        one(on="x", then="[{if: '1', then: [{emit: a}]}, {if: 'false', then: [{emit: b}]}]")
    )
    play.hear("x")
    assert "int is neither true nor false" in play.failed[0].reason
    assert not play.emits


def test_a_rule_that_feeds_itself_is_stopped_and_the_way_is_told():
    play = Play(
        "rules:\n"
        "  - {name: a, on: x.a, then: [{emit: x.b}]}\n"
        "  - {name: b, on: x.b, then: [{emit: x.a}]}\n",
        loop=True,
    )
    play.hear("x.a")
    assert play.fired == ["a", "b"]
    assert play.failed[0].reason.startswith("it feeds itself and is stopped: a > b > a")
    assert play.rules.counts == {"fired": 2, "looped": 1, "failed": 1}


def test_a_chain_of_rules_has_an_end():
    names = [f"r{i}" for i in range(12)]
    rows = [f"  - {{name: {n}, on: x.{n}, then: [{{emit: x.{m}}}]}}" for n, m in pairwise(names)]
    play = Play("rules:\n" + "\n".join(rows), loop=True)
    play.hear("x.r0")
    assert play.fired == names[: rules.MAX_CHAIN]
    assert "over 8 rules that lead to one another" in play.failed[0].reason


def test_what_led_to_an_event_is_in_it():
    assert chain_of(event("x", subject=f"{LED_BY}a > b")) == ("a", "b")
    assert chain_of(event("x", subject="whatever")) == ()


def test_firings_that_wait_and_their_asks_are_bounded(monkeypatch):
    monkeypatch.setattr(rules, "MAX_RUNS", 2)
    monkeypatch.setattr(rules, "MAX_CALLS", 3)
    play = Play(one(on="x", then="[{speak: a}, {speak: b}]"))
    for _ in range(3):
        play.hear("x")
    assert len(play.asks) == 3
    assert [each.reason for each in play.failed] == [
        "too many answers are waited for already",
        "2 firings of rules wait for answers already",
    ]
    assert play.rules.counts == {"fired": 2, "failed": 2, "dropped": 1}
    for each in list(play.asks):
        play.answer(each.call)
    play.hear("x")
    assert len(play.asks) == 5


def test_an_answer_to_nothing_is_nothing():
    assert Play(one(on="x")).take(Answered(9, ok=True)) == []


@pytest.mark.parametrize("data", [{"text": "ü\u2028"}, {"deep": [[[1]]]}])
def test_an_events_data_may_be_anything_that_json_can_be(data):
    play = Play(one(on="x", then='[{emit: y, data: {all: "${event.data}"}}]'))
    play.take(Heard(msgspec.structs.replace(event("x"), data=data)))
    assert play.emits[0].data == {"all": data}


def test_a_rule_with_a_mistake_stops_no_other_rule_of_the_same_event():
    play = Play(
        "rules:\n"
        "  - {name: a, on: x, when: event.data.n > 1, then: [{emit: y}]}\n"
        "  - {name: b, on: x, then: [{emit: z}]}\n"
    )
    play.hear("x", n="many")
    assert play.fired == ["b"]
    assert [each.rule for each in play.failed] == ["a"]
