"""A swarm without processes: real missions and real gossip, in lockstep with the kinematic engine.

Each unit is the mission machine, the reflex gate and the beacon that its core would run, and a
member of a virtual network in which the real gossip machine talks, through the radio of where the
units are. One clock, virtual, drives it all: the same seed gives the same run, whatever the
machine, as fast as it can.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from mtor_swarm import events
from mtor_swarm.config import MissionConfig, ReflexConfig
from mtor_swarm.errors import SwarmError
from mtor_swarm.events import (
    Event,
    MemberChanged,
    ReflexChanged,
    TargetLost,
    TargetSeen,
    payload,
)
from mtor_swarm.realm.gate import Gate, Scan, Velocity
from mtor_swarm.sim.intruder import Intruder
from mtor_swarm.sim.kinematic import LIDAR, Kinematic
from mtor_swarm.sim.radio import Radio, RadioModel, Walls
from mtor_swarm.swarm.gossip import effects as fx
from mtor_swarm.swarm.gossip import wire
from mtor_swarm.swarm.simnet.world import WALL_S, Member
from mtor_swarm.swarm.simnet.world import World as Net
from mtor_swarm.workers import mission_io as m
from mtor_swarm.workers.beacon import Beacon
from mtor_swarm.workers.missions import Machine, make

TICK_S = 0.1
"""A unit's lidar turns, and it moves on, this often."""
FRAME_S = 0.4
"""A camera's frames are looked at this often, like a small detector on a small board."""
PLACE_S = 0.5
SEEDS = 3
TASKS = "map:tasks"
"""The shared state in which the facts about tasks stand."""
ANTENNA_M = 0.3
MAX_EVENTS = 20_000
_HEARD: dict[str, type[msgspec.Struct]] = {
    "mtor.target.seen": TargetSeen,
    "mtor.target.lost": TargetLost,
}


class Core:
    """One unit's core: what its decision, reflex and gossip workers would keep."""

    def __init__(self, name: str, mission: Machine, member: Member, frame_at: float) -> None:
        self.name = name
        self.mission = mission
        self.member = member
        self.gate = Gate(ReflexConfig())
        self.beacon = Beacon(name)
        self.alive = True
        self.frame_at = frame_at


class Lockstep:
    """A mission by the units of an engine; `step` it, and let things befall it."""

    def __init__(
        self,
        engine: Kinematic,
        config: MissionConfig,
        *,
        seed: int,
        radio: RadioModel = RadioModel(),  # noqa: B008 (frozen: one serves all)
        walls: Walls | None = None,
    ) -> None:
        self.engine = engine
        self.config = config
        self.counts: Counter[str] = Counter()
        """Frames and bytes sent, events not kept."""
        self.events: list[Event] = []
        """What units told the swarm, `MAX_EVENTS` at most."""
        self._dice = random.Random(seed)
        self._radio = Radio(radio, random.Random(self._dice.random()), walls)
        self.net = Net(self._dice.randrange(2**32), self, radio=self._radio)
        self._post: list[tuple[Core, m.Given]] = []
        self._merged: dict[str, set[str]] = {}
        self._placed_s = -math.inf
        thing = engine.things.get(config.target) if config.kind == "perimeter" else None
        self.intruder = Intruder(engine, thing, config, seed) if thing else None
        self.cores = {name: self._core(name, seed) for name in engine.units}
        self._members = {each.member.name: each for each in self.cores.values()}

    @property
    def time_s(self) -> float:
        """Virtual seconds since the start."""
        return self.engine.time_s

    def live(self) -> list[Core]:
        """The units that are not killed."""
        return [each for each in self.cores.values() if each.alive]

    def doing(self) -> dict[str, str]:
        """What each unit does, the killed ones nothing."""
        return {e.name: e.mission.state.doing if e.alive else "" for e in self.cores.values()}

    def step(self) -> None:
        """One tick: the network up to now, then every unit senses, thinks and moves."""
        now = self.time_s
        if now - self._placed_s >= PLACE_S:
            self._placed_s = now
            self._place()
        self.net.run(now)
        post, self._post = self._post, []
        for core, given in post:
            if core.alive:
                self._give(core, given)
        self._tell_facts()
        live = self.live()
        if live:
            scans = self.engine.scans([each.name for each in live]).astype(np.float64)
            for core, ranges in zip(live, scans, strict=True):
                self._think(core, ranges, now)
        if self.intruder:
            self.intruder.step(TICK_S)
        self.engine.step(round(TICK_S / self.engine.step_s))

    def kill(self, name: str) -> None:
        """SIGKILL of a whole unit: it stands where it is, and nobody is told."""
        core = self.cores[name]
        core.alive = False
        self.engine.command(name, 0.0, 0.0)
        self.net.kill([core.member])

    def restart(self, name: str) -> None:
        """A killed unit comes back with its key, a new boot, and no memory."""
        gone = self.cores[name]
        boot, seeds = gone.member.boot + 1, self._seeds(name)
        member = self.net.add(name, seeds, boot=boot, unit=name)
        mission = make(self.config, name, random.Random(f"{name} {boot}"))
        self.cores[name] = self._members[name] = Core(name, mission, member, self.time_s)

    def part(self, names: Sequence[str]) -> None:
        """These units and the others hear nothing of each other."""
        self.net.network.side = dict.fromkeys(names, 1)

    def heal(self) -> None:
        """All hear all again, as far as the radio carries."""
        self.net.network.side = {}

    def trace(self) -> str:
        """A hash of every frame and step of the network; with `engine.state()` it is the run."""
        return self.net.trace()

    # Of the network: simnet's Watch

    def told(self, member: Member, effect: fx.Effect) -> None:
        """What a gossip machine has for the realm waits for the tick's end."""
        core = self._members.get(member.name)
        if core is None:
            return
        if isinstance(effect, fx.BeaconHeard):
            self._post.append((core, effect.state))
        elif isinstance(effect, fx.MemberSeen):
            seen = effect.member
            changed = MemberChanged(
                member=seen.id, unit=seen.unit, state=seen.state, was=effect.was
            )
            self._post.append((core, changed))
        elif isinstance(effect, fx.Deliver) and effect.event.type in _HEARD:
            data: Any = payload(effect.event, _HEARD[effect.event.type])
            self._post.append((core, data))
        elif isinstance(effect, fx.SharedMerged) and effect.state == TASKS:
            # What it wrote in an earlier life, too: else it would do its work again.
            self._merged.setdefault(core.name, set()).add(effect.item)

    def carried(self, member: Member, frame: wire.Frame, size: int) -> None:
        """Count a frame that is sent."""
        self.counts["frames"] += 1
        self.counts["bytes"] += size

    def heard(self, member: Member, sender: Member, frame: wire.Frame) -> None:
        """Nothing to note."""

    def stepped(self, member: Member) -> None:
        """Nothing to note."""

    def failed(self, member: Member, item: fx.Input, error: Exception) -> None:
        """A machine raised: a defect that no run may hide."""
        raise SwarmError(f"{member.name}: gossip failed on {type(item).__name__}") from error

    def _tell_facts(self) -> None:
        """What was written about tasks since the last tick; of each item only the newest."""
        merged, self._merged = self._merged, {}
        for name, items in merged.items():
            core = self.cores[name]
            if core.alive:
                for entry in core.member.machine.shared.replica.entries(TASKS):
                    if entry.item in items:
                        fact = m.Fact(entry.item, None if entry.gone else entry.value)
                        self._give(core, fact)

    # Of a unit

    def _core(self, name: str, seed: int) -> Core:
        member = self.net.add(name, self.engine.units[:SEEDS], unit=name)
        mission = make(self.config, name, random.Random(f"{seed} {name}"))
        return Core(name, mission, member, self._dice.uniform(0.0, FRAME_S))

    def _seeds(self, name: str) -> list[str]:
        return [each.name for each in self.live() if each.name != name][:SEEDS]

    def _place(self) -> None:
        heights = np.full((len(self.engine.position), 1), ANTENNA_M)
        places = np.concatenate([self.engine.position, heights], axis=1)
        members = (each.member.id for each in self.cores.values())
        self._radio.place(dict(zip(members, places.tolist(), strict=True)))

    def _think(self, core: Core, ranges: Any, now: float) -> None:
        engine, name = self.engine, core.name
        first, step = LIDAR.first_rad, math.tau / ranges.size
        core.gate.scan(Scan(ranges, first, step, LIDAR.min_m, LIDAR.max_m), now)
        real = np.where(np.isfinite(ranges), ranges, np.inf)
        self._give(core, m.Scan(real, first, step))
        if now >= core.frame_at:
            core.frame_at = now + FRAME_S
            seen = engine.sees(name)
            if seen:
                self._give(core, m.Sightings(seen))
        at = engine.odometry(name)
        core.gate.measure(Velocity(at.speed_mps, at.turn_rps))
        core.beacon.moved(at.pose, at.speed_mps, at.turn_rps)
        self._give(core, m.Odom(at.pose, at.speed_mps, at.turn_rps))
        wheels = core.gate.step(now).velocity
        engine.command(name, wheels.v_mps, wheels.w_rps)
        state = core.beacon.news(now)
        if state is not None:
            self.net.give(core.member, fx.StateChanged(state))

    def latch(self, name: str, latched: bool = True) -> None:
        """A stop, or its release, reaches the unit."""
        core = self.cores[name]
        core.gate.latched = latched
        core.beacon.reflexed(ReflexChanged(latched=latched))
        self._give(core, m.Latched(latched))

    def _give(self, core: Core, given: m.Given) -> None:
        now = self.time_s
        for effect in core.mission.handle(given, now):
            if isinstance(effect, m.Drive):
                core.gate.want(Velocity(effect.speed_mps, effect.turn_rps), now)
            elif isinstance(effect, m.Show):
                core.beacon.decided(effect.state)
            elif isinstance(effect, m.Fact):
                wish = fx.SharedWritten(TASKS, effect.key, effect.raw or b"", effect.raw is None)
                self.net.give(core.member, wish)
            else:
                self._publish(core, effect.data, now)

    def _publish(self, core: Core, data: msgspec.Struct, now: float) -> None:
        event = events.make(data, source=f"/{core.name}/decision", wall_s=WALL_S + now)
        self.counts["events"] += 1
        # The id is counted, not drawn: a run is to be the same each time.
        event = msgspec.structs.replace(event, id=f"{self.counts['events']:032x}", unit=core.name)
        if len(self.events) < MAX_EVENTS:
            self.events.append(event)
        else:
            self.counts["events_not_kept"] += 1
        if events.scope_of(event) == "swarm":
            self.net.give(core.member, fx.Published(event))
