from __future__ import annotations

import math

import numpy as np
import pytest

from mtor_swarm.config import ReflexConfig
from mtor_swarm.realm.gate import (
    AHEAD,
    BEHIND,
    LATCHED,
    NO_SCAN,
    NOT_FINITE,
    SIDE_M,
    TOUCHED,
    Gate,
    Scan,
    Velocity,
    Verdict,
)

CONFIG = ReflexConfig()
CLOSE = CONFIG.hull_radius_m + SIDE_M + CONFIG.stop_distance_m
STILL = Velocity()


def scan(*returns: tuple[float, float]) -> Scan:
    """A scan of one degree a ray; `returns` are (bearing in degrees, range)."""
    ranges = np.full(360, np.inf)
    for bearing, distance in returns:
        ranges[round(bearing) % 360] = distance
    return Scan(ranges, 0.0, math.radians(1.0), 0.05, 12.0)


def drive(
    gate: Gate, wanted: Velocity, seen: Scan, start: float = 0.0, seconds: float = 2.0
) -> Verdict:
    """What the gate lets through after wanting that for so long, stepped at 20 Hz."""
    verdict = Verdict(STILL)
    for step in range(round(seconds * 20) + 1):
        now = start + step / 20
        gate.scan(seen, now)
        gate.want(wanted, now)
        verdict = gate.step(now)
    return verdict


def test_a_free_way_lets_the_wanted_velocity_through() -> None:
    verdict = drive(Gate(CONFIG), Velocity(0.4, -0.7), scan())
    assert verdict.velocity == Velocity(pytest.approx(0.4), pytest.approx(-0.7))
    assert not verdict.blocked
    assert verdict.reason == ""


def test_wheels_that_were_told_to_stand_begin_from_there() -> None:
    gate = Gate(CONFIG)
    drive(gate, Velocity(0.4), scan())
    gate.stand(9.0)
    assert not gate.moving
    assert gate.step(9.0).velocity == STILL


def test_speeds_are_limited_both_ways() -> None:
    for sign in (1.0, -1.0):
        verdict = drive(Gate(CONFIG), Velocity(sign * 9.0, sign * 9.0), scan())
        assert verdict.velocity.v_mps == pytest.approx(sign * CONFIG.max_speed_mps)
        assert verdict.velocity.w_rps == pytest.approx(sign * CONFIG.max_turn_rps)


def test_the_ramp_keeps_the_acceleration_limits() -> None:
    gate = Gate(CONFIG)
    gate.scan(scan(), 0.0)
    gate.want(Velocity(0.6, 1.8), 0.0)
    first = gate.step(0.0).velocity
    gate.want(Velocity(0.6, 1.8), 0.05)
    second = gate.step(0.05).velocity
    assert second.v_mps - first.v_mps == pytest.approx(CONFIG.max_acceleration_mps2 * 0.05)
    assert second.w_rps - first.w_rps == pytest.approx(CONFIG.max_turn_acceleration_rps2 * 0.05)


def test_a_first_step_starts_from_the_measured_speed() -> None:
    gate = Gate(CONFIG)
    gate.measure(Velocity(0.5, 0.0))
    assert gate.step(0.0).velocity.v_mps == pytest.approx(0.5 - CONFIG.max_acceleration_mps2 * 0.1)


def test_a_measurement_that_is_no_number_changes_nothing() -> None:
    gate = Gate(CONFIG)
    gate.measure(Velocity(math.nan, 0.0))
    gate.measure(Velocity(0.0, math.inf))
    assert gate.step(0.0).velocity == STILL
    assert not gate.moving


@pytest.mark.parametrize(("bearing", "speed", "reason"), [(0, 0.5, AHEAD), (180, -0.5, BEHIND)])
def test_nothing_comes_nearer_than_the_stop_distance(
    bearing: float, speed: float, reason: str
) -> None:
    verdict = drive(Gate(CONFIG), Velocity(speed, 0.0), scan((bearing, CLOSE)))
    assert verdict.velocity == STILL
    assert verdict.blocked
    assert verdict.reason == reason


def test_away_from_an_obstacle_and_turning_on_the_spot_stay_allowed() -> None:
    verdict = drive(Gate(CONFIG), Velocity(-0.5, 1.0), scan((0, CLOSE)))
    assert verdict.velocity == Velocity(pytest.approx(-0.5), pytest.approx(1.0))
    assert not verdict.blocked


def test_what_touches_the_hull_stops_turning_too() -> None:
    verdict = drive(Gate(CONFIG), Velocity(0.0, 1.0), scan((90, CONFIG.hull_radius_m)))
    assert verdict.velocity == STILL
    assert verdict.blocked
    assert verdict.reason == TOUCHED


def test_what_stands_beside_the_corridor_is_passed() -> None:
    beside = scan((90, CONFIG.hull_radius_m + SIDE_M + 0.01))
    assert drive(Gate(CONFIG), Velocity(0.5, 0.0), beside).velocity.v_mps == pytest.approx(0.5)


def test_speed_falls_linearly_from_the_slow_distance() -> None:
    halfway = (CONFIG.slow_distance_m - CONFIG.stop_distance_m) / 2
    verdict = drive(Gate(CONFIG), Velocity(0.6, 0.0), scan((0, CLOSE + halfway)))
    assert verdict.velocity.v_mps == pytest.approx(CONFIG.max_speed_mps / 2)


def test_speed_is_never_more_than_can_be_braked() -> None:
    weak = ReflexConfig(max_acceleration_mps2=0.1)
    verdict = drive(Gate(weak), Velocity(0.6, 0.0), scan((0, CLOSE + 0.2)), seconds=20.0)
    assert verdict.velocity.v_mps == pytest.approx(math.sqrt(2 * 0.1 * 0.2))


def test_what_was_driven_since_the_scan_counts_as_driven() -> None:
    gate = Gate(CONFIG)
    drive(gate, Velocity(0.5, 0.0), scan((0, CLOSE + 0.19)))
    gate.measure(Velocity(0.5, 0.0))
    gate.want(Velocity(0.5, 0.0), 2.2)
    assert gate.step(2.2).velocity.v_mps == pytest.approx(0.6 * 0.09 / 0.38)


def test_no_return_is_no_obstacle() -> None:
    ranges = [0.0, math.nan, math.inf, 0.01, 99.0]
    nothing = Scan(ranges, 0.0, 0.001, 0.05, 12.0)
    assert drive(Gate(CONFIG), Velocity(0.5, 0.0), nothing).velocity.v_mps == pytest.approx(0.5)


def test_an_object_too_close_to_measure_stops_the_way_towards_it() -> None:
    seen = Scan([-math.inf, 9.0], 0.0, 0.1, 0.05, 12.0)
    assert drive(Gate(CONFIG), Velocity(0.5, 0.0), seen).velocity.v_mps == 0.0


def test_an_empty_scan_one_of_nothing_and_one_without_angles_measure_nothing() -> None:
    for seen in (
        Scan([], 0.0, 0.1, 0.05, 12.0),
        Scan([math.nan, math.nan], 0.0, 0.1, 0.05, 12.0),
        Scan([0.2], math.nan, 0.1, 0.05, 12.0),
    ):
        verdict = drive(Gate(CONFIG), Velocity(0.5, 0.0), seen)
        assert verdict.velocity == STILL
        assert "no scan" in verdict.reason


def test_a_stale_wanted_velocity_brakes_to_a_stand() -> None:
    gate = Gate(CONFIG)
    drive(gate, Velocity(0.5, 0.5), scan())
    for step in range(40):
        gate.scan(scan(), 2.0 + step / 20)
        verdict = gate.step(2.0 + step / 20)
    assert verdict == Verdict(STILL)
    assert not gate.moving


def test_a_stale_scan_brakes_to_a_stand_and_says_so() -> None:
    gate = Gate(CONFIG)
    drive(gate, Velocity(0.5, 0.5), scan())
    for step in range(40):
        gate.want(Velocity(0.5, 0.5), 2.0 + step / 20)
        verdict = gate.step(2.0 + step / 20)
    assert verdict == Verdict(STILL, blocked=True, reason=NO_SCAN)
    gate.want(STILL, 4.0)
    assert gate.step(4.0) == Verdict(STILL)


@pytest.mark.parametrize("bad", [Velocity(math.nan, 0.0), Velocity(0.0, math.inf)])
def test_a_wanted_velocity_that_is_no_number_stops_and_says_so(bad: Velocity) -> None:
    gate = Gate(CONFIG)
    drive(gate, Velocity(0.5, 0.5), scan())
    assert drive(gate, bad, scan(), start=2.05) == Verdict(STILL, reason=NOT_FINITE)


def test_a_latched_gate_brakes_within_the_limit_and_stays_shut() -> None:
    gate = Gate(CONFIG)
    drive(gate, Velocity(0.5, 0.0), scan())
    gate.latched = True
    gate.want(Velocity(0.5, 0.0), 2.05)
    assert gate.step(2.05).velocity.v_mps == pytest.approx(0.5 - 0.05 * 1.2)
    assert gate.moving
    verdict = drive(gate, Velocity(0.5, 0.0), scan(), start=2.1)
    assert verdict == Verdict(STILL, reason=LATCHED)


def test_a_blocked_way_is_free_again_only_with_some_room() -> None:
    gate = Gate(CONFIG)
    wanted = Velocity(0.5, 0.0)
    assert drive(gate, wanted, scan((0, CLOSE))).blocked
    assert drive(gate, wanted, scan((0, CLOSE + 0.04)), start=3.0).blocked
    assert not drive(gate, wanted, scan((0, CLOSE + 0.06)), start=6.0).blocked
    assert not drive(gate, wanted, scan((0, CLOSE + 0.04)), start=9.0).blocked
    assert not drive(gate, STILL, scan((0, CLOSE)), start=12.0).blocked


def test_a_clock_that_stands_still_changes_nothing() -> None:
    gate = Gate(CONFIG)
    before = drive(gate, Velocity(0.1, 0.0), scan(), seconds=0.05)
    gate.want(Velocity(0.5, 0.0), 0.0)
    assert gate.step(0.0).velocity == before.velocity
