"""Scale: a thousand kinematic units flock by what they hear in each other's gossip beacons.

Each unit is a real gossip machine in a virtual network with radios of 10 m, and chooses its
velocity by the beacons that came to it: nobody looks at the truth.
"""

from __future__ import annotations

import math
import random
import time
from collections import defaultdict
from collections.abc import Callable

import numpy as np

from benchmarks.form import Figure
from mtor_swarm.config import GossipConfig
from mtor_swarm.events import Pose, UnitState
from mtor_swarm.sim.kinematic import Kinematic, Place
from mtor_swarm.sim.radio import Radio, RadioModel
from mtor_swarm.swarm.behaviours.flocking import flocking
from mtor_swarm.swarm.behaviours.geometry import Array
from mtor_swarm.swarm.behaviours.scene import Area, Bodies, among, beside
from mtor_swarm.swarm.behaviours.steer import steer
from mtor_swarm.swarm.gossip import effects as fx
from mtor_swarm.swarm.gossip import wire
from mtor_swarm.swarm.simnet.world import Member, World

UNITS = 1000
TICK_S = 0.1
SPACING_M = 1.5
NEAREST = 7
"""Neighbours that a unit flocks with, as starlings do (Ballerini et al., PNAS 2008)."""
FRESH_S = 2.0
KNOWN = 64
"""Members that each keeps: a sample, as in `mtor simnet --known 64`."""


class Flock:
    """N units in a square; `clock` counts the CPU seconds that each kind of work took."""

    def __init__(self, units: int, seed: int) -> None:
        side = math.ceil(math.sqrt(units))
        room = SPACING_M * side
        self.area: Area = (-room, -room, 2 * room, 2 * room)
        dice = np.random.default_rng(seed)
        starts: dict[str, Place] = {
            f"u{n}": (SPACING_M * (n % side), SPACING_M * (n // side), float(dice.uniform(-3, 3)))
            for n in range(units)
        }
        self.engine = Kinematic(starts, seed=seed)
        self.clock: defaultdict[str, float] = defaultdict(float)
        self.rng = np.random.default_rng(seed)

    def move(self, wanted: Array) -> None:
        """Drive a tick by velocities (N, 2) in `map`."""
        began = time.process_time()
        speed, turn = steer(wanted, self.engine.heading)
        self.engine.command_all(np.stack([speed, turn], axis=-1))
        self.engine.step(round(TICK_S / self.engine.step_s))
        self.clock["move"] += time.process_time() - began

    def see(self) -> None:
        """A tick of units that see their neighbours as they are, without any gossip."""
        began = time.process_time()
        engine = self.engine
        bodies = Bodies.at(engine.position, engine.velocity_mps, engine.heading)
        scene = among(bodies, reach_m=5.0, nearest=NEAREST, rng=self.rng, area=self.area)
        wanted = flocking(scene)
        self.clock["choose"] += time.process_time() - began
        self.move(wanted)


class Talking(Flock):
    """The same, by beacons; it looks on at the network (simnet's Watch)."""

    def __init__(self, units: int, seed: int) -> None:
        super().__init__(units, seed)
        self.frames = 0
        self._heard = np.full((units, units, 4), np.nan)
        """What each has heard of each: x, y (m), heading (rad), speed (m/s)."""
        self._heard_s = np.full((units, units), -math.inf)
        dice = random.Random(seed)
        self.radio = Radio(RadioModel(), random.Random(dice.random()))
        config = GossipConfig(members_known=KNOWN)
        self.net = World(dice.randrange(2**32), self, config, radio=self.radio)
        side = math.ceil(math.sqrt(units))
        self.members = [
            self.net.add(name, [f"u{max(0, n - 1)}", f"u{max(0, n - side)}"], unit=name)
            for n, name in enumerate(self.engine.units)
        ]

    def tick(self) -> None:
        """Radio, gossip, choosing by what was heard, driving."""
        engine, now = self.engine, self.engine.time_s
        began = time.process_time()
        places = np.column_stack([engine.position, np.full(len(self.members), 0.3)]).tolist()
        self.radio.place(dict(zip((e.id for e in self.members), places, strict=True)))
        speeds = np.hypot(*engine.velocity_mps.T).tolist()
        poses = np.round(np.column_stack([engine.position, engine.heading]), 2).tolist()
        for member, pose, speed in zip(self.members, poses, speeds, strict=True):
            state = UnitState(unit=member.name, pose=Pose(*pose), speed_mps=round(speed, 2))
            self.net.give(member, fx.StateChanged(state))
        self.net.run(now)
        gossiped = time.process_time()
        wanted = self._choose(now)
        self.clock["gossip"] += gossiped - began
        self.clock["choose"] += time.process_time() - gossiped
        self.move(wanted)

    def _choose(self, now: float) -> Array:
        engine = self.engine
        x, y = self._heard[..., 0], self._heard[..., 1]
        far = np.hypot(x - engine.position[:, :1], y - engine.position[:, 1:])
        far = np.where(now - self._heard_s < FRESH_S, far, np.inf)
        which = np.argpartition(far, NEAREST, axis=1)[:, :NEAREST]
        rows = np.arange(len(far))[:, None]
        near = np.nan_to_num(self._heard[rows, which])
        ahead = np.stack([np.cos(near[..., 2]), np.sin(near[..., 2])], axis=-1)
        scene = beside(
            Bodies.at(engine.position, engine.velocity_mps, engine.heading),
            Bodies.at(near[..., :2], near[..., 3:] * ahead, near[..., 2]),
            np.isfinite(far[rows, which]),
            rng=self.rng,
            area=self.area,
        )
        return flocking(scene)

    def heard_of(self) -> float:
        """Of how many others a unit has fresh news, on average."""
        return float((self.engine.time_s - self._heard_s < FRESH_S).sum(axis=1).mean())

    def told(self, member: Member, effect: fx.Effect) -> None:
        if isinstance(effect, fx.BeaconHeard) and effect.state.pose:
            other = int(effect.state.unit[1:])
            pose = effect.state.pose
            said = (pose.x_m, pose.y_m, pose.yaw_rad, effect.state.speed_mps)
            self._heard[member.index, other] = said
            self._heard_s[member.index, other] = self.net.now

    def carried(self, member: Member, frame: wire.Frame, size: int) -> None:
        self.frames += 1

    def heard(self, member: Member, sender: Member, frame: wire.Frame) -> None: ...

    def stepped(self, member: Member) -> None: ...

    def failed(self, member: Member, item: fx.Input, error: Exception) -> None:
        raise error


def run(quick: bool) -> list[Figure]:
    alone, talking = Flock(UNITS, 1), Talking(UNITS, 1)
    alone_rtf = _rtf(alone.see, 50 if quick else 300)
    _rtf(talking.tick, 15)  # they meet, and hear of each other
    talking.clock.clear()
    rtf = _rtf(talking.tick, 10 if quick else 30)
    total = sum(talking.clock.values())
    about = f"scale: {UNITS} kinematic units flock"
    return [
        Figure(name=f"{about}, real-time factor of one core, without gossip", value=alone_rtf,
               goal=1.0, better="more"),
        Figure(name=f"{about} by gossip beacons, real-time factor of one core", value=rtf,
               goal=1.0, better="more", baseline=alone_rtf),
        Figure(name="scale: of that time the gossip takes",
               value=100 * talking.clock["gossip"] / total, unit="%"),
        Figure(name="scale: others of whom a unit has news of the last 2 s",
               value=talking.heard_of(), unit="units"),
        Figure(name="scale: datagrams a unit sends",
               value=talking.frames / UNITS / talking.engine.time_s, unit="1/s"),
    ]  # fmt: skip


def _rtf(tick: Callable[[], None], times: int) -> float:
    began = time.process_time()
    for _ in range(times):
        tick()
    return times * TICK_S / (time.process_time() - began)
