"""Coverage: which cells the swarm has looked at, and which one this unit looks at next.

Each unit keeps its own marks, from its own camera and from where the beacons say that the others
look. Marks differ a little between units; what that costs is a cell looked at twice.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mtor_swarm.config import MissionConfig
from mtor_swarm.events import Pose, UnitState
from mtor_swarm.swarm.behaviours.geometry import Array, heading, length, wrap
from mtor_swarm.swarm.behaviours.search import cells, in_view, next_cell

LOOK_S = 0.7
"""A cell is seen once it was in view for this long: two frames of a camera at 3 Hz."""
MARGIN_RAD = 0.15
"""The edge of the picture, where half a target shows, does not count."""
MAX_GAP_S = 0.6
"""No more time than this is credited between two poses."""
GIVE_UP_S = 15.0
"""A cell that cannot be seen in this time, being inside a box, say, is left alone."""
BESIDE_M = 0.5
"""A cell's centre this far behind what the lidar meets still counts as looked at."""


def watched(config: MissionConfig) -> Array:
    """The centres (C, 2) of the cells that a mission looks at: of a perimeter its edge alone."""
    centres = cells(config.area, config.cell_m)
    if config.kind != "perimeter":
        return centres
    inside = np.minimum(centres - config.area[:2], config.area[2:] - centres).min(axis=1)
    edge: Array = centres[inside <= config.edge_m]
    return edge


class Coverage:
    """Marks of one unit. Pure: times are given, seconds."""

    def __init__(self, config: MissionConfig) -> None:
        self._config = config
        self.centres = watched(config)
        self._looked_s = np.zeros(len(self.centres))
        self._goal: int | None = None
        self._since_s = 0.0
        self._own_s: float | None = None
        self._theirs_s: dict[str, float] = {}

    @property
    def unseen(self) -> NDArray[np.bool_]:
        return self._looked_s < LOOK_S

    def reset(self) -> None:
        """Begin anew with fresh marks."""
        self._looked_s[:] = 0.0
        self._goal = None

    def look(self, pose: Pose, sight_m: Array, now: float) -> None:
        """Credit what this unit's camera has in view; `sight_m` (C,) is how far the lidar sees."""
        gap = 0.0 if self._own_s is None else min(now - self._own_s, MAX_GAP_S)
        self._own_s = now
        self._credit(pose, self._config.view_m, sight_m + BESIDE_M, gap)

    def look_of(self, state: UnitState, now: float) -> None:
        """Credit what another unit has in view; what hides there is unknown, so it counts less."""
        gap = min(now - self._theirs_s.get(state.unit, now), MAX_GAP_S)
        self._theirs_s[state.unit] = now
        if state.pose:
            self._credit(state.pose, 0.8 * self._config.view_m, np.array(np.inf), gap)

    def next(
        self, pose: Pose, others: list[UnitState], sight_m: Array, now: float
    ) -> tuple[Array, bool]:
        """The centre (2,) of the cell to look at, and whether it can be seen from here."""
        here = np.array([pose.x_m, pose.y_m])
        far = length(self.centres - here)
        hidden = (far < self._config.view_m) & (far > sight_m + BESIDE_M)
        if self._goal is not None and now - self._since_s > GIVE_UP_S + far[self._goal] / 0.3:
            self._looked_s[self._goal] = LOOK_S
        if self._goal is None or not self.unseen[self._goal]:
            if not self.unseen.any():
                self.reset()
            seekers = [each for each in others if each.doing == "searching" and each.pose]
            where = np.array([[s.pose.x_m, s.pose.y_m] for s in seekers if s.pose])
            claims = np.array([s.goal for s in seekers if s.goal is not None])
            best, _ = next_cell(
                self.centres,
                self.unseen,
                here,
                np.array(pose.yaw_rad),
                others=where.reshape(-1, 2),
                claims=claims.reshape(-1, 2),
                view_m=self._config.view_m,
                hidden=hidden,
                speed_mps=self._config.speed_mps,
            )
            self._goal, self._since_s = int(best), now
        goal = self._goal
        return self.centres[goal], bool(far[goal] < 0.8 * self._config.view_m and not hidden[goal])

    def bearings(self, pose: Pose) -> Array:
        """The directions (C,) of the cells in the unit's own frame."""
        way = self.centres - np.array([pose.x_m, pose.y_m])
        return wrap(heading(way) - pose.yaw_rad)

    def _credit(self, pose: Pose, view_m: float, sight_m: Array, gap_s: float) -> None:
        seen = in_view(
            self.centres,
            np.array([pose.x_m, pose.y_m]),
            np.array(pose.yaw_rad),
            view_m=view_m,
            view_rad=self._config.view_rad - 2 * MARGIN_RAD,
            sight_m=sight_m,
        )
        self._looked_s[seen] += gap_s
