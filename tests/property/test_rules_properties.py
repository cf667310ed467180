"""Whatever the file says, it is rules or one named error; whatever comes, rules end."""

from __future__ import annotations

import contextlib
from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mtor_swarm.errors import ConfigError
from mtor_swarm.realm import cel, rules_file
from mtor_swarm.realm.cel_parse import CelError
from mtor_swarm.realm.rules import Rules
from mtor_swarm.realm.rules_io import Answered, AskFor, Emit, Heard, Known, Tick, emitted
from tests.unit.rules_play import event

NAMES = ["event", "state", "seen", "x.a", "x.b", "a", "${event.data}", "${seen.x}", "$", ""]
EXPRESSIONS = st.text("aestvn.()[]{}0123'\"\\=<>!&|?:,+-*/% $", max_size=40) | st.sampled_from(
    ["event.data.a > 0", "state.n in [1, 2]", "event.data.exists(k, k == 'a')", "true"]
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 2**64)
    | st.floats()
    | st.sampled_from(NAMES)
    | EXPRESSIONS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "b", "then", "ask"]), inner, max_size=3)
    ),
    max_leaves=6,
)
STEPS = st.deferred(
    lambda: st.fixed_dictionaries(
        {},
        optional={
            "ask": st.sampled_from(NAMES),
            "speak": EXPRESSIONS,
            "emit": st.sampled_from(["x.a", "x.b"]),
            "if": EXPRESSIONS,
            "with": VALUES,
            "data": st.dictionaries(st.sampled_from(["a", "b"]), VALUES, max_size=2),
            "as": st.sampled_from(["seen", "other"]),
            "then": st.lists(STEPS, max_size=2),
        },
    )
)
RULES = st.fixed_dictionaries(
    {"name": st.sampled_from(["a", "b", "c"]), "then": st.lists(STEPS, max_size=3) | VALUES},
    optional={
        "on": st.sampled_from(["x.a", "x.*", "*"]),
        "when": EXPRESSIONS,
        "for": st.sampled_from([0, 1, -1, "x"]),
        "cooldown": st.integers(-1, 2),
        "limit": st.integers(0, 3),
    },
)
FILES = st.fixed_dictionaries({"rules": st.lists(RULES, max_size=3)}) | VALUES
calm = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


@calm
@given(st.text(max_size=200) | FILES.map(yaml.safe_dump))
def test_any_text_is_rules_or_one_error_that_names_the_place(text: str):
    told = "f.yaml"
    try:
        rules_file.parse(text, "f.yaml")
    except ConfigError as error:
        told = str(error)
    assert told.startswith("f.yaml")


@calm
@given(EXPRESSIONS, st.dictionaries(st.sampled_from(["event", "state", "a"]), VALUES))
def test_any_expression_has_a_value_or_one_sort_of_error(text: str, names: dict[str, Any]):
    for form in (cel.compiled, cel.template):
        with contextlib.suppress(CelError):
            form(text).evaluate(names)


STEPS_OF = [
    "{ask: a, as: seen}",
    "{speak: '${event.data.a}'}",
    "{emit: x.a, data: {a: '${event.data.b}'}}",
    "{emit: x.b, data: {b: '${event.data}'}}",
    "{if: event.data.a == 1, then: [{emit: x.a}], else: [{emit: x.b}]}",
]


@calm
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["on: x.a", "on: x.b", "on: '*'", "when: state.n == 1"]),
            st.lists(st.sampled_from(STEPS_OF), min_size=1, max_size=3, unique=True),
        ),
        min_size=1,
        max_size=6,
    ),
    st.lists(st.sampled_from(["a", "b", "know", "forget", "tick", "answer", "fail"]), max_size=30),
    st.dictionaries(st.sampled_from(["a", "b"]), VALUES, max_size=2),
)
def test_whatever_rules_lead_to_one_another_they_come_to_an_end(drawn, given_, data):
    rows = [
        f"  - {{name: r{i}, {on}, limit: 5, then: [{', '.join(steps)}]}}"
        for i, (on, steps) in enumerate(drawn)
        if "state" not in on or "event" not in str(steps)
    ]
    if not rows:
        return
    rules = Rules(rules_file.parse("rules:\n" + "\n".join(rows)), "r1")
    calls: list[int] = []
    for now, what in enumerate(given_):
        kind = {
            "know": Known(("n",), 1),
            "forget": Known(("n",), None),
            "tick": Tick(),
            "answer": Answered(calls.pop() if calls else 0, ok=True, value=data),
            "fail": Answered(calls.pop() if calls else 0, ok=False, reason="no"),
        }.get(what) or Heard(event(f"x.{what}", **data))
        waiting, steps = [kind], 0
        while waiting:
            steps += 1
            assert steps < 10_000
            for each in rules.handle(waiting.pop(), now):
                if isinstance(each, AskFor):
                    calls.append(each.call)
                elif isinstance(each, Emit):
                    said = emitted(each, id="8", source="s", unit="r1", wall_s=now)
                    waiting.append(Heard(said))
    assert rules.counts["fired"] <= 5 * len(rows)
