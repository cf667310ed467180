"""Reads expressions of the Common Expression Language (CEL) into trees.

The grammar is that of https://github.com/google/cel-spec, `doc/langdef.md`, without bytes,
unsigned numbers, triple-quoted strings and protobuf messages: rules speak of JSON alone.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mtor_swarm.errors import SwarmError

MAX_LENGTH = 2000
"""Characters of an expression."""
MAX_DEPTH = 32
"""How deep it may be nested; `a || b || c` is one level, `a + b + c` are two."""
DEEP = f"nested over {MAX_DEPTH} deep"
LEVELS = {"||": 1, "&&": 2, "+": 4, "-": 4, "*": 5, "/": 5, "%": 5}
LEVELS |= dict.fromkeys(("<", "<=", ">", ">=", "==", "!=", "in"), 3)
"""The binary operators, by how tightly they bind."""
LOGICAL = 2
"""Up to this level an operator takes any number of operands."""
ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}

_TOKEN = re.compile(
    r"""\s*(?://[^\n]*\s*)*(?:
    (?P<double>\d+\.\d+(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+|\.\d+(?:[eE][+-]?\d+)?)
    |(?P<int>0[xX][0-9a-fA-F]+|\d+)
    |(?P<raw>[rR](?:"[^"\n]*"|'[^'\n]*'))
    |(?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<sign>\|\||&&|[<>=!]=|[-+*/%<>!?:.,()\[\]{}])
    |(?P<end>\Z))""",
    re.VERBOSE,
)
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-3][0-7]{2}|.)")


class CelError(SwarmError):
    """An expression cannot be read, or has no value; says at which character of it, and why."""


class MissingError(CelError):
    """It asks for a key or a place that is not there."""


@dataclass(frozen=True)
class Node:
    """One operation. `kind`: value, name, field, index, call, list, map, ?:, or an operator."""

    kind: str
    at: int
    parts: tuple[Node, ...] = ()
    value: Any = None
    depth: int = 1


def parse(text: str) -> Node:
    """The tree of an expression; CelError if it is none."""
    reader = _Reader(text, 0)
    node = reader.expression()
    reader.expect("end", "")
    return node


def parse_template(text: str) -> list[str | Node]:
    """A text with expressions in it, as `I see ${event.data.label}`; `$$` is a dollar sign."""
    pieces: list[str | Node] = []
    at, plain = 0, ""
    while (found := text.find("$", at)) >= 0:
        plain += text[at:found]
        after = text[found : found + 2]
        if after == "${":
            reader = _Reader(text, found + 2)
            node = reader.expression()
            at = reader.brace()
            pieces += [plain, node] if plain else [node]
            plain = ""
        else:
            plain += "$"
            at = found + (2 if after == "$$" else 1)
    plain += text[at:]
    return [*pieces, plain] if plain or not pieces else pieces


class _Reader:
    """One token ahead of where it reads."""

    def __init__(self, text: str, at: int) -> None:
        if len(text) > MAX_LENGTH:
            raise CelError(f"{len(text)} characters; an expression has {MAX_LENGTH} at most")
        self._text = text
        self._at = self._end = at
        self._kind = self._word = ""
        self._depth = 0
        self._next()

    def expression(self) -> Node:
        """A whole expression, with its `? :`."""
        self._depth += 1
        at = self._at
        if self._depth > MAX_DEPTH:
            raise self._error(at, DEEP)
        node = self._binary(1)
        if self._took("sign", "?"):
            yes = self._binary(1)
            self.expect("sign", ":")
            node = self._node("?:", at, (node, yes, self.expression()))
        self._depth -= 1
        return node

    def brace(self) -> int:
        """Where the `}` ends that stands here; what follows it is no expression any more."""
        if self._word != "}":
            raise self._error(self._at, f"{self._shown()} where `}}` is expected")
        return self._end

    def expect(self, kind: str, word: str) -> None:
        """Take this token; CelError if another one stands there."""
        if not self._took(kind, word):
            wanted = f"`{word}`" if word else "the end"
            raise self._error(self._at, f"{self._shown()} where {wanted} is expected")

    def _binary(self, least: int) -> Node:
        """Operands and the operators between them that bind as tightly as `least`, or more."""
        node = self._unary()
        while (level := self._level()) >= least:
            at, sign = self._at, self._word
            self._next()
            other = self._binary(level + 1)
            flat = level <= LOGICAL and node.kind == sign
            node = self._node(sign, at, (*(node.parts if flat else (node,)), other))
        return node

    def _level(self) -> int:
        """How tightly the operator that stands here binds; 0 if there is none."""
        return LEVELS.get(self._word, 0) if self._kind in {"sign", "name"} else 0

    def _unary(self) -> Node:
        at, sign, count = self._at, self._word, 0
        while self._kind == "sign" and self._word == sign and sign in {"!", "-"}:
            count += 1
            self._next()
        if count % 2 and sign == "-" and self._kind == "int" and self._digits() == 2**63:
            self._next()  # the least number, which has no positive counterpart
            return self._node("value", at, value=-(2**63))
        node = self._member()
        if count == 0:
            return node
        node = self._node("neg" if sign == "-" else sign, at, (node,))
        return node if count % 2 else self._node(node.kind, at, (node,))

    def _member(self) -> Node:
        node = self._primary()
        while True:
            at = self._at
            if self._took("sign", "."):
                name = self._name()
                if self._took("sign", "("):
                    parts = (node, *self._list(")"))
                    node = self._node("call", at, parts, (name, True))
                else:
                    node = self._node("field", at, (node,), name)
            elif self._took("sign", "["):
                node = self._node("index", at, (node, self.expression()))
                self.expect("sign", "]")
            else:
                return node

    def _primary(self) -> Node:
        at, kind, word = self._at, self._kind, self._word
        if kind == "end" or (kind == "sign" and word not in {"(", "[", "{"}) or word == "in":
            raise self._error(at, f"{self._shown()} where a value is expected")
        if kind == "int" and self._digits() >= 2**63:
            raise self._error(at, f"`{word[:40]}` is over 64 bits")
        if kind == "double" and math.isinf(float(word)):
            raise self._error(at, f"`{word[:40]}` is too large")
        value = self._literal()
        self._next()
        if kind == "sign":
            if word == "[":
                return self._node("list", at, tuple(self._list("]")))
            if word == "{":
                return self._node("map", at, tuple(self._pairs()))
            node = self.expression()
            self.expect("sign", ")")
            return node
        if kind != "name" or word in {"true", "false", "null"}:
            return self._node("value", at, value=value)
        if self._took("sign", "("):
            return self._node("call", at, tuple(self._list(")")), (word, False))
        return self._node("name", at, value=word)

    def _list(self, close: str) -> Iterator[Node]:
        """Expressions between commas, and what closes them; one comma may be too many."""
        while not self._took("sign", close):
            yield self.expression()
            if not self._took("sign", ","):
                self.expect("sign", close)
                return

    def _pairs(self) -> Iterator[Node]:
        while not self._took("sign", "}"):
            yield self.expression()
            self.expect("sign", ":")
            yield self.expression()
            if not self._took("sign", ","):
                self.expect("sign", "}")
                return

    def _name(self) -> str:
        name = self._word
        if self._kind != "name":
            raise self._error(self._at, f"{self._shown()} where a name is expected")
        self._next()
        return name

    def _literal(self) -> Any:
        kind, word = self._kind, self._word
        if kind == "int":
            return self._digits()
        if kind == "double":
            return float(word)
        if kind == "raw":
            return word[2:-1]
        if kind == "string":
            return _ESCAPE.sub(self._unescaped, word[1:-1])
        return {"true": True, "false": False}.get(word)

    def _digits(self) -> int:
        word = self._word
        return int(word, 16) if word[:2] in {"0x", "0X"} else int(word)

    def _unescaped(self, found: re.Match[str]) -> str:
        code = found.group(1)
        if len(code) == 1:
            if code.isalnum() and code not in ESCAPES:
                raise self._error(self._at, f"`\\{code}` is no escape; a backslash is `\\\\`")
            return ESCAPES.get(code, code)
        number = int(code, 8) if code[0].isdigit() else int(code[1:], 16)
        if number > 0x10FFFF or 0xD800 <= number < 0xE000:
            raise self._error(self._at, f"`\\{code}` is no character")
        return chr(number)

    def _took(self, kind: str, word: str) -> bool:
        took = self._kind == kind and self._word == word
        if took and kind != "end":
            self._next()
        return took

    def _next(self) -> None:
        found = _TOKEN.match(self._text, self._end)
        if found is None or found.lastgroup is None:
            rest = self._text[self._end :]
            at = self._end + len(rest) - len(rest.lstrip())
            raise self._error(at, f"`{self._text[at : at + 1]}` cannot stand here")
        self._kind, self._word = found.lastgroup, found.group(found.lastgroup)
        self._at, self._end = found.start(found.lastgroup), found.end()

    def _node(self, kind: str, at: int, parts: tuple[Node, ...] = (), value: Any = None) -> Node:
        depth = 1 + max((each.depth for each in parts), default=0)
        if depth > MAX_DEPTH:
            raise self._error(at, DEEP)
        return Node(kind, at, parts, value, depth)

    def _shown(self) -> str:
        return "the end" if self._kind == "end" else f"`{self._word[:40]}`"

    def _error(self, at: int, problem: str) -> CelError:
        return CelError(f"at character {at + 1}: {problem}")
