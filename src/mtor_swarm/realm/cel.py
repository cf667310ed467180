"""Evaluates expressions of the Common Expression Language (CEL) over JSON values, within bounds.

`compiled("event.data.score > 0.5")` is made once and asked often. What is not in the language
cannot be said: no assignment, no call but of the functions here, no loop but over a list or a map.
Each evaluation has a budget, so that every one ends. Two departures from the standard: whole
numbers and others may be mixed in arithmetic, since JSON does not tell 1 from 1.0, and there is no
`matches`, since Python's regular expressions know no bound.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mtor_swarm.realm.cel_parse import (
    CelError,
    MissingError,
    Node,
    parse,
    parse_template,
)
from mtor_swarm.realm.cel_values import (
    FUNCTIONS,
    arithmetic,
    equal,
    is_number,
    kind,
    number,
    numeric,
    sized,
    text,
    truth,
    within,
    wrong,
)

BUDGET = 20_000
"""Steps of one evaluation; each operation is one, as are 64 characters or items that it makes."""
MACROS = {"all", "exists", "exists_one", "filter", "map"}
ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class _CostError(CelError):
    """It costs too much: `||` and `&&` do not make up for that, as they do for other errors."""


class Scope:
    """The names that an expression may use, and what it may still cost."""

    def __init__(self, names: Mapping[str, Any], budget: int = BUDGET) -> None:
        self.names = dict(names)
        self._left = budget

    def spend(self, steps: int = 1) -> None:
        """Count steps; CelError when they are too many."""
        self._left -= steps
        if self._left < 0:
            raise _CostError(f"it takes over {BUDGET} steps: look at less")


Evaluate = Callable[[Scope], Any]


@dataclass(frozen=True)
class Expression:
    """One compiled expression, or a text with some in it; `names` is what it needs."""

    source: str
    names: frozenset[str]
    _run: Evaluate

    def evaluate(self, names: Mapping[str, Any]) -> Any:
        """Its value: JSON's types; CelError says why it has none, MissingError what is lacking."""
        return self._run(Scope(names))

    def holds(self, names: Mapping[str, Any]) -> bool:
        """Whether it is true; CelError if it is neither true nor false."""
        return truth(self.evaluate(names), 0)


def compiled(source: str) -> Expression:
    """The expression in a text; CelError says at which character it is wrong."""
    tree = parse(source)
    return Expression(source, frozenset(_free(tree, frozenset())), _made(tree))


def template(source: str) -> Expression:
    """A text such as `I see ${event.data.label}`; of one expression alone, that one's value."""
    pieces = parse_template(source)
    trees = [each for each in pieces if isinstance(each, Node)]
    names = frozenset(name for each in trees for name in _free(each, frozenset()))
    if len(pieces) == 1 and trees:
        return Expression(source, names, _made(trees[0]))
    parts = [each if isinstance(each, str) else _made(each) for each in pieces]

    def run(scope: Scope) -> str:
        found = "".join(each if isinstance(each, str) else text(each(scope)) for each in parts)
        scope.spend(len(found) // 64)
        return found

    return Expression(source, names, run)


def _free(node: Node, bound: frozenset[str]) -> Iterator[str]:
    """The names that it needs, but those that its own macros bind."""
    if node.kind == "name" and node.value not in bound:
        yield node.value
    parts = node.parts
    if _is_macro(node):
        yield from _free(parts[0], bound)
        bound |= {parts[1].value}
        parts = parts[2:]
    for each in parts:
        yield from _free(each, bound)


def _is_macro(node: Node) -> bool:
    return node.kind == "call" and node.value[1] and node.value[0] in MACROS


def _made(node: Node) -> Evaluate:
    """What evaluates it: closures over closures, which Python runs faster than it walks trees."""
    if _is_macro(node):
        return _macro(node)
    if node.kind == "call":
        return _call(node)
    parts = [_made(each) for each in node.parts]
    if node.kind in {"&&", "||"}:
        return _logical(parts, node.kind == "||", node.at)
    return _PLAIN.get(node.kind, _binary)(node, parts)


def _value(node: Node, parts: list[Evaluate]) -> Evaluate:
    return lambda scope: node.value


def _name(node: Node, parts: list[Evaluate]) -> Evaluate:
    def run(scope: Scope) -> Any:
        scope.spend()
        try:
            return scope.names[node.value]
        except KeyError:
            known = ", ".join(sorted(scope.names))
            raise wrong(node.at, f"there is no `{node.value}`; there are {known}") from None

    return run


def _field(node: Node, parts: list[Evaluate]) -> Evaluate:
    (of,) = parts

    def run(scope: Scope) -> Any:
        scope.spend()
        return _item(of(scope), node.value, node.at)

    return run


def _index(node: Node, parts: list[Evaluate]) -> Evaluate:
    of, key = parts

    def run(scope: Scope) -> Any:
        scope.spend()
        return _item(of(scope), key(scope), node.at)

    return run


def _item(of: Any, key: Any, at: int) -> Any:
    if isinstance(of, Mapping) and isinstance(key, str):
        if key in of:
            return of[key]
        raise MissingError(f"at character {at + 1}: there is no `{key:.40}` in it")
    if isinstance(of, list) and kind(key) == "int":
        if 0 <= key < len(of):
            return of[key]
        raise MissingError(f"at character {at + 1}: there is no place {key} in {len(of)}")
    raise wrong(at, f"{kind(of)} has no {key!r:.40}")


def _list(node: Node, parts: list[Evaluate]) -> Evaluate:
    def run(scope: Scope) -> Any:
        scope.spend()
        return [each(scope) for each in parts]

    return run


def _map(node: Node, parts: list[Evaluate]) -> Evaluate:
    def run(scope: Scope) -> Any:
        scope.spend()
        found = {}
        for key, value in zip(parts[::2], parts[1::2], strict=True):
            name = key(scope)
            if not isinstance(name, str):
                raise wrong(node.at, f"a key is a string, not {kind(name)}")
            found[name] = value(scope)
        return found

    return run


def _choice(node: Node, parts: list[Evaluate]) -> Evaluate:
    test, yes, no = parts

    def run(scope: Scope) -> Any:
        scope.spend()
        return yes(scope) if truth(test(scope), node.at) else no(scope)

    return run


def _not(node: Node, parts: list[Evaluate]) -> Evaluate:
    (of,) = parts
    return lambda scope: not truth(of(scope), node.at)


def _negative(node: Node, parts: list[Evaluate]) -> Evaluate:
    (of,) = parts
    return lambda scope: number(-numeric(of(scope), node.at), node.at)


def _binary(node: Node, parts: list[Evaluate]) -> Evaluate:
    left, right = parts
    at, sign = node.at, node.kind

    def run(scope: Scope) -> Any:
        scope.spend()
        a, b = left(scope), right(scope)
        if sign in {"==", "!="}:
            return equal(scope.spend, a, b) == (sign == "==")
        if sign == "in":
            return within(scope.spend, a, b, at)
        if sign in ORDER:
            if not (is_number(a) and is_number(b)) and (kind(a), kind(b)) != _STRINGS:
                raise wrong(at, f"{kind(a)} and {kind(b)} have no order")
            return ORDER[sign](a, b)
        if sign == "+" and type(a) is type(b) and isinstance(a, (str, list)):
            return sized(scope.spend, a + b)
        return number(arithmetic(sign, numeric(a, at), numeric(b, at), at), at)

    return run


_STRINGS = ("string", "string")
_PLAIN: dict[str, Callable[[Node, list[Evaluate]], Evaluate]] = {
    "value": _value,
    "name": _name,
    "field": _field,
    "index": _index,
    "list": _list,
    "map": _map,
    "?:": _choice,
    "!": _not,
    "neg": _negative,
}


def _logical(parts: Iterable[Evaluate], decisive: bool, at: int) -> Evaluate:
    """`||` (`decisive` is True) or `&&`: an operand that decides makes up for others' errors."""

    def run(scope: Scope) -> bool:
        scope.spend()
        return _folded((functools.partial(each, scope) for each in parts), decisive, at)

    return run


def _folded(operands: Iterable[Callable[[], Any]], decisive: bool, at: int) -> bool:
    problem: CelError | None = None
    for each in operands:
        try:
            if truth(each(), at) is decisive:
                return decisive
        except _CostError:
            raise
        except CelError as error:
            problem = problem or error
    if problem is not None:
        raise problem
    return not decisive


def _macro(node: Node) -> Evaluate:
    """`list.all(x, test)` and its like; of a map they see the keys."""
    macro, at = node.value[0], node.at
    if len(node.parts) != 3 or node.parts[1].kind != "name":
        raise wrong(at, f"it is written `list.{macro}(x, expression with x)`")
    of, inner, name = _made(node.parts[0]), _made(node.parts[2]), node.parts[1].value

    def run(scope: Scope) -> Any:
        found = of(scope)
        if not isinstance(found, (list, Mapping)):
            raise wrong(at, f"{macro} needs a list or a map, not {kind(found)}")
        outer = scope.names

        def bound(item: Any) -> Any:
            scope.spend()
            scope.names = {**outer, name: item}
            return inner(scope)

        try:
            if macro in {"all", "exists"}:
                each = (functools.partial(bound, item) for item in found)
                return _folded(each, macro == "exists", at)
            if macro == "map":
                return [bound(each) for each in found]
            kept = [each for each in found if truth(bound(each), at)]
        finally:
            scope.names = outer
        return len(kept) == 1 if macro == "exists_one" else kept

    return run


def _call(node: Node) -> Evaluate:
    (name, method), at = node.value, node.at
    if name == "has":
        return _has(node)
    known = FUNCTIONS.get(name)
    if known is None:
        names = ", ".join(sorted({*FUNCTIONS, *MACROS, "has"}))
        raise wrong(at, f"there is no function `{name}`; there are {names}")
    function, count, either = known
    if len(node.parts) != count or not (method or either):
        form = f"x.{name}({', '.join('yz'[: count - 1])})" if not either else f"{name}(x)"
        raise wrong(at, f"it is written `{form}`")
    parts = [_made(each) for each in node.parts]

    def run(scope: Scope) -> Any:
        scope.spend()
        values = [each(scope) for each in parts]
        try:
            return sized(scope.spend, function(*values))
        except (TypeError, ValueError, OverflowError, AttributeError):
            shown = ", ".join(f"{kind(each)} {each!r:.40}" for each in values)
            raise wrong(at, f"{name} cannot take {shown}") from None

    return run


def _has(node: Node) -> Evaluate:
    """Whether a map has a key, or what leads there: `has(event.data.label)`."""
    if len(node.parts) != 1 or node.parts[0].kind != "field":
        raise wrong(node.at, "it is written `has(map.key)`")
    of = _made(node.parts[0])

    def run(scope: Scope) -> bool:
        try:
            of(scope)
        except MissingError:
            return False
        return True

    return run
