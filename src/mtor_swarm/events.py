"""Events: the envelope, the types known here, and their two codecs.

The envelope is CloudEvents 1.0 (https://github.com/cloudevents/spec): JSON text inside a realm,
msgpack between realms. Extension attributes carry where an event came from in the swarm (`origin`,
`boot`, `channel`, `seq`, `stamp`); the gossip fills them in. Types that are not in the registry
are carried on untouched.
"""

from __future__ import annotations

import functools
import hashlib
import math
import os
from datetime import datetime, timezone
from typing import Any, Literal, TypeVar

import msgspec

from mtor_swarm import rule_events, task_events
from mtor_swarm.errors import EventError

MAX_EVENT_BYTES = 64 * 1024
"""An encoded event may not be larger; larger things travel by ask and answer."""

Scope = Literal["realm", "swarm"]
STOP, COMMAND, NOTICE, BULK = 0, 1, 2, 3
"""Priorities, most urgent first: a stop overtakes everything."""

D = TypeVar("D", bound=msgspec.Struct)


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One fact, past tense, immutable: a CloudEvents 1.0 envelope."""

    id: str
    source: str
    type: str
    time: str
    specversion: Literal["1.0"] = "1.0"
    datacontenttype: str = "application/json"
    scope: Scope = "realm"
    """How far it goes, if it is of a type that is not known here; else its type says."""
    subject: str = ""
    data: dict[str, Any] = {}
    unit: str = ""
    origin: str = ""
    boot: int = 0
    channel: str = ""
    seq: int = 0
    stamp: str = ""


class Sighting(msgspec.Struct, frozen=True, kw_only=True):
    """One detected object. Box in pixels; bearing from the camera's axis, left positive."""

    label: str
    score: float
    left: float
    top: float
    width: float
    height: float
    bearing_rad: float
    range_m: float | None = None
    x_m: float | None = None
    y_m: float | None = None


class DetectionSeen(msgspec.Struct, frozen=True, kw_only=True):
    """A camera frame held these objects; `x_m`, `y_m` of each are in the shared `map` frame."""

    frame_width: int
    frame_height: int
    latency_s: float
    sightings: list[Sighting]


class TargetSeen(msgspec.Struct, frozen=True, kw_only=True):
    """A unit is sure that it sees what the mission looks for, and where (frame `map`)."""

    label: str
    score: float
    x_m: float
    y_m: float
    seen_from_x_m: float
    seen_from_y_m: float
    seen_by: str = ""


class TargetLost(msgspec.Struct, frozen=True, kw_only=True):
    """A unit stood near, looked there for some time, and saw nothing: it was a mistake."""

    label: str
    x_m: float
    y_m: float


class UnitChanged(msgspec.Struct, frozen=True, kw_only=True):
    """A unit does something else now."""

    doing: str
    was: str
    reason: str = ""


class WorkerChanged(msgspec.Struct, frozen=True, kw_only=True):
    """A worker's state changed; `reason` says why and, if it failed, what to do.

    `fault` is what is wrong in one word (`supervision_io.Fault`), where the orchestrator knows.
    """

    worker: str
    state: str
    was: str
    reason: str = ""
    fault: str = ""


class CapabilityChanged(msgspec.Struct, frozen=True, kw_only=True):
    """A realm can be asked something that it could not be asked before, or no longer.

    `workers` are those that answer now; none: it is lost, and `reason` says why.
    """

    capability: str
    available: bool
    workers: list[str] = []
    reason: str = ""


class MemberChanged(msgspec.Struct, frozen=True, kw_only=True):
    """The gossip of this realm sees another member differently."""

    member: str
    unit: str
    state: Literal["alive", "suspect", "dead", "left"]
    was: str = ""
    reason: str = ""


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """Units are asked to act. Signed by a person's or program's key, whoever carries it.

    `units` names each addressee (never empty: "all" is resolved by the issuer, so that each one
    who does not answer can be named). `issued_s` is wall time (Unix), `valid_s` how long it may be
    obeyed after that. `certificate` is what the swarm's key says of the issuer, in hex; empty in a
    swarm without keys.
    """

    id: str
    verb: Literal["hold", "release", "search", "return", "worker"]
    units: list[str]
    issuer: str
    issued_s: float
    valid_s: float = 10.0
    args: dict[str, Any] = {}
    text: str = ""
    key: str = ""
    certificate: str = ""
    signature: str = ""


class CommandAcknowledged(msgspec.Struct, frozen=True, kw_only=True):
    """One addressee's word on a command. `confirmed` is measured, never assumed."""

    command: str
    status: Literal["accepted", "refused", "confirmed", "done"]
    reason: str = ""
    speed_mps: float | None = None


class ReflexChanged(msgspec.Struct, frozen=True, kw_only=True):
    """The last gate before the wheels latched, let go, or stopped for something near."""

    latched: bool
    blocked: bool = False
    reason: str = ""


class GapFound(msgspec.Struct, frozen=True, kw_only=True):
    """Events that this member missed for good: `first` to `last` of one origin's channel."""

    member: str
    member_boot: int
    member_channel: str
    first: int
    last: int


class MissionDone(msgspec.Struct, frozen=True, kw_only=True):
    """The judge's verdict on the mission, once it is final."""

    verdict: Literal["done", "timeout"]
    mission: str
    seconds: float
    reason: str = ""


KEEP_BYTES = 1024 * 1024
COMMAND_S = 60.0
"""Commands are kept for this long: later ones are obeyed no more."""


class EventType(msgspec.Struct, frozen=True):
    """What is known of one type of event: where it may go and what is in it.

    Members keep events for those who missed them: of one type for `keep_s` (0: as long as the
    config's `store_age_s`, which is the most) and up to `keep_bytes`.
    """

    name: str
    data: type[msgspec.Struct]
    scope: Scope = "swarm"
    channel: str = "events"
    priority: int = NOTICE
    keep_s: float = 0.0
    keep_bytes: int = KEEP_BYTES


TYPES: dict[str, EventType] = {
    each.name: each
    for each in (
        EventType("mtor.detection.seen", DetectionSeen, scope="realm", priority=BULK),
        EventType("mtor.target.seen", TargetSeen),
        EventType("mtor.target.lost", TargetLost),
        EventType("mtor.unit.changed", UnitChanged),
        EventType("mtor.worker.changed", WorkerChanged),
        EventType("mtor.capability.changed", CapabilityChanged),
        EventType("mtor.member.changed", MemberChanged, scope="realm"),
        EventType("mtor.gap.found", GapFound, scope="realm"),
        EventType("mtor.reflex.changed", ReflexChanged),
        EventType("mtor.stop.issued", Command, channel="stop", priority=STOP, keep_s=COMMAND_S),
        EventType(
            "mtor.command.issued", Command, channel="command", priority=COMMAND, keep_s=COMMAND_S
        ),
        EventType("mtor.command.acknowledged", CommandAcknowledged, channel="command"),
        EventType("mtor.mission.done", MissionDone),
        *(EventType(name, data) for name, data in task_events.SWARM.items()),
        *(EventType(name, data) for name, data in rule_events.SWARM.items()),
        EventType("mtor.task.bid", task_events.TaskBid, scope="realm"),
    )
}
_BY_DATA = {each.data: each.name for each in TYPES.values() if each.data is not Command}


class Pose(msgspec.Struct, frozen=True):
    """Where something is in the shared `map` frame (REP 103): metres, yaw counter-clockwise."""

    x_m: float
    y_m: float
    yaw_rad: float


class UnitState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A unit's latest state: what its beacon carries. Old ones are worthless, never repaired.

    `offers` is what others may ask of its realm, each with how long an ask would wait there (s).
    """

    unit: str
    pose: Pose | None = None
    speed_mps: float = 0.0
    turn_rps: float = 0.0
    doing: str = ""
    goal: tuple[float, float] | None = None
    target: tuple[float, float] | None = None
    cost_m: float | None = None
    battery: float | None = None
    latched: bool = False
    workers: dict[str, str] = {}
    hears: list[str] = []
    dropped: int = 0
    offers: dict[str, float] = {}


def fingerprint(public_key: bytes) -> str:
    """The name of a key, and so of a member or an issuer: 128 bits of BLAKE2b, in hex."""
    return hashlib.blake2b(public_key, digest_size=16).hexdigest()


def now_text(wall_s: float) -> str:
    """Wall time (Unix seconds) as RFC 3339 in UTC with milliseconds."""
    seconds, millis = divmod(round(wall_s * 1e6) // 1000, 1000)
    return f"{_second(seconds)}.{millis:03d}Z"


@functools.lru_cache(maxsize=8)
def _second(wall_s: int) -> str:
    return datetime.fromtimestamp(wall_s, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")


def make(
    data: msgspec.Struct,
    *,
    source: str,
    wall_s: float,
    unit: str = "",
    type: str = "",
    scope: Scope = "realm",
) -> Event:
    """An event that says `data`; its type follows from the data's class unless given.

    Commands need the type given (`command_type`), since a stop is a type of its own. `scope` is
    for a type that is not known here.
    """
    name = type or _BY_DATA[data.__class__]
    return Event(
        id=os.urandom(16).hex(),  # as uuid4's, in a quarter of its time
        source=source,
        type=name,
        time=now_text(wall_s),
        scope=scope,
        unit=unit,
        data=msgspec.to_builtins(data),
        channel=TYPES[name].channel if name in TYPES else "events",
    )


def command_type(verb: str) -> str:
    """The event type that carries a command: stops have one of their own."""
    return "mtor.stop.issued" if verb == "hold" else "mtor.command.issued"


def payload(event: Event, cls: type[D]) -> D:
    """The event's data as its struct; EventError names the type and what is wrong."""
    try:
        return msgspec.convert(event.data, cls)
    except msgspec.ValidationError as error:
        raise EventError(f"{event.type} from {event.source or '?'}: {error}") from None


def scope_of(event: Event) -> Scope:
    """How far it goes: as its type says; one of no known type says so itself, or stays inside."""
    known = TYPES.get(event.type)
    return known.scope if known else event.scope


def priority_of(type_name: str) -> int:
    """The priority of a type, 0 the most urgent; unknown types are notices."""
    known = TYPES.get(type_name)
    return known.priority if known else NOTICE


_json_decoder = msgspec.json.Decoder(Event)
_msgpack_decoder = msgspec.msgpack.Decoder(Event)


def to_json(event: Event) -> str:
    """The event as JSON text, as a realm's `events` topic carries it."""
    return _bounded(msgspec.json.encode(event), event).decode()


def from_json(text: str | bytes) -> Event:
    """The event in a JSON text; EventError if it is none or is over the size limit."""
    raw = text.encode() if isinstance(text, str) else text
    return _decode(_json_decoder, raw)


def to_msgpack(event: Event) -> bytes:
    """The event as msgpack, as gossip carries it."""
    return _bounded(msgspec.msgpack.encode(event), event)


def from_msgpack(raw: bytes) -> Event:
    """The event in msgpack bytes; EventError if they are none or over the size limit."""
    return _decode(_msgpack_decoder, raw)


def event_to_dict(event: Event) -> dict[str, Any]:
    """The event as plain JSON-ready values."""
    plain: dict[str, Any] = msgspec.to_builtins(event)
    return plain


def is_finite(*values: float | None) -> bool:
    """Whether every value that is given is a finite number."""
    return all(value is None or math.isfinite(value) for value in values)


def _bounded(raw: bytes, event: Event) -> bytes:
    if len(raw) > MAX_EVENT_BYTES:
        raise EventError(
            f"{event.type} from {event.source}: {len(raw)} bytes; {MAX_EVENT_BYTES} at most: "
            "send large things by ask and answer"
        )
    return raw


def _decode(decoder: Any, raw: bytes) -> Event:
    if len(raw) > MAX_EVENT_BYTES:
        raise EventError(f"{len(raw)} bytes where an event has {MAX_EVENT_BYTES} at most")
    try:
        event: Event = decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise EventError(f"not an event: {error}") from None
    return event
