from __future__ import annotations

import math
import random

import msgspec
import numpy as np

from mtor_swarm.config import MissionConfig
from mtor_swarm.events import (
    Command,
    CommandAcknowledged,
    MemberChanged,
    Pose,
    Sighting,
    TargetLost,
    TargetSeen,
    UnitChanged,
    UnitState,
)
from mtor_swarm.workers.mission import ANNOUNCE_S, Mission
from mtor_swarm.workers.mission_io import (
    Drive,
    Effect,
    Given,
    Latched,
    Odom,
    Say,
    Scan,
    Show,
    Sightings,
)

CONFIG = MissionConfig(name="search", target="cat", cell_m=1.0)
CAT = (2.0, 1.0)


class Unit:
    """One mission machine, fed by hand."""

    def __init__(self, name: str = "r1", x: float = 0.0, y: float = 0.0, yaw: float = 0.0) -> None:
        self.mission = Mission(CONFIG, name, random.Random(1))
        self.pose = Pose(x, y, yaw)
        self.now = 0.0
        self.effects: list[Effect] = []
        self.give(Odom(self.pose))

    def give(self, *facts: Given) -> list[Effect]:
        new = [effect for fact in facts for effect in self.mission.handle(fact, self.now)]
        self.effects += new
        return new

    def wait(self, seconds: float, step_s: float = 0.1) -> None:
        until = self.now + seconds
        while self.now < until:
            self.now += step_s
            self.give(Odom(self.pose))

    def said(self, kind: type) -> list[msgspec.Struct]:
        return [e.data for e in self.effects if isinstance(e, Say) and isinstance(e.data, kind)]

    @property
    def driven(self) -> Drive:
        return [e for e in self.effects if isinstance(e, Drive)][-1]

    @property
    def doing(self) -> str:
        return self.mission.state.doing


def sighting(x: float, y: float, *, label: str = "cat", score: float = 0.9) -> Sightings:
    box = {"left": 0.0, "top": 0.0, "width": 1.0, "height": 1.0}
    seen = Sighting(label=label, score=score, bearing_rad=0.0, range_m=1.0, x_m=x, y_m=y, **box)
    return Sightings([seen])


def news(x: float = CAT[0], y: float = CAT[1]) -> TargetSeen:
    return TargetSeen(label="cat", score=0.9, x_m=x, y_m=y, seen_from_x_m=x - 1.5, seen_from_y_m=y)


def beacon(unit: str, x: float, y: float, **more: object) -> UnitState:
    known: dict[str, object] = {"doing": "searching", **more}
    return UnitState(unit=unit, pose=Pose(x, y, 0.0), **known)  # type: ignore[arg-type]


def command(verb: str, units: list[str] | None = None) -> Command:
    return Command(
        id="c1", verb=verb, units=units or ["r1"], issuer="p", issued_s=0.0  # type: ignore[arg-type]
    )  # fmt: skip


def test_a_unit_begins_to_search_and_every_pose_yields_a_velocity() -> None:
    unit = Unit()
    assert unit.doing == "searching"
    assert sum(isinstance(e, Drive) for e in unit.effects) == 1
    assert any(isinstance(e, Show) for e in unit.effects)


def test_nothing_happens_before_the_unit_knows_where_it_is() -> None:
    mission = Mission(CONFIG, "r1", random.Random(1))
    facts: list[Given] = [
        sighting(1, 1), news(), beacon("r2", 0, 0), Latched(True),
        Scan(np.full(8, 2.0), -math.pi, math.pi / 4),
    ]  # fmt: skip
    assert all(mission.handle(each, 0.0) == [] for each in facts)


def test_two_frames_that_agree_are_announced_with_the_target_s_centre() -> None:
    unit = Unit()
    unit.give(sighting(2.0 - CONFIG.target_radius_m, 0.0))
    assert not unit.said(TargetSeen)
    unit.now = 0.4
    unit.give(sighting(2.0 - CONFIG.target_radius_m, 0.0))
    (seen,) = unit.said(TargetSeen)
    assert isinstance(seen, TargetSeen)
    assert abs(seen.x_m - 2.0) < 1e-6


def test_announcements_are_few_however_many_frames_there_are() -> None:
    unit = Unit()
    for _ in range(100):
        unit.now += 0.1
        unit.give(sighting(1.7, 0.0))
    assert 2 <= len(unit.said(TargetSeen)) <= 10.0 / ANNOUNCE_S + 1


def test_other_labels_weak_scores_and_places_beyond_the_walls_or_on_a_unit_are_ignored() -> None:
    unit = Unit()
    unit.give(beacon("r2", -2.0, 0.0))
    for seen in (
        sighting(1.7, 0, label="dog"), sighting(1.7, 0, score=0.3),
        sighting(7.0, 0), sighting(-1.8, 0), Sightings([]),
    ) * 3:  # fmt: skip
        unit.now += 0.2
        unit.give(seen)
    unit.give(news(50.0, 0.0))
    unit.wait(0.3)
    assert unit.doing == "searching"


def test_news_of_the_target_reach_a_unit_and_it_comes() -> None:
    unit = Unit()
    unit.give(news())
    unit.wait(0.3)
    assert unit.doing == "approaching"
    assert unit.mission.state.target is not None
    assert any(c.doing == "approaching" for c in unit.said(UnitChanged))  # type: ignore[attr-defined]


def crowd(unit: Unit, **more: object) -> None:
    for name, x in (("r2", 1.0), ("r3", 1.2), ("r4", 3.0)):
        unit.give(beacon(name, x, 1.0, **more))


def test_the_fourth_guards_and_takes_over_when_one_dies() -> None:
    unit = Unit(x=-4.0)
    crowd(unit)
    unit.give(news())
    unit.wait(0.3)
    assert unit.doing == "guarding"
    unit.give(MemberChanged(member="m3", unit="r3", state="dead"))
    unit.wait(0.3)
    assert unit.doing == "approaching"


def test_a_held_unit_s_place_is_taken_over() -> None:
    unit = Unit(x=-4.0)
    crowd(unit)
    unit.give(news())
    unit.wait(0.3)
    unit.give(beacon("r2", 1.0, 1.0, doing="holding", latched=True))
    unit.wait(0.3)
    assert unit.doing == "approaching"


def test_silent_units_are_counted_out() -> None:
    unit = Unit(x=-4.0)
    crowd(unit)
    unit.give(news())
    unit.wait(0.3)
    assert unit.doing == "guarding"
    unit.wait(6.0)
    assert unit.doing in {"approaching", "surrounding"}


def test_one_that_stands_in_its_slot_and_faces_the_target_is_still() -> None:
    unit = Unit(x=CAT[0] - 1.15, y=CAT[1], yaw=0.0)
    unit.give(news())
    unit.wait(1.0)
    assert unit.doing == "surrounding"
    assert unit.driven == Drive(0.0, 0.0)
    unit.give(news(CAT[0] + 0.1, CAT[1]))
    unit.wait(1.0)
    assert unit.driven == Drive(0.0, 0.0)


def test_a_target_that_is_not_there_is_struck_out_and_the_others_are_told() -> None:
    unit = Unit(x=CAT[0] - 1.15, y=CAT[1], yaw=0.0)
    unit.give(news())
    unit.wait(15.0)
    assert unit.said(TargetLost)
    assert unit.doing == "searching"


def test_a_target_lost_elsewhere_is_lost_here() -> None:
    unit = Unit()
    unit.give(news())
    unit.give(TargetLost(label="cat", x_m=CAT[0], y_m=CAT[1]))
    unit.wait(0.3)
    assert unit.doing == "searching"


def test_a_latched_unit_stands_and_says_that_it_holds() -> None:
    unit = Unit()
    unit.wait(0.5)
    unit.give(Latched(True))
    unit.wait(0.3)
    assert unit.doing == "holding"
    assert unit.mission.state.latched
    assert unit.mission.state.cost_m is None
    assert unit.driven == Drive(0.0, 0.0)
    unit.give(Latched(False))
    unit.wait(0.3)
    assert unit.doing == "searching"


def test_return_is_accepted_and_done_once_at_home_and_search_begins_anew() -> None:
    unit = Unit()
    unit.pose = Pose(3.0, 0.0, 0.0)
    unit.wait(0.3)
    unit.give(command("return"))
    unit.wait(0.3)
    assert unit.doing == "returning"
    assert [a.status for a in unit.said(CommandAcknowledged)] == ["accepted"]  # type: ignore[attr-defined]
    unit.pose = Pose(0.1, 0.0, 0.0)
    unit.wait(0.3)
    assert unit.doing == "holding"
    assert [a.status for a in unit.said(CommandAcknowledged)] == ["accepted", "done"]  # type: ignore[attr-defined]
    unit.give(command("search"))
    unit.wait(0.3)
    assert unit.doing == "searching"


def test_commands_for_others_and_those_of_reflex_are_not_answered() -> None:
    unit = Unit()
    unit.give(command("return", ["r2"]), command("release"))
    assert not unit.said(CommandAcknowledged)


def test_a_still_unit_is_heard_of_every_second_and_a_moving_one_at_most_ten_times() -> None:
    unit = Unit()
    unit.give(Latched(True))
    unit.wait(0.5)
    unit.effects.clear()
    unit.wait(10.0, 0.05)
    assert 9 <= sum(isinstance(e, Show) for e in unit.effects) <= 11
    unit.effects.clear()
    for i in range(200):
        unit.now += 0.05
        unit.give(Odom(Pose(i * 0.03, 0.0, 0.0), 0.5))
    assert 60 <= sum(isinstance(e, Show) for e in unit.effects) <= 101


def test_a_box_between_a_unit_and_its_way_is_gone_around() -> None:
    unit = Unit(x=-3.0, y=0.0)
    unit.give(news(3.0, 0.0))
    ranges = np.full(360, np.inf)
    ranges[170:191] = 0.8
    unit.give(Scan(ranges, -math.pi, math.radians(1)))
    unit.wait(0.3)
    assert abs(unit.driven.turn_rps) > 0.3
