"""A flat field in virtual time: walls, boxes, a cat, units with lidar and camera, a lossy radio.

Kinematic and exact: rays meet segments and discs. The same seed gives the same run. The units run
the real mission machine and the real reflex gate; only physics and the detector are imitated.
"""

from __future__ import annotations

import heapq
import itertools
import math
import random
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mtor_swarm.config import MissionConfig, ReflexConfig
from mtor_swarm.events import MemberChanged, Pose, Sighting, TargetLost, TargetSeen, UnitState
from mtor_swarm.realm.gate import Gate, Velocity
from mtor_swarm.realm.gate import Scan as GateScan
from mtor_swarm.workers import mission_io as m
from mtor_swarm.workers.mission import Mission

STEP_S, SCAN_EVERY, BEACON_S, FRAME_S = 0.05, 2, 0.2, 0.4
HULL_M, CAT_M, SEEN_M, FOV_RAD = 0.18, 0.3, 3.0, 1.3
RAYS = 360
DEAD_AFTER_S = 2.2
Array = NDArray[np.float64]


@dataclass
class Body:
    name: str
    pose: Pose
    mission: Mission
    gate: Gate
    rng: random.Random
    noise: np.random.Generator
    v: float = 0.0
    w: float = 0.0
    alive: bool = True
    frame_at: float = 0.0
    beacon_at: float = 0.0
    said: list[object] = field(default_factory=list)

    @property
    def xy(self) -> Array:
        return np.array([self.pose.x_m, self.pose.y_m])


class Field:
    """A world with its units; `run` it until the judge is content or time is out."""

    def __init__(
        self,
        seed: int,
        *,
        units: int = 6,
        loss: float = 0.0,
        delay_s: float = 0.02,
        cat: bool = True,
        config: MissionConfig | None = None,
        lies: float = 0.005,
        cat_room_m: float = 1.4,
    ) -> None:
        self.rng = random.Random(seed)
        self.config = config or MissionConfig(name="search", target="cat", cell_m=1.0)
        self.loss, self.delay_s, self.lies, self.has_cat = loss, delay_s, lies, cat
        self.now = 0.0
        self.boxes: list[tuple[float, float, float]] = []  # x, y, half width
        self.start = self.rng.choice([(-1, -1), (-1, 1), (1, -1), (1, 1)])
        self.cat_room_m = cat_room_m
        self.cat = self._place(CAT_M, cat_room_m, 6.0)
        for _ in range(self.rng.randint(6, 8)):
            half = self.rng.uniform(0.25, 0.5)
            x, y = self._place(half, 0.5, 3.6)
            self.boxes.append((x, y, half))
        self.segments = self._segments()
        self.units = [self._unit(i, seed) for i in range(units)]
        self._mail: list[tuple[float, int, str, object]] = []
        self._order = itertools.count()
        self.still_since: float | None = None
        self.closest_units = self.closest_solid = math.inf
        self.told: list[tuple[float, str, object]] = []
        self._deaths: list[tuple[float, str]] = []

    def _place(self, half: float, room: float, from_start: float) -> tuple[float, float]:
        x_min, y_min, x_max, y_max = self.config.area
        corner = (x_max * self.start[0], y_max * self.start[1])
        while True:
            x = self.rng.uniform(x_min + half + room, x_max - half - room)
            y = self.rng.uniform(y_min + half + room, y_max - half - room)
            if math.dist((x, y), corner) < from_start + half:
                continue
            others = list(self.boxes)
            if hasattr(self, "cat"):
                others.append((*self.cat, CAT_M + self.cat_room_m - 0.8))
            if all(max(abs(x - a), abs(y - b)) > half + h + 0.8 for a, b, h in others):
                return x, y

    def _segments(self) -> Array:
        x_min, y_min, x_max, y_max = self.config.area
        solids = [(x_min, y_min, x_max, y_max)]
        cats = [(*self.cat, CAT_M)] if self.has_cat else []
        solids += [(x - h, y - h, x + h, y + h) for x, y, h in [*self.boxes, *cats]]
        found = []
        for a, b, c, d in solids:
            corners = [(a, b), (c, b), (c, d), (a, d), (a, b)]
            found += [(*p, *q) for p, q in itertools.pairwise(corners)]
        return np.array(found)

    def _unit(self, index: int, seed: int) -> Body:
        name = f"r{index + 1}"
        x = self.start[0] * (self.config.area[2] - 0.8 - 0.8 * (index % 3))
        y = self.start[1] * (self.config.area[3] - 0.8 - 0.8 * (index // 3))
        yaw = math.atan2(-y, -x)
        rng = random.Random(f"{seed} {name}")
        noise = np.random.default_rng([seed, index])
        mission = Mission(self.config, name, random.Random(f"{seed} {name} mission"))
        return Body(name, Pose(x, y, yaw), mission, Gate(ReflexConfig()), rng, noise)

    # Senses

    def cast(self, origin: Array, angles: Array, skip: str = "") -> Array:
        """Ranges (N,) along rays from `origin`, in frame map; 8 m at most, else inf."""
        d = np.stack([np.cos(angles), np.sin(angles)], axis=-1)
        a = self.segments[:, :2] - origin
        e = self.segments[:, 2:] - self.segments[:, :2]
        cross = d[:, None, 0] * e[None, :, 1] - d[:, None, 1] * e[None, :, 0]
        with np.errstate(divide="ignore", invalid="ignore"):
            t = (a[:, 0] * e[:, 1] - a[:, 1] * e[:, 0])[None, :] / cross
            s = (a[None, :, 0] * d[:, None, 1] - a[None, :, 1] * d[:, None, 0]) / cross
        ranges = np.where((t > 0) & (s >= 0) & (s <= 1), t, np.inf).min(axis=1)
        for other in self.units:
            if other.name != skip:
                way = other.xy - origin
                along, across = d @ way, d[:, 0] * way[1] - d[:, 1] * way[0]
                root = HULL_M**2 - across**2
                hit = (root > 0) & (along > 0)
                near = along - np.sqrt(np.maximum(root, 0.0))
                ranges = np.minimum(ranges, np.where(hit, near, np.inf))
        return np.where(ranges <= 8.0, ranges, np.inf)

    def _scan(self, body: Body) -> None:
        angles = np.linspace(-math.pi, math.pi, RAYS, endpoint=False)
        ranges = self.cast(body.xy, angles + body.pose.yaw_rad, body.name)
        ranges = np.maximum(ranges + body.noise.normal(0.0, 0.01, RAYS), 0.05)
        step = 2 * math.pi / RAYS
        body.gate.scan(GateScan(ranges, -math.pi, step, 0.05, 8.0), self.now)
        body.mission.handle(m.Scan(ranges, -math.pi, step), self.now)

    def _frame(self, body: Body) -> None:
        seen = []
        way = np.array(self.cat) - body.xy
        far, bearing = math.hypot(*way), math.atan2(way[1], way[0])
        off = (bearing - body.pose.yaw_rad + math.pi) % (2 * math.pi) - math.pi
        if self.has_cat and far < SEEN_M and abs(off) < FOV_RAD / 2 - 0.08:
            half = math.atan2(0.8 * CAT_M, far)
            rays = self.cast(body.xy, bearing + np.array([-half, 0.0, half]), body.name)
            shown = rays > far - 0.45
            if shown.sum() >= 2 and body.rng.random() < 0.8:
                score = body.rng.uniform(0.45, 0.95)
                seen.append(self._sighting(body, off + body.rng.gauss(0.0, 0.03), score))
        if body.rng.random() < self.lies:
            seen.append(self._sighting(body, body.rng.uniform(-0.6, 0.6), 0.55))
        if seen:
            self._carry_out(body, body.mission.handle(m.Sightings(seen), self.now))

    def _sighting(self, body: Body, off: float, score: float) -> Sighting:
        direction = body.pose.yaw_rad + off
        far = float(self.cast(body.xy, np.array([direction]), body.name)[0])
        far = min(far, 8.0) + body.rng.gauss(0.0, 0.03)
        x, y = body.pose.x_m + far * math.cos(direction), body.pose.y_m + far * math.sin(direction)
        return Sighting(
            label="cat", score=score, left=0, top=0, width=9, height=9,
            bearing_rad=off, range_m=far, x_m=x, y_m=y,
        )  # fmt: skip

    # Radio

    def _send(self, sender: Body, thing: object, *, sure: bool = False) -> None:
        """Beacons are lost for good; events are repaired, later (`sure`)."""
        for other in self.units:
            if other is sender:
                continue
            delay = self.rng.expovariate(1.0 / self.delay_s)
            if self.rng.random() < self.loss:
                if not sure:
                    continue
                delay += self.rng.uniform(0.2, 1.0)
            item = (self.now + delay, next(self._order), other.name, thing)
            heapq.heappush(self._mail, item)

    def _deliver(self) -> None:
        while self._mail and self._mail[0][0] <= self.now:
            _, _, name, thing = heapq.heappop(self._mail)
            body = self[name]
            if body.alive:
                self._carry_out(body, body.mission.handle(thing, self.now))  # type: ignore[arg-type]

    def __getitem__(self, name: str) -> Body:
        return next(each for each in self.units if each.name == name)

    def _carry_out(self, body: Body, effects: list[m.Effect]) -> None:
        for each in effects:
            if isinstance(each, m.Drive):
                body.gate.want(Velocity(each.speed_mps, each.turn_rps), self.now)
            elif isinstance(each, m.Say):
                body.said.append(each.data)
                self.told.append((self.now, body.name, each.data))
                if isinstance(each.data, (TargetSeen, TargetLost)):
                    self._send(body, each.data, sure=True)

    # What befalls units

    def kill(self, name: str) -> None:
        """SIGKILL of the whole unit: it stands, and the others learn of it some time later."""
        body = self[name]
        body.alive = False
        body.v = body.w = 0.0
        self._deaths.append((self.now + DEAD_AFTER_S, name))

    def latch(self, name: str, latched: bool = True) -> None:
        """A hold reaches the unit's reflex."""
        self[name].gate.latched = latched
        self[name].mission.handle(m.Latched(latched), self.now)

    # Time

    def step(self) -> None:
        tick = round(self.now / STEP_S)
        self._deliver()
        for at, name in [d for d in self._deaths if d[0] <= self.now]:
            self._deaths.remove((at, name))
            news = MemberChanged(member=name, unit=name, state="dead")
            for body in self.units:
                if body.alive and body.name != name:
                    self._carry_out(body, body.mission.handle(news, self.now))
        for index, body in enumerate(self.units):
            if body.alive:
                self._live(body, tick + index)
        for body in self.units:
            self._move(body)
        self.now = (tick + 1) * STEP_S
        self._judge()

    def _live(self, body: Body, tick: int) -> None:
        if tick % SCAN_EVERY == 0:
            self._scan(body)
        odom = m.Odom(body.pose, body.v, body.w)
        self._carry_out(body, body.mission.handle(odom, self.now))
        if self.now >= body.frame_at:
            body.frame_at = self.now + FRAME_S * body.rng.uniform(0.8, 1.3)
            self._frame(body)
        if self.now >= body.beacon_at:
            body.beacon_at = self.now + BEACON_S
            state: UnitState = body.mission.state
            self._send(body, state)
        body.gate.measure(Velocity(body.v, body.w))
        given = body.gate.step(self.now).velocity
        body.v, body.w = given.v_mps, given.w_rps

    def _move(self, body: Body) -> None:
        p = body.pose
        yaw = p.yaw_rad + body.w * STEP_S / 2
        x = p.x_m + body.v * STEP_S * math.cos(yaw)
        y = p.y_m + body.v * STEP_S * math.sin(yaw)
        body.pose = Pose(x, y, (yaw + body.w * STEP_S / 2 + math.pi) % (2 * math.pi) - math.pi)

    def _judge(self) -> None:
        around = [b for b in self.units if math.dist(b.xy, self.cat) <= 1.5]
        bearings = sorted(math.atan2(b.xy[1] - self.cat[1], b.xy[0] - self.cat[0]) for b in around)
        gaps = [b - a for a, b in itertools.pairwise(bearings)]
        gaps += [bearings[0] + 2 * math.pi - bearings[-1]] if bearings else []
        good = len(around) >= 3 and max(gaps) <= math.radians(150)
        good = good and all(abs(b.v) < 0.02 for b in around)
        if not good:
            self.still_since = None
        elif self.still_since is None:
            self.still_since = self.now
        xy = np.array([b.xy for b in self.units])
        between = np.hypot(*np.moveaxis(xy[:, None] - xy[None], -1, 0))
        between[np.diag_indices(len(xy))] = np.inf
        self.closest_units = min(self.closest_units, float(between.min()) - 2 * HULL_M)
        a, e = self.segments[:, :2], self.segments[:, 2:] - self.segments[:, :2]
        t = ((xy[:, None] - a) * e).sum(-1) / (e * e).sum(-1)
        nearest = a + np.clip(t, 0, 1)[..., None] * e
        off = np.hypot(*np.moveaxis(xy[:, None] - nearest, -1, 0))
        self.closest_solid = min(self.closest_solid, float(off.min()) - HULL_M)

    @property
    def done(self) -> bool:
        return self.has_cat and self.still_since is not None and self.now - self.still_since >= 3.0

    def run(self, until_s: float) -> float:
        """Seconds until the judge's verdict, or inf."""
        while self.now < until_s:
            self.step()
            if self.done:
                return self.now
        return math.inf
