"""Where this installation keeps its files: those it ships, those it writes, those it fetches."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from mtor_swarm.errors import SwarmError

_SHIPPED = Path("share", "mtor_swarm")
_CHECKOUT = Path(__file__).resolve().parents[2]


def share() -> Path:
    """The folder with `config`, `launch` and `sim`.

    A checkout is its own truth, though an older copy of it may be installed. Else the files are
    in a ROS prefix (`AMENT_PREFIX_PATH`) or under `sys.prefix`; SwarmError where neither has them.
    """
    if (_CHECKOUT / "package.xml").is_file():
        return _CHECKOUT
    prefixes = [*filter(None, os.environ.get("AMENT_PREFIX_PATH", "").split(":")), sys.prefix]
    for prefix in prefixes:
        found = Path(prefix) / _SHIPPED
        if (found / "package.xml").is_file():
            return found
    raise SwarmError(
        f"{_SHIPPED} is in none of {', '.join(prefixes)}: install mtor_swarm anew, or source the "
        "workspace that it was built in"
    )


def state_home() -> Path:
    """Where realms keep identities, boot counts and latches, unless their config says."""
    return _home("XDG_STATE_HOME", ".local/state")


def unit_state(state_dir: str, unit: str) -> Path:
    """The folder with a unit's identity, boot count and latch; `state_dir` is its config's."""
    return Path(state_dir).expanduser() if state_dir else state_home() / unit


def cache_home() -> Path:
    """Where fetched model weights lie: `$MTOR_CACHE`, else the user's cache."""
    own = os.environ.get("MTOR_CACHE")
    return Path(own).expanduser() if own else _home("XDG_CACHE_HOME", ".cache")


def _home(variable: str, usual: str) -> Path:
    return Path(os.environ.get(variable) or Path.home() / usual) / "mtor_swarm"


def named(folder: str, name: str) -> tuple[Path | None, str]:
    """A YAML file shipped in `config/FOLDER` by its name, or the path of one of your own.

    None if it is neither; then the other value says which are shipped.
    """
    own = Path(name).expanduser()
    if own.suffix in {".yaml", ".yml"} or own.name != name:
        return own, ""
    shipped = share() / "config" / folder / f"{name}.yaml"
    if shipped.is_file():
        return shipped, ""
    return None, ", ".join(sorted(each.stem for each in shipped.parent.glob("*.yaml"))) or "none"
