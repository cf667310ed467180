"""Expressions: what they are worth, where they are wrong, and that each one ends."""

from __future__ import annotations

import pytest

from mtor_swarm.realm import cel
from mtor_swarm.realm.cel_parse import MAX_LENGTH, CelError, MissingError

NAMES = {
    "event": {
        "type": "a",
        "data": {
            "label": "cat",
            "score": 0.6,
            "x": 1,
            "none": None,
            "list": [{"y": 1}, {"y": 2}],
            "words": ["a", "b"],
        },
    },
    "state": {"b": 0.25},
}


def value(text: str):
    return cel.compiled(text).evaluate(NAMES)


WORTH = {
    "1 + 2 * 3": 7,
    "(1+2)*3": 9,
    "5 - 2 - 1": 2,
    "2--3": 5,
    "--5": 5,
    "-7 / 2": -3,
    "-7 % 3": -1,
    "7 % -3": 1,
    "-7.0 / 2": -3.5,
    "7.5 % 2": 1.5,
    "1 + 1.5": 2.5,
    "0x1F": 31,
    "1e3": 1000.0,
    ".5": 0.5,
    "-9223372036854775808": -(2**63),
    "1 < 2 && 2 <= 2 && 3 > 2 && 2 >= 2": True,
    "1 == 2 == false": True,
    "1 != 2": True,
    "!true": False,
    "!!true": True,
    "true ? 1 : 2": 1,
    "false ? 1 : true ? 3 : 4": 3,
    r"'a' + \"b\\n\x41\101\u0041\U00000041\?\"".replace('\\"', '"'): "ab\\nAAAA?",
    r"'it\'s'": "it's",
    r"r'\n'": "\\n",
    "[1, 2] + [3]": [1, 2, 3],
    "[1, 2, 3,][1]": 2,
    "{'a': 1,}.a": 1,
    "{'a': 1}['a']": 1,
    "{}": {},
    "'a' in {'a': 1}": True,
    "1 in {'a': 1}": False,
    "3 in [1.0, 3.0]": True,
    "'a' < 'b'": True,
    "1 == '1'": False,
    "true == 1": False,
    "null == event.data.none": True,
    "[1, 'a'] == [1.0, 'a']": True,
    "[1] == [1, 2]": False,
    "{'a': [1]} == {'a': [1]}": True,
    "{'a': 1} == {'b': 1}": False,
    "event.data.label == 'cat' // a comment": True,
    "event['data'].x == 1.0": True,
    "has(event.data.x)": True,
    "has(event.data.nope.deeper)": False,
    "event.data.list.exists(a, a.y > 1)": True,
    "event.data.list.all(a, a.y > 1)": False,
    "event.data.list.exists_one(a, a.y > 1)": True,
    "event.data.list.map(a, a.y * 2)": [2, 4],
    "event.data.list.filter(a, a.y == 2).size()": 1,
    "{'k': 1}.map(k, k)": ["k"],
    "[1].map(event, event)[0]": 1,
    "[[1, 2], [3]].map(a, a.map(b, b + 1))": [[2, 3], [4]],
    "size('abc') + size([1]) + size({})": 4,
    "'abc'.contains('b') && 'abc'.startsWith('a') && !'abc'.endsWith('b')": True,
    "int('12') + int(3.9) + int(-3.9)": 12,
    "double('1.5') + double(1)": 2.5,
    "string(12) + string(1.5) + string(2.0) + string(true) + string(null) + 'a'.string()": (
        "121.52truenulla"
    ),
    "' ABC '.trim().lowerAscii()": "abc",
    "event.data.words.join('-')": "a-b",
    "1.257.round(1)": 1.3,
    "event.nope == 1 || true": True,
    "true || event.nope == 1": True,
    "false && event.nope == 1": False,
    "event.nope == 1 && false": False,
    "1 > 2 || 2 > 3 || false": False,
    "[1, 2].exists(a, 1 / (a - 1) > 0)": True,
    "[1, 2].all(a, 1 / (a - 1) > 5)": False,
    "[].all(a, a)": True,
}


@pytest.mark.parametrize("text", WORTH)
def test_an_expression_is_worth_what_the_standard_says(text: str):
    found = value(text)
    assert found == WORTH[text]
    assert type(found) is type(WORTH[text])


WRONG = {
    "": "at character 1: the end where a value",
    "event.": "at character 7: the end where a name",
    "1 +": "at character 4: the end where a value",
    "in": "`in` where a value",
    ")": "`)` where a value",
    "1 2": "at character 3: `2` where the end",
    "(1": "the end where `)`",
    "[1 2]": "`2` where `]`",
    "{'a' 1}": "`1` where `:`",
    "{'a': 1 2}": "`2` where `}`",
    "a ? b": "the end where `:`",
    " #": "at character 2: `#` cannot stand here",
    "'open": "`'` cannot stand here",
    r"'\q'": r"`\q` is no escape",
    r"'\ud800'": "is no character",
    r"'\U00110000'": "is no character",
    "9223372036854775808": "over 64 bits",
    "(" * 40: "nested over 32 deep",
    "1" + "+1" * 40: "nested over 32 deep",
    "1" * (MAX_LENGTH + 1): "2001 characters",
    "1e999": "`1e999` is too large",
    "f(1)": "no function `f`; there are all, contains",
    "x.f(1)": "no function `f`",
    "size()": r"written `size(x)`",
    "contains('a', 'b')": r"written `x.contains(y)`",
    "trim('a')": r"written `x.trim()`",
    "has(a)": r"written `has(map.key)`",
    "has(a.b, c)": r"written `has(map.key)`",
    "a.all(b)": r"written `list.all(x, expression with x)`",
    "a.all(1, b)": r"written `list.all",
}


@pytest.mark.parametrize("text", WRONG)
def test_what_cannot_be_read_says_at_which_character(text: str):
    with pytest.raises(CelError) as caught:
        cel.compiled(text)
    assert WRONG[text] in str(caught.value)


WITHOUT = {
    "nope": "at character 1: there is no `nope`; there are event, state",
    "1 / 0": "division by zero",
    "1 % 0.0": "division by zero",
    "9223372036854775807 + 1": "too large",
    "1e308 * 10": "too large",
    "-(-9223372036854775807 - 1)": "too large",
    "1 + 'a'": "string is no number",
    "-'a'": "string is no number",
    "'a' + true": "string is no number",
    "1 < 'a'": "int and string have no order",
    "1 in 2": "needs a list or a map, not int",
    "1 ? 2 : 3": "int is neither true nor false",
    "!null": "null is neither",
    "true && 1": "int is neither",
    "{1: 2}": "a key is a string, not int",
    "event.type.x": "string has no 'x'",
    "event[1]": "map has no 1",
    "[1]['a']": "list has no 'a'",
    "[1][true]": "list has no True",
    "1.all(a, a)": "needs a list or a map, not int",
    "[1].filter(a, a)": "int is neither",
    "size(1)": "size cannot take int 1",
    "int([])": "int cannot take list",
    "int('x')": "int cannot take string 'x'",
    "int(1e300)": "int cannot take double",
    "double(true)": "double cannot take bool",
    "double('inf')": "double cannot take string",
    "string([])": "a text cannot hold a list",
    "'a'.contains(1)": "contains cannot take string 'a', int 1",
    "'a'.join('b')": "join cannot take string 'a'",
    "[1].join('b')": "join cannot take list",
    "'a'.round(1)": "round cannot take string 'a'",
    "1.5.round(99)": "round cannot take double 1.5, int 99",
}


@pytest.mark.parametrize("text", WITHOUT)
def test_what_has_no_value_says_why(text: str):
    with pytest.raises(CelError, match=WITHOUT[text]):
        value(text)


@pytest.mark.parametrize("text", ["event.nope", "[1][1]", "[1][-1]", "event.nope == 1 && true"])
def test_what_is_missing_is_an_error_of_its_own(text: str):
    with pytest.raises(MissingError, match="there is no"):
        value(text)


def test_every_evaluation_ends():
    hundred = str(list(range(100)))
    text = "list.all(a, list.all(b, list.all(c, a + b + c >= 0)))"
    with pytest.raises(CelError, match="over 20000 steps"):
        cel.compiled(text.replace("list", hundred)).evaluate({})
    with pytest.raises(CelError, match="over 20000 steps"):
        value(f"{hundred}.exists(a, {hundred}.exists(b, {hundred}.exists(c, false))) || true")
    with pytest.raises(CelError, match="over 20000 steps"):
        cel.compiled("x + x").evaluate({"x": "a" * 10**6})
    with pytest.raises(CelError, match="join cannot take"):
        cel.compiled("x.join(y)").evaluate({"x": ["a"] * 1000, "y": "b" * 1000})


def test_a_macros_name_ends_with_it_even_if_it_fails():
    assert value("[1].map(x, x)[0] == 1 && ([1, 0].exists(state, 1 / state > 5) || state.b < 1)")


def test_the_names_that_it_needs_are_known_without_those_that_it_binds():
    assert cel.compiled("a.exists(x, x == b) || x.y").names == {"a", "b", "x"}
    assert cel.template("${a} and ${b.map(c, c)}").names == {"a", "b"}


def test_truth_is_asked_for():
    assert cel.compiled("state.b < 1").holds(NAMES)
    with pytest.raises(CelError, match="double is neither"):
        cel.compiled("state.b").holds(NAMES)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", ""),
        ("plain", "plain"),
        ("I see ${event.data.label}.", "I see cat."),
        ("${event.data.x}", 1),
        ("${event.data.x}${event.data.x}", "11"),
        ("$5, $$ and $", "$5, $ and $"),
        ("$${x}", "${x}"),
        ("${ {'a': '}'}.a } it's #", "} it's #"),
    ],
)
def test_a_text_holds_expressions(text: str, found):
    assert cel.template(text).evaluate(NAMES) == found


def test_a_text_with_a_wrong_expression_says_where():
    with pytest.raises(CelError, match="at character 8: the end where `}`"):
        cel.template("a ${b.c")
    with pytest.raises(CelError, match="a text cannot hold a map"):
        cel.template("a ${event.data}").evaluate(NAMES)
