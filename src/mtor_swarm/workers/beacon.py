"""Puts a unit's beacon together from what its workers say. Pure."""

from __future__ import annotations

import msgspec

from mtor_swarm.events import Pose, ReflexChanged, UnitState

AGAIN_S = 2.0
"""Beacons are never repaired: who joined late or missed one has the next after this time."""
MAX_WORKERS = 32
MAX_HEARD = 64


class Beacon:
    """The latest of everything that this unit's state is made of.

    Measures are rounded to centimetres and hundredths of a radian, so that a unit that stands
    still has a state that stands still, whatever its odometry's noise.
    """

    def __init__(self, unit: str) -> None:
        self._state = UnitState(unit=unit)
        self._sent: UnitState | None = None
        self._sent_at = 0.0

    def decided(self, state: UnitState) -> None:
        """What decision says of the unit; where and how fast it is, the odometry knows better."""
        own = self._state
        self._state = msgspec.structs.replace(
            state,
            unit=own.unit,
            pose=own.pose or state.pose,
            speed_mps=own.speed_mps,
            turn_rps=own.turn_rps,
            latched=own.latched,
            workers=own.workers,
            hears=own.hears,
            dropped=own.dropped,
            offers=own.offers,
        )

    def moved(self, pose: Pose, speed_mps: float, turn_rps: float) -> None:
        """The odometry's word; all of it finite."""
        self._put(
            pose=Pose(round(pose.x_m, 2), round(pose.y_m, 2), round(pose.yaw_rad, 2)),
            speed_mps=round(speed_mps, 2) + 0.0,  # no -0.0
            turn_rps=round(turn_rps, 2) + 0.0,
        )

    def reflexed(self, reflex: ReflexChanged) -> None:
        """The stop latch."""
        self._put(latched=reflex.latched)

    def worked(self, workers: dict[str, str]) -> None:
        """Each worker's state."""
        self._put(workers=dict(sorted(workers.items())[:MAX_WORKERS]))

    def lends(self, offers: dict[str, float]) -> None:
        """What peers may ask of this realm, as `lending.offered` has it."""
        self._put(offers=offers)

    def heard(self, units: list[str], dropped: int) -> None:
        """Which units this one hears, and how much it has dropped so far."""
        self._put(hears=sorted(units)[:MAX_HEARD], dropped=dropped)

    def news(self, now: float) -> UnitState | None:
        """The state, if it is not what it was the last time, or that was `AGAIN_S` ago."""
        if self._state == self._sent and now - self._sent_at < AGAIN_S:
            return None
        self._sent, self._sent_at = self._state, now
        return self._state

    def _put(self, **values: object) -> None:
        self._state = msgspec.structs.replace(self._state, **values)
