"""Scenarios in TOML: what befalls a simulated swarm, and what must hold all the same.

Times are virtual seconds after the swarm has met. `share` is of the members that run by then.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from mtor_swarm.config import GossipConfig
from mtor_swarm.errors import ConfigError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SHIPPED = Path(__file__).with_name("scenarios")
MAX_BYTES = 64 * 1024
Share = Annotated[float, Meta(ge=0, le=1)]
Seconds = Annotated[float, Meta(ge=0, le=86_400)]
Longer = Annotated[float, Meta(gt=0, le=86_400)]


class _Step(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="do"):
    """Something that happens at a time; `for_s` 0: it stays so."""

    at_s: Seconds


class Loss(_Step, frozen=True, kw_only=True, tag="loss"):
    """That share of all datagrams is lost; streams are late instead."""

    share: Share
    for_s: Seconds = 0.0


class Delay(_Step, frozen=True, kw_only=True, tag="delay"):
    """Frames take from `least_s` to `most_s`, evenly spread, and so overtake each other."""

    least_s: Seconds
    most_s: Seconds
    for_s: Seconds = 0.0


class Duplicate(_Step, frozen=True, kw_only=True, tag="duplicate"):
    """That share of datagrams comes twice."""

    share: Share
    for_s: Seconds = 0.0


class Part(_Step, frozen=True, kw_only=True, tag="part"):
    """A share of the members and the rest hear nothing of each other."""

    share: Share
    for_s: Seconds = 0.0


class Kill(_Step, frozen=True, kw_only=True, tag="kill"):
    """A share of the members end at once, without a word."""

    share: Share


class Stop(_Step, frozen=True, kw_only=True, tag="stop"):
    """A share of the members stand still (SIGSTOP), then go on."""

    share: Share
    for_s: Longer


class Overload(_Step, frozen=True, kw_only=True, tag="overload"):
    """A share of the members run late: again and again they stand still for up to `late_s`."""

    share: Share
    for_s: Longer
    late_s: Longer


class Churn(_Step, frozen=True, kw_only=True, tag="churn"):
    """Every `every_s` one member is killed, and restarts with a new boot after `down_s`."""

    every_s: Longer
    down_s: Seconds
    for_s: Longer


class Join(_Step, frozen=True, kw_only=True, tag="join"):
    """New members come, as many as that share of those that run."""

    share: Share


Step = Loss | Delay | Duplicate | Part | Kill | Stop | Overload | Churn | Join


class Traffic(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Events from members chosen at random, the whole swarm together `rate_hz`.

    `publishers`: only so many publish, those that are there longest; 0: all do.
    """

    rate_hz: Annotated[float, Meta(ge=0, le=10_000)] = 5.0
    size_bytes: Annotated[int, Meta(ge=0, le=8192)] = 200
    publishers: Annotated[int, Meta(ge=0, le=100_000)] = 0


class Scenario(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One scenario. It lasts `for_s`, then `settle_s` at most until all is well again."""

    about: Annotated[str, Meta(min_length=1, max_length=200)]
    for_s: Longer = 30.0
    settle_s: Longer = 60.0
    false_deaths: bool = False
    """Whether a live member may be held for dead: it cannot be helped when a swarm is parted."""
    loss: Share = 0.0
    events: Traffic = Traffic()
    gossip: GossipConfig = GossipConfig()
    steps: Annotated[list[Step], Meta(max_length=1000)] = []


def shipped() -> list[str]:
    """The names of the scenarios that come with the package."""
    return sorted(each.stem for each in SHIPPED.glob("*.toml"))


def load(name: str) -> Scenario:
    """A shipped scenario by its name, or a file's; ConfigError names file and key."""
    path = Path(name) if "/" in name or name.endswith(".toml") else SHIPPED / f"{name}.toml"
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ConfigError(f"{path}: over {MAX_BYTES} bytes, no scenario is that large")
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(
            f"no scenario {name!r}; there are {', '.join(shipped())}, or give a file.toml"
        ) from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: is not UTF-8 text") from None
    return parse(text, str(path))


def parse(text: str, name: str = "<text>") -> Scenario:
    """TOML text as a scenario; `name` is what errors call it."""
    try:
        return msgspec.convert(tomllib.loads(text), Scenario)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{name}: not valid TOML: {error}") from None
    except msgspec.ValidationError as error:
        raise ConfigError(f"{name}: {_told(str(error))}") from None


def _told(message: str) -> str:
    """msgspec's message, its key first: `steps[0].share: ...`."""
    text, _, where = message.partition(" - at `")
    key = where.rstrip("`").removeprefix("$").lstrip(".")
    unknown = re.search(r"unknown field `([^`]*)`", text)
    missing = re.search(r"missing required field `([^`]*)`", text)
    named = unknown or missing
    if named:
        key = f"{key}.{named.group(1)}".lstrip(".")
        text = "unknown key" if unknown else "this key is missing"
    return f"{key}: {text}" if key else text
