from __future__ import annotations

import math

import numpy as np
import pytest

from mtor_swarm.config import MissionConfig
from mtor_swarm.events import Pose, UnitState
from mtor_swarm.swarm.tasks import belief, company, coverage, post, roles
from mtor_swarm.swarm.tasks.ring import Ring

CONFIG = MissionConfig(name="search", target="cat", area=(-2, -2, 2, 2), cell_m=1.0)


def state(unit: str, x: float = 0.0, y: float = 0.0, **more: object) -> UnitState:
    return UnitState(unit=unit, pose=Pose(x, y, 0.0), **more)  # type: ignore[arg-type]


class TestRoles:
    def test_the_nearest_take_the_role_and_names_break_ties(self) -> None:
        offers = [roles.Claim("c", 1.0), roles.Claim("a", 1.0), roles.Claim("b", 0.5)]
        assert roles.chosen(offers, 2) == ["b", "a"]

    def test_a_held_unit_is_passed_over(self) -> None:
        offers = [roles.Claim("a", 0.1, able=False), roles.Claim("b", 9.0)]
        assert roles.chosen(offers, 1) == ["b"]

    def test_who_has_the_role_keeps_it_against_one_who_is_little_nearer(self) -> None:
        assert roles.cost(2.0, True) < roles.cost(1.5, False) < roles.cost(2.6, True)


class TestBelief:
    def make(self) -> belief.Belief:
        return belief.Belief(agree_m=1.0, needed=2)

    def test_one_frame_is_no_proof_and_two_that_agree_are(self) -> None:
        held = self.make()
        held.see(1.0, 1.0, 0.5, 0.0)
        assert held.place(0.0) is None
        held.see(1.2, 1.0, 0.5, 0.4)
        place = held.place(0.4)
        assert place
        assert place.centre == pytest.approx((1.1, 1.0))

    def test_two_boxes_in_one_frame_are_one_frame(self) -> None:
        held = self.make()
        held.see(1.0, 1.0, 0.5, 0.0)
        held.see(1.0, 1.0, 0.5, 0.0)
        assert held.place(0.0) is None

    def test_frames_long_apart_do_not_agree(self) -> None:
        held = self.make()
        held.see(1.0, 1.0, 0.5, 0.0)
        held.see(1.0, 1.0, 0.5, 20.0)
        assert held.place(20.0) is None

    def test_a_mistake_far_away_moves_nothing(self) -> None:
        held = self.make()
        for i in range(5):
            held.see(1.0, 1.0, 0.5, i * 0.4)
        held.see(-5.0, 0.0, 0.9, 2.0)
        place = held.place(2.0)
        assert place
        assert place.centre == pytest.approx((1.0, 1.0))

    def test_an_announcement_counts_at_once(self) -> None:
        held = self.make()
        held.see(3.0, 0.0, 0.5, 0.0, sure=True)
        assert held.place(0.0)

    def test_a_place_seen_much_more_often_is_believed_instead(self) -> None:
        held = self.make()
        for i in range(2):
            held.see(0.0, 0.0, 1.0, i * 0.1)
        assert held.place(1.0)
        for i in range(6):
            held.see(4.0, 0.0, 0.1, 1.0 + i * 0.1)
        place = held.place(2.0)
        assert place
        assert place.centre == pytest.approx((4.0, 0.0))

    def test_a_place_struck_out_must_be_seen_three_times_as_often(self) -> None:
        held = self.make()
        held.see(0.0, 0.0, 0.5, 0.0, sure=True)
        assert held.strike(0.0, 0.0, 1.0)
        assert not held.strike(0.0, 0.0, 1.0)
        for i in range(5):
            held.see(0.0, 0.0, 0.5, 2.0 + i * 0.4)
            assert held.place(4.0) is None
        held.see(0.0, 0.0, 0.5, 4.0)
        assert held.place(4.0)

    def test_places_are_bounded_and_the_believed_one_stays(self) -> None:
        held = self.make()
        held.see(0.0, 0.0, 0.5, 0.0, sure=True)
        for i in range(40):
            assert held.place(1.0)
            held.see(10.0 * (i + 1), 0.0, 0.5, 1.0 + i * 0.01)
        place = held.place(1.5)
        assert place
        assert place.centre == (0.0, 0.0)

    def test_what_nobody_sees_for_long_is_forgotten(self) -> None:
        held = self.make()
        held.see(0.0, 0.0, 0.5, 0.0, sure=True)
        assert held.place(belief.STALE_S + 1) is None
        held.see(0.0, 0.0, 0.5, 100.0, sure=True)
        held.clear()
        assert held.place(100.0) is None


class TestCompany:
    def test_a_silent_unit_takes_no_part_but_its_body_stays(self) -> None:
        known = company.Company("r1")
        known.hear(state("r2", 1.0, 2.0), 0.0)
        assert [s.unit for s in known.active(1.0)] == ["r2"]
        assert known.active(10.0) == []
        assert known.bodies(10.0).tolist() == [[1.0, 2.0]]

    def test_a_dead_unit_is_out_at_once_and_a_late_beacon_proves_nothing(self) -> None:
        known = company.Company("r1")
        known.hear(state("r2"), 0.0)
        known.judge("r2", "dead", 0.5)
        known.hear(state("r2"), 0.6)
        assert known.active(0.7) == []
        known.judge("r2", "alive", 1.0)
        assert known.active(1.1)

    def test_a_held_unit_is_active_and_in_the_way(self) -> None:
        known = company.Company("r1")
        known.hear(state("r2", latched=True), 0.0)
        assert known.active(0.1)
        assert len(known.bodies(0.1)) == 1

    def test_own_beacons_and_too_many_units_are_dropped_and_counted(self) -> None:
        known = company.Company("r1")
        known.hear(state("r1"), 0.0)
        for i in range(company.MAX_OTHERS + 3):
            known.hear(state(f"u{i}"), 0.0)
        assert len(known.active(0.0)) == company.MAX_OTHERS
        assert known.dropped == 4

    def test_a_unit_moves_where_it_looks(self) -> None:
        known = company.Company("r1")
        known.hear(state("r2", speed_mps=0.5), 0.0)
        ((_, velocity),) = known.motions(0.0)
        assert velocity.tolist() == [0.5, 0.0]


class TestCoverage:
    def sight(self, cover: coverage.Coverage) -> np.ndarray:
        return np.full(len(cover.centres), 8.0)

    def test_a_cell_is_seen_after_two_frames_worth_of_looking(self) -> None:
        cover = coverage.Coverage(CONFIG)
        before = cover.unseen.sum()
        for i in range(6):
            assert cover.unseen.sum() == before
            cover.look(Pose(-1.5, 0.0, 0.0), self.sight(cover), i * 0.1)
        for i in range(6, 12):
            cover.look(Pose(-1.5, 0.0, 0.0), self.sight(cover), i * 0.1)
        assert 0 < cover.unseen.sum() < before

    def test_where_another_looks_needs_no_second_look(self) -> None:
        cover = coverage.Coverage(CONFIG)
        for i in range(12):
            cover.look_of(state("r2", -1.5, 0.0), i * 0.2)
        assert not cover.unseen.all()

    def test_a_cell_that_cannot_be_seen_is_given_up(self) -> None:
        cover = coverage.Coverage(CONFIG)
        pose = Pose(0.0, 0.0, 0.0)
        first, _ = cover.next(pose, [], self.sight(cover), 0.0)
        then, _ = cover.next(pose, [], self.sight(cover), 60.0)
        assert not np.allclose(first, then)

    def test_when_all_is_seen_the_search_begins_anew(self) -> None:
        cover = coverage.Coverage(CONFIG)
        for _ in range(len(cover.centres)):
            cell, _ = cover.next(Pose(0, 0, 0), [], self.sight(cover), 0.0)
            cover._looked_s[(cover.centres == cell).all(axis=1)] = 9.0
        assert not cover.unseen.any()
        cover.next(Pose(0, 0, 0), [], self.sight(cover), 0.0)
        assert cover.unseen.all()


class TestPost:
    def test_settles_where_it_shall_stand_and_look_and_ignores_small_moves(self) -> None:
        here = post.Post(arrive_m=0.1, release_m=0.25, near_m=0.2)
        here.stand(np.array([0.0, 0.0]), 0.5, np.array([0.05, 0.0]), 0.0, 0.0)
        assert here.arrived
        assert not here.settled
        here.stand(np.array([0.0, 0.0]), 0.05, np.array([0.05, 0.0]), 0.0, 1.0)
        assert here.settled
        here.stand(np.array([0.0, 0.0]), 0.3, np.array([0.2, 0.0]), 0.0, 2.0)
        assert here.settled
        here.stand(np.array([0.0, 0.0]), 0.3, np.array([0.3, 0.0]), 0.0, 3.0)
        assert not here.arrived

    def test_one_that_cannot_come_nearer_stays_after_a_while(self) -> None:
        here = post.Post(arrive_m=0.1, release_m=0.25, near_m=1.0)
        place = np.array([0.8, 0.0])
        here.stand(np.zeros(2), 0.0, place, 0.0, 0.0)
        assert not here.arrived
        here.stand(np.zeros(2), 0.0, place, 0.0, post.PATIENCE_S + 1)
        assert here.arrived
        here.leave()
        assert not here.arrived


class TestRing:
    def test_a_unit_steps_aside_for_what_stands_in_its_slot(self) -> None:
        ring = Ring(MissionConfig(name="s", target="cat"))
        cat = np.zeros(2)
        here = np.array([3.0, 0.0])
        box = np.array([[1.15, 0.12], [1.25, 0.2]])
        slot = ring.slot(
            "r1", here, cat, [],
            bodies=np.zeros((0, 2)), echoes=box, moving=[], settled=False,
        )  # fmt: skip
        assert np.hypot(*(box - slot).T).min() >= 0.3
        assert abs(math.hypot(*slot) - 1.15) <= 0.25

    def test_a_guard_stays_inside_the_walls(self) -> None:
        ring = Ring(MissionConfig(name="s", target="cat"))
        post_ = ring.guard_post(
            "r1", np.array([6.5, 4.0]), np.array([6.0, 4.0]), [], np.zeros((0, 2))
        )
        assert post_[0] <= 6.5
        assert post_[1] <= 4.5
