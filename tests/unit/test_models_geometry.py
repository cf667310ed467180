from __future__ import annotations

import math

import numpy as np
import pytest

from mtor_swarm.events import Pose
from mtor_swarm.models.geometry import (
    MOST_SCANS,
    Camera,
    Scan,
    Surroundings,
    Track,
    place,
    range_m,
    seen_from,
)
from mtor_swarm.ports import Detection

CAMERA = Camera(320, 1.3, 0.14)
STEP = math.tau / 360


def scan(ranges: np.ndarray, time_s: float = 0.0) -> Scan:
    return Scan.of(
        time_s, ranges, first_rad=-math.pi, step_rad=STEP, nearest_m=0.1, farthest_m=10.0
    )


def wall_ahead(distance_m: float) -> np.ndarray:
    """Ranges to the plane x = distance from the unit's centre; no hit behind it."""
    angles = -math.pi + STEP * np.arange(360)
    with np.errstate(divide="ignore"):
        ranges = distance_m / np.cos(angles)
    return np.where(ranges > 0, ranges, np.inf)


def box(middle_px: float, width_px: float) -> Detection:
    return Detection("cat", 0.9, middle_px - width_px / 2, 100, width_px, 80)


def test_the_middle_column_is_straight_ahead_and_the_edges_are_half_the_field_of_view():
    assert CAMERA.bearing_rad(160) == 0
    assert CAMERA.bearing_rad(0) == pytest.approx(0.65)
    assert CAMERA.bearing_rad(320) == pytest.approx(-0.65)


def test_range_is_from_the_camera_not_from_the_lidar():
    points = scan(wall_ahead(2.14)).points
    assert range_m(box(160, 80), CAMERA, points, STEP) == pytest.approx(2.0, abs=0.02)


def test_a_box_narrower_than_the_gap_between_rays_gets_the_ray_beside_it():
    points = scan(wall_ahead(2.14)).points
    assert range_m(box(161, 1), CAMERA, points, STEP) == pytest.approx(2.0, abs=0.02)


def test_rays_that_slip_past_the_object_to_the_wall_do_not_count():
    ranges = wall_ahead(6.0)
    ranges[170:191:2] = wall_ahead(2.14)[170:191:2]
    distance = range_m(box(160, 160), CAMERA, scan(ranges).points, STEP)
    assert distance == pytest.approx(2.0, abs=0.05)


def test_no_ray_on_the_object_means_no_range():
    ranges = np.full(360, np.inf)
    assert range_m(box(160, 80), CAMERA, scan(ranges).points, STEP) is None
    ranges[0] = 3.0  # behind the unit
    assert range_m(box(160, 80), CAMERA, scan(ranges).points, STEP) is None


def test_rays_out_of_the_lidars_reach_or_not_numbers_are_no_hits():
    ranges = np.array([np.nan, np.inf, -np.inf, 0.01, 99.0, 1.0])
    found = Scan.of(0, ranges, first_rad=0, step_rad=0.1, nearest_m=0.1, farthest_m=10).points
    assert found == pytest.approx(np.array([[math.cos(0.5), math.sin(0.5)]]))


def test_a_pose_between_two_is_interpolated_and_turns_the_short_way():
    track = Track()
    track.add(1.0, Pose(0, 0, 3.0))
    track.add(2.0, Pose(2, 4, -3.0))
    found = track.at(1.5)
    assert found is not None
    assert (found.x_m, found.y_m) == (1, 2)
    assert math.remainder(found.yaw_rad - math.pi, math.tau) == pytest.approx(0)


def test_a_pose_too_far_from_all_known_is_unknown():
    track = Track(slack_s=0.25)
    assert track.at(1.0) is None
    track.add(1.0, Pose(1, 1, 1))
    assert track.at(1.2) == track.at(0.8) == track.at(1.0) == Pose(1, 1, 1)
    assert track.at(1.3) is None
    assert track.at(0.7) is None


def test_a_clock_that_jumps_back_starts_the_track_anew():
    track = Track()
    track.add(10.0, Pose(9, 9, 0))
    track.add(1.0, Pose(1, 0, 0))
    assert track.at(10.0) is None
    assert track.at(1.0) == Pose(1, 0, 0)


def test_two_poses_of_one_moment_do_not_divide_by_nothing():
    track = Track()
    track.add(1.0, Pose(1, 0, 0))
    track.add(1.0, Pose(2, 0, 0))
    track.add(2.0, Pose(3, 0, 0))
    assert track.at(1.0) == Pose(2, 0, 0)


def test_the_track_is_bounded():
    track = Track(most=4)
    for time_s in range(100):
        track.add(time_s, Pose(time_s, 0, 0))
    assert track.at(90) is None
    assert track.at(97) == Pose(97, 0, 0)


def test_points_seen_before_a_turn_and_a_drive_are_found_where_they_are_now():
    taken, now = Pose(1, 1, 0), Pose(2, 1, math.pi / 2)
    assert seen_from(np.array([[3.0, 0.0]]), taken, now) == pytest.approx(np.array([[0.0, -2.0]]))


def test_a_place_is_measured_from_the_camera_along_the_bearing():
    assert place(Pose(1, 2, math.pi / 2), CAMERA, 0.0, 2.0) == pytest.approx((1, 4.14))
    assert place(Pose(0, 0, 0), CAMERA, math.pi / 2, 2.0) == pytest.approx((0.14, 2))


def test_a_sighting_is_placed_by_the_pose_at_the_pictures_stamp():
    around = Surroundings()
    around.add_pose(1.0, Pose(0, 0, 0))
    around.add_pose(2.0, Pose(2, 0, 0))
    around.add_scan(scan(wall_ahead(3.0), time_s=1.5))
    seen = around.sight(box(160, 80), CAMERA, 1.5)
    assert (seen.label, seen.bearing_rad) == ("cat", 0)
    assert seen.range_m == pytest.approx(2.86, abs=0.02)
    assert (seen.x_m, seen.y_m) == pytest.approx((4.0, 0.0), abs=0.02)


def test_a_scan_from_before_a_turn_is_turned_with_the_unit():
    ranges = np.full(360, np.inf)
    ranges[175:186] = 2.0  # only ahead, before the turn
    around = Surroundings()
    around.add_pose(1.0, Pose(0, 0, 0))
    around.add_pose(1.2, Pose(0, 0, 0.4))
    around.add_scan(scan(ranges, time_s=1.0))
    assert around.sight(box(160, 20), CAMERA, 1.2).range_m is None
    right = box(160 + 160 / math.tan(0.65) * math.tan(0.43), 20)
    assert around.sight(right, CAMERA, 1.2).range_m == pytest.approx(1.87, abs=0.03)


def test_without_odometry_there_is_a_range_but_no_place():
    around = Surroundings()
    around.add_scan(scan(wall_ahead(2.14)))
    seen = around.sight(box(160, 80), CAMERA, 0.1)
    assert seen.range_m == pytest.approx(2.0, abs=0.02)
    assert seen.x_m is None
    assert seen.y_m is None


def test_an_old_scan_tells_nothing():
    around = Surroundings()
    around.add_pose(5.0, Pose(0, 0, 0))
    assert around.sight(box(160, 80), CAMERA, 5.0).range_m is None
    around.add_scan(scan(wall_ahead(2.14), time_s=1.0))
    assert around.sight(box(160, 80), CAMERA, 5.0).range_m is None


def test_scans_are_bounded_and_the_nearest_in_time_is_used():
    around = Surroundings()
    for index in range(10 * MOST_SCANS):
        around.add_scan(scan(wall_ahead(1.14 + index), time_s=0.1 * index))
    last = 10 * MOST_SCANS - 1
    assert around.sight(box(160, 8), CAMERA, 0.1 * (last - MOST_SCANS - 9)).range_m is None
    around.add_scan(scan(wall_ahead(2.14), time_s=0.1 * (last + 1)))
    assert around.sight(box(160, 8), CAMERA, 0.1 * (last + 1)).range_m == pytest.approx(2, abs=0.1)
