"""The benchmark's own machinery, with two real members in a network namespace."""

from __future__ import annotations

import pytest
from benchmarks.peers import room

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(bool(room.lacking()), reason=f"lacking: {room.lacking()}"),
]


def test_two_members_with_keys_are_measured() -> None:
    found = room.measure("mtor", 2, keys=True, events=4, gap_s=0.05, flood=50, kills=1)
    assert found is not None
    assert found["joined"] == 2
    assert found["delivered"] == found["flood_delivered"] == 1.0
    assert len(found["kill_s"]) == 1
