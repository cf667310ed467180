"""What goes into the machine and what it wants done: inputs and effects."""

from __future__ import annotations

import msgspec

from mtor_swarm.events import Event, UnitState
from mtor_swarm.swarm.gossip.membership import MemberInfo
from mtor_swarm.swarm.gossip.wire import Entry, Frame


class _Value(msgspec.Struct, frozen=True):
    """A plain, immutable value."""


class Started(_Value, frozen=True):
    """The sockets are open: `address` is where others reach us, `port` takes our datagrams."""

    address: str
    port: int = 0


class Received(_Value, frozen=True):
    """A frame came from that member (the transport knows who it is)."""

    sender: str
    frame: Frame


class Fired(_Value, frozen=True):
    """A timer that the machine set is due."""

    key: str


class LinkLost(_Value, frozen=True):
    """The link to that address dropped; `refused`: and nothing listens there any more."""

    address: str
    refused: bool


class Lossy(_Value, frozen=True):
    """That share (0 to 1) of what a member sends us as datagrams is lost, as measured lately."""

    member: str
    share: float


class Certified(_Value, frozen=True):
    """Our own link key and certificate from now on."""

    link: bytes
    certificate: bytes


class Published(_Value, frozen=True):
    """An event of our own is to be spread."""

    event: Event


class StateChanged(_Value, frozen=True):
    """Our unit's latest state, for the next beacon."""

    state: UnitState


class SharedWritten(_Value, frozen=True):
    """Change a shared state: put or add `item`, or remove it if `gone`.

    `value` is JSON text: of a map or stigmergy what stands there, of a counter what is added.
    """

    state: str
    item: str
    value: bytes = b""
    gone: bool = False


class SharedCarried(_Value, frozen=True):
    """Spread an entry of a shared state that another key than ours has signed."""

    entry: Entry


class Discovered(_Value, frozen=True):
    """A member may be at that address: one more seed."""

    address: str


class Asking(_Value, frozen=True):
    """A question of our own to one member; `token` comes back with the answer."""

    token: int
    member: str
    kind: str
    payload: bytes
    timeout_s: float


class Abandoning(_Value, frozen=True):
    """We want no answer to that question of ours any more."""

    token: int


class Telling(_Value, frozen=True):
    """A part of our reply to a question that was `Asked`, before its end."""

    member: str
    askid: int
    payload: bytes


class Replying(_Value, frozen=True):
    """Our reply to a question that was `Asked`: its end."""

    member: str
    askid: int
    ok: bool
    payload: bytes


class Leaving(_Value, frozen=True):
    """Say goodbye; the driver closes the sockets after the effects of this."""


Input = (
    Started
    | Received
    | Fired
    | LinkLost
    | Lossy
    | Certified
    | Published
    | StateChanged
    | SharedWritten
    | SharedCarried
    | Discovered
    | Asking
    | Abandoning
    | Telling
    | Replying
    | Leaving
)


class Send(_Value, frozen=True):
    """Put the frame on the link to `address`; `priority` 0 goes first.

    A small frame may ride a datagram, which can be lost, unless it must be `reliable`. One that is
    to be `confirmed` goes over the link too if the peer does not say that it came.
    """

    address: str
    frame: Frame
    priority: int = 2
    reliable: bool = False
    confirmed: bool = False


class Reach(_Value, frozen=True):
    """How a member is reached from now on: what the transport seals datagrams to it with."""

    address: str
    member: str
    boot: int
    link: bytes
    port: int


class SetTimer(_Value, frozen=True):
    """Fire `key` at that time (the driver's clock); an earlier setting of it is forgotten."""

    key: str
    at: float


class Deliver(_Value, frozen=True):
    """An event from another member, once and in order; or a gap where some are lost."""

    event: Event


class MemberSeen(_Value, frozen=True):
    """A member is seen differently; `was` is its state before, empty if it is new."""

    member: MemberInfo
    was: str


class Forgotten(_Value, frozen=True):
    """Nothing is known of that member any more: it is long gone, or there was no room."""

    member: str


class BeaconHeard(_Value, frozen=True):
    """The latest state of another unit."""

    member: str
    state: UnitState


class Asked(_Value, frozen=True):
    """Another member asks us; the driver hands in `Telling`, if it likes, and `Replying`."""

    member: str
    askid: int
    kind: str
    payload: bytes


class AskEnded(_Value, frozen=True):
    """Nobody waits any more for our reply to a question that was `Asked`."""

    member: str
    askid: int


class PartHeard(_Value, frozen=True):
    """A part of the answer to an ask of ours: each once and in order."""

    token: int
    payload: bytes


class Answered(_Value, frozen=True):
    """The end of an ask of ours; if not `ok` the payload says why, as text."""

    token: int
    ok: bool
    payload: bytes


class Conflict(_Value, frozen=True):
    """Another live member has our unit name; `later`: we started after it and must go.

    If it has our id, our key is in use elsewhere, and of the two one is not heard.
    """

    other: MemberInfo
    later: bool


class SharedMerged(_Value, frozen=True):
    """An item of a shared state changed, as `writer` wrote it.

    `lost`: a write of ours, made without either having seen the other's, had to give way.
    """

    state: str
    item: str
    writer: str
    lost: bool


Effect = (
    Send
    | Reach
    | SetTimer
    | Deliver
    | MemberSeen
    | Forgotten
    | BeaconHeard
    | SharedMerged
    | Asked
    | AskEnded
    | PartHeard
    | Answered
    | Conflict
)


class Outbox:
    """Where the parts of a machine put their effects, and the counts of what was dropped."""

    def __init__(self) -> None:
        self.effects: list[Effect] = []
        self.counters: dict[str, int] = {}

    def add(self, effect: Effect) -> None:
        self.effects.append(effect)

    def count(self, what: str, number: int = 1) -> None:
        self.counters[what] = self.counters.get(what, 0) + number

    def drain(self) -> list[Effect]:
        """The effects since the last time."""
        done, self.effects = self.effects, []
        return done
