"""The values that CEL expressions are about, JSON's, and what can be done with them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from mtor_swarm.realm.cel_parse import CelError

INT_MAX = 2**63
MAX_TEXT = 64 * 1024
"""Characters that `join` makes at most, as an event has."""
_KINDS: tuple[tuple[type, str], ...] = (
    (bool, "bool"),  # before int, which it is one of in Python
    (int, "int"),
    (float, "double"),
    (str, "string"),
    (list, "list"),
    (Mapping, "map"),
)
Spend = Callable[[int], None]


def wrong(at: int, problem: str) -> CelError:
    """What is wrong, and where (from 0)."""
    return CelError(f"at character {at + 1}: {problem}")


def kind(value: Any) -> str:
    """What CEL calls the value's type."""
    return next((name for cls, name in _KINDS if isinstance(value, cls)), "null")


def is_number(value: Any) -> bool:
    """Whether it is a number, which true and false are not."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def truth(value: Any, at: int) -> bool:
    """The value, if it is true or false; else CelError."""
    if isinstance(value, bool):
        return value
    raise wrong(at, f"{kind(value)} is neither true nor false")


def numeric(value: Any, at: int) -> int | float:
    """The value, if it is a number; else CelError."""
    if is_number(value):
        number: int | float = value
        return number
    raise wrong(at, f"{kind(value)} is no number; string(x) makes a text of anything")


def number(value: int | float, at: int) -> int | float:
    """The value, if it is finite and, if whole, of 64 bits; else CelError."""
    fits = math.isfinite(value) if isinstance(value, float) else -INT_MAX <= value < INT_MAX
    if not fits:
        raise wrong(at, "the result is too large")
    return value


def arithmetic(sign: str, a: int | float, b: int | float, at: int) -> int | float:
    """`+ - * / %` of numbers; of whole ones / and % round towards zero, as in C."""
    if sign in {"/", "%"} and b == 0:
        raise wrong(at, "division by zero")
    if sign == "+":
        return a + b
    if sign == "-":
        return a - b
    if sign == "*":
        return a * b
    if isinstance(a, int) and isinstance(b, int):
        quotient = abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)
        return quotient if sign == "/" else a - quotient * b
    return a / b if sign == "/" else math.fmod(a, b)


def equal(spend: Spend, a: Any, b: Any) -> bool:
    """Whether they are the same; values of different types are not, whatever numbers they are."""
    spend(1)
    if is_number(a) and is_number(b):
        return bool(a == b)
    if kind(a) != kind(b):
        return False
    if isinstance(a, list):
        return len(a) == len(b) and all(equal(spend, x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, Mapping):
        return a.keys() == b.keys() and all(equal(spend, a[key], b[key]) for key in a)
    return bool(a == b)


def within(spend: Spend, item: Any, of: Any, at: int) -> bool:
    """`item in of`: a value of a list, a key of a map."""
    if isinstance(of, list):
        return any(equal(spend, item, each) for each in of)
    if isinstance(of, Mapping):
        return isinstance(item, str) and item in of
    raise wrong(at, f"`in` needs a list or a map, not {kind(of)}")


def sized(spend: Spend, value: Any) -> Any:
    """The value, paid for by its length."""
    if isinstance(value, (str, list)):
        spend(len(value) // 64)
    return value


def text(value: Any) -> str:
    """A value as people read it; CelError for a list or a map."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if value is None:
        return "null"
    if isinstance(value, (int, float)):
        return str(value).removesuffix(".0")
    raise CelError(f"a text cannot hold a {kind(value)}; a list has x.join(', ')")


def _size(value: Any) -> int:
    if isinstance(value, (str, list, Mapping)):
        return len(value)
    raise TypeError


def _int(value: Any) -> int:
    """As in C, towards zero; of a text its digits."""
    if is_number(value):
        found = int(value)
    elif isinstance(value, str) and len(value) <= 20:
        found = int(value, 10)
    else:
        raise TypeError
    if not -INT_MAX <= found < INT_MAX:
        raise OverflowError
    return found


def _double(value: Any) -> float:
    if isinstance(value, bool):
        raise TypeError
    found = float(value)
    if not math.isfinite(found):
        raise ValueError
    return found


def _contains(value: Any, part: Any) -> bool:
    return _str(part) in _str(value)


def _joined(parts: Any, between: Any) -> str:
    if not isinstance(parts, list):
        raise TypeError
    if sum(len(_str(each)) + len(_str(between)) for each in parts) > MAX_TEXT:
        raise OverflowError
    return _str(between).join(parts)


def _str(value: Any) -> str:
    if isinstance(value, str):
        return value
    raise TypeError


def _round(value: Any, digits: Any) -> float:
    if not (is_number(value) and kind(digits) == "int" and 0 <= digits <= 9):
        raise TypeError
    return float(round(value, digits))


FUNCTIONS: dict[str, tuple[Callable[..., Any], int, bool]] = {
    "size": (_size, 1, True),
    "int": (_int, 1, True),
    "double": (_double, 1, True),
    "string": (text, 1, True),
    "contains": (_contains, 2, False),
    "startsWith": (lambda value, part: _str(value).startswith(_str(part)), 2, False),
    "endsWith": (lambda value, part: _str(value).endswith(_str(part)), 2, False),
    "lowerAscii": (lambda value: _str(value).lower(), 1, False),
    "trim": (lambda value: _str(value).strip(), 1, False),
    "join": (_joined, 2, False),
    "round": (_round, 2, False),
}
"""Each with how many values it takes, and whether it may stand before them: `size(x)`."""
