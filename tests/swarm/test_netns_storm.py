"""Each of 16 real members is restarted in turn while events are published: none is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.swarm.crowd import Crowd, Process, wait_until
from tests.swarm.rooms import Room, lacking

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(bool(lacking()), reason=f"lacking: {lacking()}"),
]
MEMBERS, EVENTS = 16, 1000
Said = tuple[str, int, int]
"""Unit, boot and number of an event."""


class Storm:
    """Members that are restarted under the same identity, and what each boot published."""

    def __init__(self, folder: Path, room: Room, crowd: Crowd) -> None:
        self.folder = folder
        self.room = room
        self.crowd = crowd
        self.running: dict[str, Process] = {}
        self.boots: dict[str, int] = {}
        self.published: set[Said] = set()

    def start(self, unit: str, seeds: list[str]) -> None:
        self.boots[unit] = self.boots.get(unit, 0) + 1
        self.running[unit] = self.crowd.add(
            unit,
            within=self.room.within,
            state_dir=str(self.folder / unit),
            swarm={"seeds": seeds},
        )

    def restart(self, unit: str) -> None:
        """Kill it, once what it said last is with somebody else, and start it anew."""
        mine = {each for each in self.published if each[:2] == (unit, self.boots[unit])}
        others = [each for name, each in self.running.items() if name != unit]
        wait_until(
            f"{unit}'s events with others",
            lambda: any(mine <= heard(each) for each in others),
        )
        self.running[unit].child.kill()
        self.running[unit].child.wait()
        self.start(unit, [each.address for each in others[:3]])

    def publish(self, unit: str) -> None:
        boot = self.boots[unit]
        number = sum(1 for each in self.published if each[:2] == (unit, boot)) + 1
        self.published.add((unit, boot, number))
        self.running[unit].write()

    def has_all(self, unit: str) -> bool:
        """Whether it heard all, but for what it said itself."""
        return heard(self.running[unit]) >= {e for e in self.published if e[0] != unit}


def heard(member: Process) -> set[Said]:
    return {
        (each["unit"], each["boot"], each["data"]["n"])
        for each in list(member.said)
        if each["kind"] == "event" and "n" in each["data"]
    }


def test_a_storm_of_restarts_loses_no_event(tmp_path: Path) -> None:
    with Room() as room, Crowd() as crowd:
        storm = Storm(tmp_path, room, crowd)
        storm.start("u0", [])
        seeds = [storm.running["u0"].address]
        units = [f"u{i}" for i in range(MEMBERS)]
        for unit in units[1:]:
            storm.start(unit, seeds)
        for unit in units:
            others = {each: "alive" for each in units if each != unit}
            storm.running[unit].wait_states(others)
        each_time = EVENTS // MEMBERS
        for turn, unit in enumerate(units):
            storm.restart(unit)
            for i in range(each_time + (turn < EVENTS % MEMBERS)):
                storm.publish(units[(turn + 1 + i) % MEMBERS])
        assert len(storm.published) == EVENTS
        wait_until("the same set with all", lambda: all(map(storm.has_all, units)))
        assert all(heard(storm.running[unit]) <= storm.published for unit in units)
