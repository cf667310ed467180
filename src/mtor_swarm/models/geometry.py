"""Where a thing in a picture stands: pinhole camera, lidar ranges and the unit's own motion.

Frames follow REP 103: the unit's x axis points ahead, y to its left, angles run counter-clockwise.
The lidar sits at the unit's centre, the camera `camera_x_m` ahead of it, both level and looking
ahead. Pure: times are seconds on whatever clock stamps the messages.
"""

from __future__ import annotations

import math
from collections import deque

import msgspec
import numpy as np
from numpy.typing import NDArray

from mtor_swarm.events import Pose, Sighting
from mtor_swarm.ports import Detection

Points = NDArray[np.float64]
"""Shape (n, 2): x and y in metres."""

MOST_SCANS = 16
SCAN_SLACK_S = 0.5
"""A scan further from the picture than this tells nothing of it."""
NEAR_PERCENTILE = 25.0
"""Of the rays on an object the nearer ones tell: some always slip past it to the wall behind."""


class Camera(msgspec.Struct, frozen=True):
    """An ideal pinhole camera: picture width in pixels, horizontal field of view, mounting."""

    width_px: int
    horizontal_fov_rad: float
    x_m: float = 0.0

    def bearing_rad(self, column_px: float) -> float:
        """Direction of a picture column from the camera's axis, left positive."""
        half = self.width_px / 2
        focal = half / math.tan(self.horizontal_fov_rad / 2)
        return math.atan2(half - column_px, focal)


class Scan(msgspec.Struct, frozen=True):
    """A lidar's sweep: hit points in the unit's frame at `time_s`, one ray each `step_rad`."""

    time_s: float
    points: Points
    step_rad: float

    @classmethod
    def of(
        cls,
        time_s: float,
        ranges_m: NDArray[np.floating],
        *,
        first_rad: float,
        step_rad: float,
        nearest_m: float,
        farthest_m: float,
    ) -> Scan:
        """From ranges by angle, as sensor_msgs/LaserScan has them; rays without a hit go."""
        ranges = np.asarray(ranges_m, dtype=np.float64)
        angles = first_rad + step_rad * np.arange(len(ranges))
        hit = np.isfinite(ranges) & (ranges >= nearest_m) & (ranges <= farthest_m)
        points = np.column_stack((np.cos(angles[hit]), np.sin(angles[hit]))) * ranges[hit, None]
        return cls(time_s, points, abs(step_rad))


class Track:
    """Where the unit was: a bounded run of poses, interpolated between their stamps."""

    def __init__(self, *, most: int = 256, slack_s: float = 0.25) -> None:
        """Keep the `most` newest; within `slack_s` outside them the nearest pose serves."""
        self._poses: deque[tuple[float, Pose]] = deque(maxlen=most)
        self._slack_s = slack_s

    def add(self, time_s: float, pose: Pose) -> None:
        """Note a pose; one that is older than the last starts anew, as after a clock reset."""
        if self._poses and time_s < self._poses[-1][0]:
            self._poses.clear()
        self._poses.append((time_s, pose))

    def at(self, time_s: float) -> Pose | None:
        """The pose at that time, or None if it is too far from all that are known."""
        after: tuple[float, Pose] | None = None
        for known in reversed(self._poses):
            if known[0] <= time_s:
                return self._between(known, after, time_s)
            after = known
        if after is not None and after[0] - time_s <= self._slack_s:
            return after[1]
        return None

    def _between(
        self, before: tuple[float, Pose], after: tuple[float, Pose] | None, time_s: float
    ) -> Pose | None:
        (t0, a) = before
        if after is None:
            return a if time_s - t0 <= self._slack_s else None
        (t1, b) = after
        part = (time_s - t0) / (t1 - t0)
        turn = math.remainder(b.yaw_rad - a.yaw_rad, math.tau)
        return Pose(
            a.x_m + part * (b.x_m - a.x_m),
            a.y_m + part * (b.y_m - a.y_m),
            a.yaw_rad + part * turn,
        )


class Surroundings:
    """What the unit knows of where it was and what stood around it, lately; bounded."""

    def __init__(self) -> None:
        self._track = Track()
        self._scans: deque[Scan] = deque(maxlen=MOST_SCANS)

    def add_pose(self, time_s: float, pose: Pose) -> None:
        """The unit stood at `pose` (frame `map`)."""
        self._track.add(time_s, pose)

    def add_scan(self, scan: Scan) -> None:
        """The lidar saw this."""
        self._scans.append(scan)

    def sight(self, detection: Detection, camera: Camera, time_s: float) -> Sighting:
        """A detection in a picture taken at `time_s`, with bearing and, if known, where it is.

        The range is from the camera to the object's near surface, by the scan nearest in time,
        moved by what the unit moved since; `x_m`, `y_m` are that surface's, not the middle's.
        None where no scan or pose is near enough in time, or no ray met the object.
        """
        middle = detection.left + detection.width / 2
        bearing = camera.bearing_rad(middle)
        pose = self._track.at(time_s)
        distance = self._distance(detection, camera, time_s, pose)
        x = y = None
        if pose is not None and distance is not None:
            x, y = place(pose, camera, bearing, distance)
        return Sighting(
            label=detection.label,
            score=detection.score,
            left=detection.left,
            top=detection.top,
            width=detection.width,
            height=detection.height,
            bearing_rad=bearing,
            range_m=distance,
            x_m=x,
            y_m=y,
        )

    def _distance(
        self, detection: Detection, camera: Camera, time_s: float, pose: Pose | None
    ) -> float | None:
        scan = min(self._scans, key=lambda each: abs(each.time_s - time_s), default=None)
        if scan is None or abs(scan.time_s - time_s) > SCAN_SLACK_S:
            return None
        taken = self._track.at(scan.time_s)
        points = scan.points
        if pose is not None and taken is not None:
            points = seen_from(points, taken, pose)
        return range_m(detection, camera, points, scan.step_rad)


def seen_from(points: Points, taken: Pose, now: Pose) -> Points:
    """Points in the unit's frame at pose `taken`, expressed in its frame at pose `now`."""
    return (_turned(points, taken.yaw_rad) + _xy(taken) - _xy(now)) @ _turn(now.yaw_rad)


def range_m(detection: Detection, camera: Camera, points: Points, step_rad: float) -> float | None:
    """Distance from the camera to the near surface of what is in the box, or None if no ray hit.

    `points` are hits in the unit's frame when the picture was taken, `step_rad` the angle between
    rays. Counted are those that fall into the middle half of the box as the camera sees them: its
    sides are background more often than not.
    """
    from_camera = points - (camera.x_m, 0.0)
    ahead = from_camera[from_camera[:, 0] > 0]
    left = camera.bearing_rad(detection.left + detection.width / 4)
    right = camera.bearing_rad(detection.left + detection.width * 3 / 4)
    # A box narrower than the gap between rays still deserves the ray next to it.
    half = max((left - right) / 2, step_rad * 0.75)
    bearings = np.arctan2(ahead[:, 1], ahead[:, 0])
    on_it = ahead[np.abs(bearings - (left + right) / 2) <= half]
    if not len(on_it):
        return None
    return float(np.percentile(np.hypot(on_it[:, 0], on_it[:, 1]), NEAR_PERCENTILE))


def place(
    pose: Pose, camera: Camera, bearing_rad: float, distance_m: float
) -> tuple[float, float]:
    """The point (x, y in `map`, metres) at a bearing and distance from the unit's camera.

    With `range_m` for the distance it is the near surface of the object, not its middle.
    """
    ahead = camera.x_m + distance_m * math.cos(bearing_rad)
    left = distance_m * math.sin(bearing_rad)
    x, y = _turned(np.array([[ahead, left]]), pose.yaw_rad)[0] + _xy(pose)
    return float(x), float(y)


def _xy(pose: Pose) -> Points:
    return np.array([pose.x_m, pose.y_m])


def _turn(yaw_rad: float) -> Points:
    """The rotation by `yaw_rad`; rows of points times it turn the other way."""
    c, s = math.cos(yaw_rad), math.sin(yaw_rad)
    return np.array([[c, -s], [s, c]])


def _turned(points: Points, yaw_rad: float) -> Points:
    turned: Points = points @ _turn(yaw_rad).T
    return turned
