"""What an observer knows of the swarm: a bounded picture, pure."""

from __future__ import annotations

from collections import deque
from typing import Any

import msgspec

from mtor_swarm.events import Event, UnitState, event_to_dict
from mtor_swarm.swarm.gossip.membership import MemberInfo

MAX_EVENTS = 1000
MAX_UNITS = 8192


class Picture:
    """Units, members and recent events. Lost units stay, with when and where they were lost."""

    def __init__(self) -> None:
        self.units: dict[str, dict[str, Any]] = {}
        self.members: dict[str, dict[str, Any]] = {}
        self.events: deque[dict[str, Any]] = deque(maxlen=MAX_EVENTS)

    def event(self, event: Event) -> dict[str, Any]:
        """An event was heard."""
        self.events.append(event_to_dict(event))
        return self.events[-1]

    def member(self, info: MemberInfo, wall_s: float) -> list[tuple[str, dict[str, Any]]]:
        """A member is seen differently; what changed, as (kind, value)."""
        self.members[info.id] = msgspec.to_builtins(info)
        changed = [("member", self.members[info.id])]
        unit = self._unit(info) if info.role == "unit" else None
        if unit is not None:
            unit["member_state"] = info.state
            if info.state in ("dead", "left"):
                pose = (unit["state"] or {}).get("pose") or {}
                unit.update(lost_at_s=wall_s, lost_x_m=pose.get("x_m"), lost_y_m=pose.get("y_m"))
            elif info.state == "alive":
                unit.update(lost_at_s=None, lost_x_m=None, lost_y_m=None)
            changed.append(("unit", unit))
        return changed

    def _unit(self, info: MemberInfo) -> dict[str, Any] | None:
        """The unit that this member is; a live holder of the name comes before a lost one."""
        unit = self.units.get(info.unit)
        if unit is None:
            if len(self.units) >= MAX_UNITS:
                return None
            unit = self.units[info.unit] = {
                "unit": info.unit,
                "member": info.id,
                "member_state": info.state,
                "state": None,
                "heard_s": None,
                "lost_at_s": None,
                "lost_x_m": None,
                "lost_y_m": None,
            }
        if unit["member"] != info.id:
            if info.state in ("dead", "left") or unit["member_state"] == "alive":
                return None
            unit["member"] = info.id
        return unit

    def beacon(self, member: str, state: UnitState, wall_s: float) -> dict[str, Any] | None:
        """A unit's latest state was heard."""
        known = self.members.get(member)
        unit = self.units.get(known["unit"]) if known else None
        if unit is None or unit["member"] != member:
            return None
        unit.update(state=msgspec.to_builtins(state), heard_s=wall_s)
        return unit

    def snapshot(self) -> dict[str, Any]:
        """All of it, copied, JSON-ready."""
        return {
            "units": {name: dict(each) for name, each in self.units.items()},
            "members": {name: dict(each) for name, each in self.members.items()},
            "events": list(self.events),
        }
