"""What each member was told, held against what was published: the invariants of a run.

At every step: an event at most once to a consumer and in order per stream, no silent hole, no
false death where none may be, no exception, stores within their bounds. At the end: every live
member has every event or a gap, and the views agree.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator

from mtor_swarm.config import GossipConfig
from mtor_swarm.events import Event
from mtor_swarm.swarm.gossip import effects as fx
from mtor_swarm.swarm.gossip import records, wire
from mtor_swarm.swarm.gossip.machine import Machine
from mtor_swarm.swarm.gossip.records import StreamKey
from mtor_swarm.swarm.simnet.world import Member, World

MAX_VIOLATIONS = 20
CONTINUED_S = 10.0
"""So long after a stop a death that was right may still be told."""


class Progress:
    """How far one member was told a stream: from `first` to `last`, `lost` of them as gaps."""

    __slots__ = ("first", "last", "lost")

    def __init__(self, first: int) -> None:
        self.first = first
        self.last = first - 1
        self.lost = 0


class Spread:
    """How one event spread."""

    __slots__ = ("at", "copies", "delivered", "hops", "last")

    def __init__(self, at: float, origin: int) -> None:
        self.at = at
        self.last = at
        self.delivered = 0
        self.copies = 0
        self.hops = bytearray(origin + 1)
        self.hops[origin] = 1

    def heard(self, member: int, sender: int) -> None:
        """A copy came; the first one tells how many hops it took (stored plus 1)."""
        self.copies += 1
        hops = self.hops
        if member >= len(hops):
            hops.extend(bytes(member + 1 - len(hops)))
        if not hops[member]:
            came = hops[sender] if sender < len(hops) else 0
            hops[member] = min(255, (came or 1) + 1)


class Ledger:
    """Looks on at a world (`Watch`) and keeps the books. `world` is set once there is one."""

    world: World

    def __init__(self, false_deaths: bool) -> None:
        self.may_die_falsely = false_deaths
        self.violations: list[str] = []
        self.hidden = 0
        self.spreads: dict[tuple[StreamKey, int], Spread] = {}
        self._names: dict[bytes, Spread] = {}
        self.published: Counter[StreamKey] = Counter()
        self.first_at: dict[StreamKey, float] = {}
        self.latency_s = array("f")
        self.detection_s = array("f")
        self.fallen: dict[tuple[str, int], float] = {}
        self.excused: dict[str, float] = {}
        self.false_deaths = 0
        self.gaps = 0
        self.frames = 0
        self.bytes = 0

    def violated(self, what: str) -> None:
        """An invariant does not hold; the first few are kept, the rest counted."""
        if len(self.violations) < MAX_VIOLATIONS:
            self.violations.append(f"{self.world.now:.3f} s: {what}")
        else:
            self.hidden += 1

    # --- what happens

    def publish(self, member: Member, event: Event) -> None:
        """The member publishes an event: from now on it is owed to all."""
        key = (member.id, member.boot, event.channel or "events")
        self.published[key] += 1
        self.first_at.setdefault(key, self.world.now)
        self.spreads[key, self.published[key]] = Spread(self.world.now, member.index)
        self.world.give(member, fx.Published(event))

    def fell(self, member: Member, until: float | None = None) -> None:
        """The member is killed, or (`until`) stands still: its death is right."""
        self.fallen[member.id, member.boot] = self.world.now
        if until is not None:
            self.excused[member.id] = until + CONTINUED_S

    def told(self, member: Member, effect: fx.Effect) -> None:
        """An effect for the member's consumers."""
        if isinstance(effect, fx.Deliver):
            self._delivered(member, effect.event)
        elif isinstance(effect, fx.MemberSeen) and effect.member.state == "dead":
            self._death(member, effect)

    def _delivered(self, member: Member, event: Event) -> None:
        streams = _streams(member)
        if event.type == "mtor.gap.found":
            data = event.data
            key = (data["member"], data["member_boot"], data["member_channel"])
            first, last = data["first"], data["last"]
            self.gaps += 1
        else:
            key = (event.origin, event.boot, event.channel)
            first = last = event.seq
        had = streams.get(key)
        if had is None:
            had = streams[key] = Progress(first)
        if first != had.last + 1:
            self.violated(
                f"{member.name} was told {first} of {_name(key)} after {had.last}: "
                + ("twice or out of order" if first <= had.last else "a silent hole")
            )
        had.last = last
        if event.type == "mtor.gap.found":
            had.lost += last - first + 1
            return
        spread = self.spreads.get((key, last))
        if spread is None:
            self.violated(f"{member.name} was told {last} of {_name(key)}: nobody published it")
            return
        spread.delivered += 1
        if member.born <= spread.at:  # those who came later only catch up
            spread.last = self.world.now
            self.latency_s.append(self.world.now - spread.at)

    def _death(self, viewer: Member, effect: fx.MemberSeen) -> None:
        seen = effect.member
        fallen = self.fallen.get((seen.id, seen.boot))
        if fallen is not None:
            self.detection_s.append(self.world.now - fallen)
            return
        other = self.world.member(seen.id)
        if other is None or not other.up or other.boot != seen.boot:
            return
        if self.world.now < self.excused.get(other.id, 0.0):
            return
        if not self.world.network.hears(viewer.name, other.name):
            return
        self.false_deaths += 1
        if not self.may_die_falsely:
            self.violated(f"{viewer.name} holds {other.name} for dead, but it lives")

    def carried(self, member: Member, frame: wire.Frame, size: int) -> None:
        """A frame is sent."""
        self.frames += 1
        self.bytes += size

    def heard(self, member: Member, sender: Member, frame: wire.Frame) -> None:
        """A frame arrives: note the copies of events in it."""
        if isinstance(frame, wire.Events):
            for raw in frame.records:
                packed = records.unpack(raw)
                if packed.payload is None:
                    continue
                if packed.name not in self._names:
                    record = records.read(packed, raw)
                    self._names[packed.name] = self.spreads[record.key, record.seq]
                self._names[packed.name].heard(member.index, sender.index)

    def stepped(self, member: Member) -> None:
        """After each input: everything of that member is within its bounds."""
        over = overgrown(member.machine)
        if over:
            self.violated(f"{member.name}: {over}")

    def failed(self, member: Member, item: fx.Input, error: Exception) -> None:
        """The machine raised."""
        what = f"{type(error).__name__}: {error}"
        self.violated(f"{member.name} raised on {type(item).__name__}: {what}"[:400])

    # --- the end

    def settled(self, live: list[Member]) -> bool:
        """Whether every live member has all that it is owed."""
        return next(iter(self._owed(live)), None) is None

    def close(self, live: list[Member]) -> None:
        """The books must balance now."""
        for what in self._owed(live):
            self.violated(what)

    def _owed(self, live: list[Member]) -> Iterator[str]:
        boots = {each.id: each.boot for each in live}
        for key, count in self.published.items():
            origin, boot, _ = key
            if boots.get(origin, boot) != boot:
                continue  # it began anew: what it said before is worth only what was heard of it
            others = [each for each in live if each.id != origin]
            last = max((_last(each, key) for each in others), default=0)
            owed = count if origin in boots else last
            for each in others:
                if _last(each, key) != owed:
                    yield f"{each.name} has {_last(each, key)} of {owed} of {_name(key)}"
                elif each.born < self.first_at[key] and _streams(each)[key].first != 1:
                    first = _streams(each)[key].first
                    yield f"{each.name} was told {_name(key)} only from {first} on"


def _streams(member: Member) -> dict[StreamKey, Progress]:
    if member.notes is None:
        member.notes = {}
    found: dict[StreamKey, Progress] = member.notes
    return found


def _last(member: Member, key: StreamKey) -> int:
    had = _streams(member).get(key)
    return had.last if had else 0


def overgrown(machine: Machine) -> str:
    """What of this machine is larger than it may be; empty if nothing is."""
    config: GossipConfig = machine.config
    kept = len(machine.news.repair.store)
    if kept > config.store_events:
        return f"{kept} events in a store for {config.store_events}"
    return ""


def _name(key: StreamKey) -> str:
    return f"{key[0][:8]}/{key[1]}/{key[2]}"
