"""YAML text → frozen, validated structs; a mistake is named by file, line and key.

Unknown keys, wrong types, values out of range, infinities, duplicate keys, aliases and YAML errors
all raise ConfigError with the place.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import yaml

from mtor_swarm.errors import ConfigError

MAX_CONFIG_BYTES = 1024 * 1024

S = TypeVar("S", bound=msgspec.Struct)
Trace = Callable[[str], str]


def load(path: str | Path, cls: type[S]) -> S:
    """The file as a `cls`; ConfigError names file, line and key of the first mistake."""
    return parse(read(path), cls, name=str(path))


def keys(path: str | Path) -> list[str]:
    """The keys at the top of a file, as they stand there: they tell what sort of file it is."""
    plain = _values(read(path), str(path), {})
    return list(plain) if isinstance(plain, dict) else []


def parse(text: str, cls: type[S], name: str = "<text>") -> S:
    """YAML text as a `cls`; `name` is what errors call it."""
    return parse_traced(text, cls, name)[0]


def parse_traced(text: str, cls: type[S], name: str) -> tuple[S, Trace]:
    """The same, and what names file, line and key of a path in it (`$.rules[0].when`)."""
    lines: dict[str, int] = {}
    plain = _values(text, name, lines)
    try:
        found = msgspec.convert(plain, cls)
    except msgspec.ValidationError as error:
        raise _located(str(error), lines, name) from None
    return found, lambda path: f"{name}:{lines.get(path, 1)}: {_key(path).removesuffix(': ')}"


def dump(config: msgspec.Struct) -> str:
    """The struct as YAML text that `parse` reads back."""
    return yaml.safe_dump(msgspec.to_builtins(config), sort_keys=False, allow_unicode=True)


class _Loader(yaml.SafeLoader):
    """YAML without aliases: a few lines of them unfold into gigabytes."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            alias = self.peek_event()  # type: ignore[no-untyped-call]  # untyped in types-PyYAML
            problem = f"the alias *{alias.anchor} is not allowed; write its value out"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=alias.start_mark)
        return super().compose_node(parent, index)


def read(path: str | Path) -> str:
    """A file's text; ConfigError if it cannot be read or is larger than any config."""
    path = Path(path)
    try:
        if path.stat().st_size > MAX_CONFIG_BYTES:
            raise ConfigError(f"{path}: over {MAX_CONFIG_BYTES} bytes, no config is that large")
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: is not UTF-8 text") from None


def _values(text: str, name: str, lines: dict[str, int]) -> Any:
    """YAML text as plain values; notes every key's line."""
    try:
        node = yaml.compose(text, Loader=_Loader)
        return {} if node is None else _plain(node, "$", lines, name)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or " ".join(str(error).split())
        raise ConfigError(f"{name}{line}: not valid YAML: {problem}") from None
    except RecursionError:
        raise ConfigError(f"{name}: nested too deeply") from None


def _plain(node: yaml.Node, path: str, lines: dict[str, int], name: str) -> Any:
    """The node's value, with the line of every key noted under its path (`$.a.b[0]`)."""
    lines[path] = node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                raise ConfigError(f"{name}:{line}: a key must be a word")
            key = str(key_node.value)
            if key in found:
                raise ConfigError(f"{name}:{line}: `{key}` stands here twice; keep one")
            found[key] = _plain(value_node, f"{path}.{key}", lines, name)
            lines[f"{path}.{key}"] = line
        return found
    if isinstance(node, yaml.SequenceNode):
        return [_plain(each, f"{path}[{i}]", lines, name) for i, each in enumerate(node.value)]
    return _scalar(node, path, name)


def _scalar(node: yaml.Node, path: str, name: str) -> Any:
    """A single value: finite if it is a number, and what its tag says it is."""
    where = f"{name}:{node.start_mark.line + 1}: {_key(path)}"
    try:
        value = yaml.SafeLoader("").construct_object(node)
        finite = not isinstance(value, (int, float)) or math.isfinite(value)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        # PyYAML's constructors raise whatever they stumble over, such as `!!bool maybe`.
        raise ConfigError(f"{where}{node.value!r:.80} is not a {node.tag[18:]}") from None
    if not finite:
        raise ConfigError(f"{where}{node.value} is not a finite number")
    return value


def _key(path: str) -> str:
    """`$.a.b` as errors show it: `a.b: `; nothing for the top."""
    key = path.removeprefix("$").lstrip(".")
    return f"{key}: " if key else ""


def _located(message: str, lines: dict[str, int], name: str) -> ConfigError:
    """msgspec's message with the line and the key that it speaks of."""
    text, _, where = message.partition(" - at `")
    path = where.rstrip("`") or "$"
    unknown = re.search(r"unknown field `([^`]*)`", text)
    missing = re.search(r"missing required field `([^`]*)`", text)
    if unknown:
        path = f"{path}.{unknown.group(1)}"
        text = "unknown key"
    elif missing:
        text = f"the key `{missing.group(1)}` is missing"
    return ConfigError(f"{name}:{lines.get(path, 1)}: {_key(path)}{text}")
