"""Beacons: each unit's latest state, often to those near it and sparsely to all.

Near ones and the longest watching observers get it directly. To all it goes over the links of the
overlay, each member passing on the newest, and in a swarm of many less often: so what a member
sends and hears stays the same however many there are. Who hears a unit over one link asks the
others for quiet, for a while only, since nothing repairs a beacon that a broken path lost.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta

from mtor_swarm.events import Pose, UnitState, fingerprint, is_finite
from mtor_swarm.swarm.gossip import effects as fx
from mtor_swarm.swarm.gossip import wire

if TYPE_CHECKING:
    from mtor_swarm.swarm.gossip.machine import Machine

CONTEXT = b"Beacon\0"
NEAR = 6
"""Units that get every beacon; overlay neighbours, where it is not known who is near."""
OBSERVERS = 2
OBSERVED_HZ = 250.0
"""Beacons that an observer hears in a second at most, from all units together."""
FAR_MEMBERS = 50
"""In a swarm of more, beacons to all are rarer in proportion."""
CHOOSE_S = 1.0
"""Who is near is looked up this often."""
MISSED = 0.03
"""The chance that a beacon for all does not come which is small enough to ask others for quiet."""
QUIET_S = 10.0
"""A link that is not needed for a unit's beacons is left out for this long."""


class Said(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What a beacon's origin signs. `far`: it is for all, pass it on."""

    key: wire.Key
    boot: wire.Count
    seq: wire.Count
    far: bool
    state: Annotated[bytes, Meta(max_length=8192)]


_said = msgspec.msgpack.Decoder(Said)
_state = msgspec.msgpack.Decoder(UnitState)
_JUNK = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Heard:
    """How new the newest beacons of one unit are, where it is, and who needs none from us."""

    __slots__ = ("by", "far", "newest", "pose", "quiet")

    def __init__(self) -> None:
        self.newest = self.far = (0, 0)
        self.pose: Pose | None = None
        self.by: list[str] = []
        """Who sent us the newest for all, so far."""
        self.quiet: dict[str, float] = {}


class Beacons:
    """What a machine does about beacons."""

    def __init__(self, machine: Machine) -> None:
        self.m = machine
        self.out = machine.out
        self._state: UnitState | None = None
        self._told: UnitState | None = None
        self._seq = 0
        self._due = self._far_due = self._choose_at = self._observers_at = 0.0
        self._heard: dict[str, Heard] = {}
        self._near: list[str] = []
        self._observers: list[str] = []

    # --- ours

    def state_changed(self, state: UnitState, now: float) -> None:
        """Spread our unit's state; the latest wins."""
        self._state = state
        if now >= self._due:
            self.send(now)
        else:
            self.out.add(fx.SetTimer("beacon", self._due))

    def send(self, now: float) -> None:
        """Send the state: to all when that is due, else to those near if it changed."""
        state = self._state
        if state is None:
            return
        far = now >= self._far_due
        if not far and state == self._told:
            self.out.add(fx.SetTimer("beacon", self._far_due))
            return
        self._seq += 1
        self._due = now + self.m.config.beacon_period_s
        self._told = state
        if now >= self._choose_at:
            self._choose(now)
        beacon = self._signed(state, far)
        to = set(self._near)
        if far:
            self._far_due = now + self._far_period_s()
            to |= set(self._links_for(self.m.member_id, now))
            self._state = None
        else:
            self.out.add(fx.SetTimer("beacon", self._far_due))
        if now >= self._observers_at:
            self._observers_at = now + len(self.m.members.views) / OBSERVED_HZ
            to |= set(self._observers)
        for member in sorted(to):
            self.m.send(member, beacon, 3)

    def _signed(self, state: UnitState, far: bool) -> wire.Beacon:
        signer = self.m.signer
        body = msgspec.msgpack.encode(state)
        said = msgspec.msgpack.encode(Said(signer.public_key, self.m.boot, self._seq, far, body))
        return wire.Beacon(said, signer.sign(CONTEXT + said))

    def _far_period_s(self) -> float:
        crowd = max(1.0, len(self.m.members.views) / FAR_MEMBERS)
        return max(self.m.config.beacon_far_s * crowd, self.m.config.beacon_period_s)

    def _choose(self, now: float) -> None:
        """Who is near, by the poses last heard, and who observes."""
        self._choose_at = now + CHOOSE_S
        views = self.m.members.views
        live = self.m.members.live()
        observers = [each for each in live if views[each].fact.role == "observer"]
        observers.sort(key=lambda each: (views[each].fact.started_s, each))
        self._observers = observers[:OBSERVERS]
        self._near = self._nearest()
        links = [each for each in self.m.news.tree.links if each not in self._near]
        self._near += links[: NEAR - len(self._near)]

    def _nearest(self) -> list[str]:
        here = self._told.pose if self._told else None
        if here is None or not is_finite(here.x_m, here.y_m):
            return []
        placed = [
            ((heard.pose.x_m - here.x_m) ** 2 + (heard.pose.y_m - here.y_m) ** 2, member)
            for member, heard in self._heard.items()
            if heard.pose is not None and self.m.members.is_live(member)
        ]
        return [member for _, member in sorted(placed)[:NEAR]]

    # --- others'

    def forgotten(self, member: str) -> None:
        """That member is not known any more."""
        self._heard.pop(member, None)

    def quieted(self, sender: str, origin: str, now: float) -> None:
        """A peer hears that unit's beacons without us."""
        if sender in self.m.news.tree.links and origin in self.m.members.views:
            self._heard.setdefault(origin, Heard()).quiet[sender] = now + QUIET_S

    def _links_for(self, origin: str, now: float) -> list[str]:
        """The links that a unit's beacons for all go out on."""
        heard = self._heard.get(origin)
        links = list(self.m.news.tree.links)
        if heard is None or not heard.quiet:
            return links
        heard.quiet = {each: at for each, at in heard.quiet.items() if at > now}
        return [each for each in links if each not in heard.quiet]

    def received(self, sender: str, beacon: wire.Beacon, now: float) -> None:
        """A beacon: told if it is newer than the last, passed on if it is for all."""
        try:
            said = _said.decode(beacon.said)
        except _JUNK:
            self.out.count("not beacons")
            return
        origin, age = fingerprint(said.key), (said.boot, said.seq)
        if origin == self.m.member_id:
            return
        if origin not in self.m.members.views:
            self.out.count("beacons of strangers")
            return
        heard = self._heard.setdefault(origin, Heard())
        spread = said.far and age > heard.far
        if not spread and age <= heard.newest:
            if said.far and age == heard.far and sender != origin:
                self._again(origin, heard, sender, now)
            return
        if not self.m.verifier.verify(said.key, CONTEXT + beacon.said, beacon.signature):
            self.out.count("forged")
            return
        if spread:
            heard.far, heard.by = age, [sender]
            for member in self._links_for(origin, now):
                if member not in (sender, origin):
                    self.m.send(member, beacon, 3)
        if age > heard.newest:
            self._tell(origin, heard, said)

    def _again(self, origin: str, heard: Heard, sender: str, now: float) -> None:
        """One more copy of a beacon for all: where few are lost it need not come."""
        if math.prod(self.m.loss.get(each, 0.0) for each in heard.by) <= MISSED:
            heard.quiet[sender] = now + QUIET_S
            self.m.send(sender, wire.Quiet(origin), 3)
        elif sender not in heard.by:
            heard.by.append(sender)

    def _tell(self, origin: str, heard: Heard, said: Said) -> None:
        try:
            state = _state.decode(said.state)
        except _JUNK:
            self.out.count("not states")
            return
        if not is_finite(*state.offers.values()):
            self.out.count("not states")
            return
        heard.newest = (said.boot, said.seq)
        pose = state.pose
        heard.pose = pose if pose and is_finite(pose.x_m, pose.y_m) else None
        self.out.add(fx.BeaconHeard(origin, state))
