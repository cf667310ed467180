"""Files of rules: what they mean, and where they are wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from mtor_swarm.errors import ConfigError
from mtor_swarm.realm import rules_file
from tests.unit.rules_play import one

SHIPPED = sorted((Path(__file__).parents[2] / "config" / "rules").glob("*.yaml"))
DEEP = "[" + "{if: 'true', then: [" * 9 + "{emit: a}" + "]}" * 9 + "]"

WRONG = {
    "rules: []": "f.yaml:1: rules: Expected `array` of length >= 1",
    "rules: 1": "f.yaml:1: rules: Expected `array`, got `int`",
    "rule: []": "f.yaml:1: rule: unknown key",
    "rules:\n  - then: [{emit: a}]": "f.yaml:2: rules[0]: the key `name` is missing",
    one(on="x", then="[]"): "f.yaml:4: rules[0].then: Expected `array` of length >= 1",
    one(on="'x y'"): "f.yaml:3: rules[0].on: Expected `str` matching regex",
    one(on="x", when="event."): "f.yaml:4: rules[0].when: at character 7: the end",
    one(on="x", when="evnt.x"): "rules[0].when: there is no `evnt` here; there are event, state",
    one(on="x", for_=-1): "f.yaml:4: rules[0].for: Expected `float` >= 0",
    one(on="x", limit=0): "f.yaml:4: rules[0].limit: Expected `int` >= 1",
    one(): "f.yaml:3: rules[0].then: it speaks of neither `event` nor `state`",
    one(when="1 < 2"): "f.yaml:3: rules[0].when: it speaks of neither `event` nor `state`",
    one(when="state.own.x", then="[{speak: '${event.id}'}]"): "there is no `event` here",
    one(on="x", then="[{spek: a}]"): "f.yaml:4: rules[0].then[0].spek: unknown key",
    one(on="x", then="[{as: a}]"): (
        "rules[0].then[0]: a step is one of ask, speak, emit, announce, if; this one is none"
    ),
    one(on="x", then="[{emit: a, speak: b}]"): "this one has both speak and emit",
    one(on="x", then="[{emit: a, as: b}]"): (
        "rules[0].then[0].as: it says nothing to `emit`, which has data, scope"
    ),
    one(on="x", then="[{emit: mtor.a}]"): "then[0].emit: types that begin with `mtor.`",
    one(on="x", then="[{ask: a, as: event}]"): "then[0].as: event is taken",
    one(on="x", then="[{ask: a, as: b}, {ask: a, as: b}]"): "then[1].as: b is taken",
    one(on="x", then="[{ask: a, with: '${b}', as: b}]"): "then[0].with: there is no `b` here",
    one(on="x", then="[{speak: '${b}'}, {ask: a, as: b}]"): "then[0].speak: there is no `b`",
    one(on="x", then="[{if: 'true', then: [{ask: a, as: b}]}, {speak: '${b}'}]"): (
        "then[1].speak: there is no `b`"
    ),
    one(on="x", then="[{ask: a, with: {k: [1, '${c}']}}]"): (
        "f.yaml:4: rules[0].then[0].with.k[1]: there is no `c` here"
    ),
    one(on="x", then="[{ask: a, with: " + "[" * 40 + "]" * 40 + "}]"): "nested over 32 deep",
    one(on="x", then="[{ask: a, options: {k: '${c}'}}]"): "then[0].options.k: there is no `c`",
    one(on="x", then=DEEP): "steps are nested over 8 deep",
    one(on="x", then="[" + "{emit: a}, " * 65 + "]"): "then[64]: a rule has 64 steps at most",
    one(on="x") + "  - {name: a, on: x, then: [{emit: b}]}": (
        "f.yaml:5: rules[1].name: a is the name of the rule at f.yaml:2 too"
    ),
    "rules: &a [*a]": "f.yaml:1: not valid YAML: the alias *a is not allowed",
}


@pytest.mark.parametrize("text", WRONG, ids=range(len(WRONG)))
def test_a_mistake_is_named_by_file_line_and_key(text: str):
    with pytest.raises(ConfigError) as caught:
        rules_file.parse(text, "f.yaml")
    assert str(caught.value).startswith("f.yaml:")
    assert WRONG[text] in str(caught.value)


def test_a_rule_knows_what_it_is_about():
    (events,) = rules_file.parse(one(on="[a, 'b.*']", cooldown=1.5, limit=3, for_=2))
    assert (events.on, events.cooldown_s, events.limit, events.for_s) == (("a", "b.*"), 1.5, 3, 2)
    assert not events.of_state
    (every,) = rules_file.parse(one(when="event.unit == state.unit"))
    assert every.on == ("*",)
    (state,) = rules_file.parse(one(when="state.unit == 'r1'"))
    assert state.of_state


def test_a_step_waits_for_the_answers_that_it_speaks_of():
    then = """
      - {ask: a, as: one}
      - {ask: b, with: [{k: "${one.x}"}, 2], as: two}
      - if: one == two
        then: [{emit: y, data: {v: "${two}", w: "${event.id}"}}]
        else: [{speak: Not so.}]"""
    (rule,) = rules_file.parse(one(on="x", then=then))
    first, second, test = rule.then
    assert (first.needs, second.needs, test.needs) == (set(), {"one"}, {"one", "two"})
    assert test.then[0].needs == {"two"}
    assert second.value({"one": {"x": 5}}) == [{"k": 5}, 2]
    assert (first.as_, first.timeout_s, first.scope) == ("one", 30.0, "realm")


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_the_rules_that_are_shipped_are_right(path: Path):
    assert rules_file.load(path)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"nowhere\.yaml: cannot be read"):
        rules_file.load(tmp_path / "nowhere.yaml")


def test_steps_nested_without_end_are_a_mistake():
    deep = "{if: 'true', then: [" * 2000
    with pytest.raises(ConfigError, match=r"f.yaml.*nested too deeply"):
        rules_file.parse(one(on="x", then=f"[{deep}"), "f.yaml")
