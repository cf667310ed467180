from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mtor_swarm.config import ReflexConfig
from mtor_swarm.realm.gate import SIDE_M, Gate, Scan, Velocity

CONFIG = ReflexConfig()
RAYS = 72
anything = st.floats(allow_nan=True, allow_infinity=True)
ranges = st.lists(st.one_of(anything, st.floats(0.05, 1.5)), min_size=RAYS, max_size=RAYS)
steps = st.lists(
    st.tuples(
        st.floats(0.0, 1.2), st.one_of(st.none(), ranges), anything, anything, anything,
        st.booleans(),
    ),
    max_size=12,
)  # fmt: skip


def nearest(seen: list[float], way: int) -> float:
    """The gap to the nearest return in the hull's corridor ahead or behind, ray by ray."""
    half = CONFIG.hull_radius_m + SIDE_M
    found = math.inf
    for index, distance in enumerate(seen):
        angle = index * math.tau / RAYS
        x, y = distance * math.cos(angle), distance * math.sin(angle)
        if 0.05 <= distance <= 12.0 and abs(y) < half and x * way > 0.0:
            found = min(found, abs(x) - math.sqrt(half * half - y * y))
    return found


@settings(max_examples=150, deadline=None)
@given(steps)
def test_whatever_comes_in_what_goes_out_is_within_the_limits(
    inputs: list[tuple[float, list[float] | None, float, float, float, bool]],
) -> None:
    gate = Gate(CONFIG)
    now, seen = 0.0, [math.inf] * RAYS
    for pause_s, ranges, v, w, measured, latched in inputs:
        now += pause_s
        if ranges is not None:
            seen = ranges
            gate.scan(Scan(np.array(seen), 0.0, math.tau / RAYS, 0.05, 12.0), now)
        gate.want(Velocity(v, w), now)
        gate.measure(Velocity(measured, 0.0))
        gate.latched = latched
        given = gate.step(now).velocity
        assert abs(given.v_mps) <= CONFIG.max_speed_mps
        assert abs(given.w_rps) <= CONFIG.max_turn_rps
        for way in (1, -1):
            if nearest(seen, way) <= CONFIG.stop_distance_m:
                assert given.v_mps * way <= 0.0
