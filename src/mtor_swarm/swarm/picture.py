"""What an observer knows of the swarm: a bounded picture, pure."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from typing import Any

import msgspec

from mtor_swarm.events import Event, UnitState, event_to_dict, is_finite
from mtor_swarm.swarm.gossip.membership import MemberInfo

MAX_EVENTS = 1000
MAX_UNITS = 8192
MAX_MEMBERS = 8192
"""Every observer that comes and goes is one; who departed first is forgotten first."""
GONE = ("dead", "left")
_AT_HAND = {"alive": 0, "suspect": 1, "dead": 2, "left": 3}


class Picture:
    """Units, members and recent events. Lost units stay, with when and where they were lost.

    `dropped` counts members forgotten and units without room, and beacons that are junk: not the
    sender's own state, or not of numbers.
    """

    def __init__(self, most_members: int = MAX_MEMBERS) -> None:
        self.units: dict[str, dict[str, Any]] = {}
        self.members: dict[str, dict[str, Any]] = {}
        self.events: deque[dict[str, Any]] = deque(maxlen=MAX_EVENTS)
        self.dropped: Counter[str] = Counter()
        self._most_members = most_members
        self._departed: dict[str, None] = {}

    def event(self, event: Event) -> dict[str, Any]:
        """An event was heard."""
        self.events.append(event_to_dict(event))
        return self.events[-1]

    def member(self, info: MemberInfo, wall_s: float) -> list[tuple[str, dict[str, Any]]]:
        """A member is seen differently; what changed, as (kind, value)."""
        if not self._keep(info):
            return []
        changed = [("member", self.members[info.id])]
        if info.role == "unit":
            unit = self._unit(info, wall_s)
            changed += [("unit", unit)] if unit else []
        return changed

    def _keep(self, info: MemberInfo) -> bool:
        """Note the member, in the room of one that has departed if need be."""
        self._departed.pop(info.id, None)
        if info.id not in self.members and len(self.members) >= self._most_members:
            self.dropped["members_forgotten"] += 1
            if not self._departed:
                return False
            oldest = next(iter(self._departed))
            del self._departed[oldest], self.members[oldest]
        if info.state in GONE:
            self._departed[info.id] = None
        self.members[info.id] = msgspec.to_builtins(info)
        return True

    def _unit(self, info: MemberInfo, wall_s: float) -> dict[str, Any] | None:
        """The unit of that name if the news changes it: of several members one holds the name."""
        unit = self.units.get(info.unit)
        if unit is None:
            if len(self.units) >= MAX_UNITS:
                self.dropped["units_without_room"] += 1
                return None
            unit = self.units[info.unit] = _unknown(info)
        holder = self._holder(info, unit)
        if holder["id"] != info.id and unit["member"] == holder["id"]:
            return None
        was, now = unit["member_state"], holder["state"]
        unit.update(member=holder["id"], member_state=now)
        if now == "alive":
            unit.update(lost_at_s=None, lost_x_m=None, lost_y_m=None)
        elif now in GONE and was not in GONE:
            # One that was lost before we came was lost nobody knows when.
            pose = (unit["state"] or {}).get("pose") or {}
            unit.update(lost_at_s=wall_s, lost_x_m=pose.get("x_m"), lost_y_m=pose.get("y_m"))
        return unit

    def _holder(self, info: MemberInfo, unit: dict[str, Any]) -> dict[str, Any]:
        """The member that is the unit: who holds the name keeps it until gone."""
        holder = self.members.get(unit["member"], self.members[info.id])
        if holder["state"] not in GONE:
            return holder
        same = [
            each
            for each in self.members.values()
            if each["role"] == "unit" and each["unit"] == info.unit and each["state"] not in GONE
        ]
        return min(same, key=lambda each: _AT_HAND[each["state"]], default=holder)

    def beacon(self, member: str, state: UnitState, wall_s: float) -> dict[str, Any] | None:
        """A unit's latest state was heard; nobody shows another's."""
        unit = self.units.get(state.unit)
        if unit is None or unit["member"] != member or not _of_numbers(state):
            self.dropped["beacons_junk"] += 1
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


def speaker(event: Mapping[str, Any], units: Mapping[str, Mapping[str, Any]]) -> str:
    """The unit that said it, by the member that signed it; nothing if it speaks for another."""
    name = str(event.get("unit", ""))
    unit = units.get(name)
    return name if unit is not None and unit["member"] == event.get("origin") else ""


def _unknown(info: MemberInfo) -> dict[str, Any]:
    """A unit of which no more is known than the member."""
    return {
        "unit": info.unit,
        "member": info.id,
        "member_state": info.state,
        "state": None,
        "heard_s": None,
        "lost_at_s": None,
        "lost_x_m": None,
        "lost_y_m": None,
    }


def _of_numbers(state: UnitState) -> bool:
    pose = state.pose
    return is_finite(
        *((pose.x_m, pose.y_m, pose.yaw_rad) if pose else ()),
        *(state.goal or ()),
        *(state.target or ()),
        *(state.speed_mps, state.turn_rps, state.battery, state.cost_m),
        *state.offers.values(),
    )
