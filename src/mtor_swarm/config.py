"""What can be set, in YAML files: every key is a field below with its meaning, unit and range.

`load` and the others are those of `yaml_files`: a mistake is named by file, line and key.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from mtor_swarm.yaml_files import (
    MAX_CONFIG_BYTES,
    Trace,
    dump,
    keys,
    load,
    parse,
    parse_traced,
    read,
)

__all__ = [  # besides what is defined here
    "MAX_CONFIG_BYTES",
    "Trace",
    "dump",
    "keys",
    "load",
    "parse",
    "parse_traced",
    "read",
]

UNIT_NAME = r"^[a-z][a-z0-9_]{0,31}\Z"  # `$` would let a line end follow

Positive = Annotated[float, Meta(gt=0)]
NotNegative = Annotated[float, Meta(ge=0)]
UnitName = Annotated[str, Meta(pattern=UNIT_NAME)]


class _Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of a config file: every key has a default, unknown ones are errors."""


class GossipConfig(_Section, frozen=True, kw_only=True):
    """How members watch each other and spread events (SWIM, Lifeguard)."""

    probe_period_s: Annotated[float, Meta(gt=0, description="time between two probes")] = 0.5
    probe_timeout_s: Annotated[float, Meta(gt=0, description="wait for an ack")] = 0.2
    indirect_probes: Annotated[int, Meta(ge=0, le=16, description="members asked to probe")] = 3
    suspect_min_s: Annotated[float, Meta(gt=0, description="suspicion once well confirmed")] = 0.8
    suspect_max_s: Annotated[float, Meta(gt=0, description="suspicion with one witness")] = 4.0
    neighbours: Annotated[int, Meta(ge=3, le=64, description="links that events go out on")] = 5
    digest_busy_s: Annotated[float, Meta(gt=0, description="repair while events flow")] = 0.2
    digest_idle_s: Annotated[float, Meta(gt=0, description="repair when quiet")] = 2.0
    beacon_period_s: Annotated[
        float, Meta(gt=0, description="least time between beacons to units nearby")
    ] = 0.1
    beacon_far_s: Annotated[
        float, Meta(gt=0, description="and to all; longer in swarms of over 50")
    ] = 1.0
    store_events: Annotated[int, Meta(ge=16, description="events kept for repair")] = 4096
    store_age_s: Annotated[float, Meta(gt=0, description="age at which one expires")] = 300.0
    tombstone_s: Annotated[
        float, Meta(gt=0, description="a removal from a shared state is remembered this long")
    ] = 3600.0
    dead_retry_s: Annotated[float, Meta(gt=0, description="the dead are tried this often")] = 5.0
    forget_s: Annotated[float, Meta(gt=0, description="and forgotten after this long")] = 3600.0
    members_known: Annotated[
        int, Meta(ge=16, le=8192, description="members kept; of a larger swarm a sample")
    ] = 1024


class SwarmConfig(_Section, frozen=True, kw_only=True):
    """How this realm meets the others. Beyond loopback, `keys` must be given."""

    name: Annotated[str, Meta(min_length=1, max_length=64)] = "mtor"
    bind: Annotated[
        str, Meta(pattern=r"^tcp://.+:(\d+|\*)$", description="where this member listens")
    ] = "tcp://127.0.0.1:*"
    advertise: Annotated[
        str,
        Meta(
            pattern=r"^(tcp://.+:(\d+|\*))?$",
            description="where others reach it, if not where it listens (`*`: that port)",
        ),
    ] = ""
    seeds: Annotated[
        list[Annotated[str, Meta(pattern=r"^tcp://.+:\d+$")]],
        Meta(max_length=64, description="addresses to meet the swarm at; any one will do"),
    ] = []
    keys: Annotated[
        str, Meta(description="this member's folder of `mtor keys issue`; empty: loopback only")
    ] = ""
    datagrams: Annotated[bool, Meta(description="small frames may go as sealed UDP")] = True
    mdns: Annotated[
        bool, Meta(description="announce this member on the interface of `bind`, and hear others")
    ] = False
    gossip: GossipConfig = GossipConfig()


class ReflexConfig(_Section, frozen=True, kw_only=True):
    """The last gate before the wheels."""

    max_speed_mps: Positive = 0.6
    max_turn_rps: Positive = 1.8
    max_acceleration_mps2: Positive = 1.2
    max_turn_acceleration_rps2: Positive = 6.0
    stop_distance_m: Annotated[
        float, Meta(gt=0, description="nothing ahead may be nearer, measured from the hull")
    ] = 0.12
    slow_distance_m: Annotated[float, Meta(gt=0, description="speed falls from here on")] = 0.5
    hull_radius_m: Positive = 0.18
    wanted_timeout_s: Annotated[
        float, Meta(gt=0, description="no wanted velocity for this long: stand still")
    ] = 0.5
    scan_timeout_s: Annotated[
        float, Meta(gt=0, description="no scan for this long: stand still and say so")
    ] = 1.0
    confirmed_speed_mps: Annotated[
        float, Meta(gt=0, description="a stop is confirmed below this measured speed")
    ] = 0.02


class PerceptionConfig(_Section, frozen=True, kw_only=True):
    """The worker that looks through the camera."""

    model: Annotated[str, Meta(description="a name in the models manifest")] = "coco-ssd"
    confidence: Annotated[float, Meta(gt=0, lt=1)] = 0.4
    labels: Annotated[list[str], Meta(description="keep only these; empty: all")] = []
    max_rate_hz: Annotated[float, Meta(gt=0, description="frames above this are skipped")] = 3.0
    camera_timeout_s: Annotated[
        float, Meta(gt=0, description="no frame for this long: the camera is reported lost")
    ] = 3.0
    horizontal_fov_rad: Annotated[float, Meta(gt=0, lt=3.14)] = 1.3
    camera_x_m: Annotated[float, Meta(description="camera ahead of the unit's centre")] = 0.14
    threads: Annotated[int, Meta(ge=1, le=64, description="CPU threads of the model")] = 1
    device: Annotated[
        Literal["auto", "cpu", "gpu"],
        Meta(description="where `.pt` weights run; auto: on a GPU with room, if there is one"),
    ] = "auto"


class SupervisionConfig(_Section, frozen=True, kw_only=True):
    """How the orchestrator and the runner bring back what died."""

    configure_timeout_s: Positive = 120.0
    heartbeat_lease_s: Annotated[float, Meta(gt=0, description="DDS liveliness lease")] = 3.0
    restart_first_s: Annotated[float, Meta(gt=0, description="delay of the first restart")] = 0.5
    restart_most_s: Annotated[float, Meta(gt=0, description="delays double up to this")] = 15.0
    failures_in_window: Annotated[int, Meta(ge=1, description="then it is quarantined")] = 8
    restarts_in_window: Annotated[
        int, Meta(ge=1, le=1000, description="of all workers that the unit is not born with")
    ] = 40
    window_s: Positive = 60.0
    quarantine_s: Annotated[float, Meta(gt=0, description="then it is tried again")] = 60.0


class AsksConfig(_Section, frozen=True, kw_only=True):
    """How questions to the realm's workers wait and are answered."""

    waiting_most: Annotated[int, Meta(ge=1, le=65536, description="more are refused at once")] = (
        1024
    )
    waiting_each: Annotated[int, Meta(ge=1, description="of one caller")] = 256
    tries: Annotated[int, Meta(ge=1, le=8, description="workers that an ask goes to at most")] = 3
    timeout_s: Annotated[float, Meta(gt=0, description="for who names no time of its own")] = 30.0
    borrow: Annotated[bool, Meta(description="ask peers for what is missing or overloaded")] = True
    allow_lending: Annotated[
        dict[str, bool],
        Meta(description="capabilities that peers may ask for; the others as their workers say"),
    ] = {}


class WorkerConfig(_Section, frozen=True, kw_only=True):
    """One more worker of the realm."""

    kind: Annotated[
        str, Meta(min_length=1, description="its entry point in the group mtor_swarm.workers")
    ]
    process: Annotated[
        str, Meta(pattern=r"^[a-z0-9_]{0,32}\Z", description="shared by its name; empty: its own")
    ] = ""
    nice: Annotated[int, Meta(ge=0, le=19, description="of a process of its own")] = 10
    memory_mib: Annotated[
        int, Meta(ge=0, description="a process that holds more is restarted; 0: no limit")
    ] = 0
    least: Annotated[int, Meta(ge=0, le=16, description="of it run at least; 0: on demand")] = 1
    most: Annotated[int, Meta(ge=1, le=16, description="and when asks wait for long")] = 1
    idle_s: Annotated[
        float, Meta(ge=0, description="unloaded after no ask for this long; 0: never")
    ] = 0.0
    parameters: Annotated[
        dict[str, Any], Meta(description="its ROS parameters; its kind says which there are")
    ] = {}


class RealmConfig(_Section, frozen=True, kw_only=True):
    """One unit: its name, its swarm and its workers."""

    unit: UnitName
    state_dir: Annotated[
        str, Meta(description="identity, boot count and latch live here; empty: the user's state")
    ] = ""
    mission: Annotated[str, Meta(description="the name of one in config/missions/, or a path")] = (
        "search"
    )
    models: Annotated[str, Meta(description="the manifest; empty: the one shipped")] = ""
    operators: Annotated[
        list[Annotated[str, Meta(pattern=r"^[0-9a-f]{32}$")]],
        Meta(max_length=256, description="key fingerprints whose commands are obeyed"),
    ] = []
    use_sim_time: bool = False
    metrics_port: Annotated[
        int, Meta(ge=0, le=65535, description="Prometheus metrics on loopback; 0: none")
    ] = 0
    swarm: SwarmConfig = SwarmConfig()
    reflex: ReflexConfig = ReflexConfig()
    perception: PerceptionConfig = PerceptionConfig()
    supervision: SupervisionConfig = SupervisionConfig()
    asks: AsksConfig = AsksConfig()
    workers: Annotated[
        dict[UnitName, WorkerConfig], Meta(max_length=64, description="beside the built-in ones")
    ] = {}


class MissionConfig(_Section, frozen=True, kw_only=True):
    """What units do together, by `kind`; the other kinds leave out what they have no use for.

    A search: look for the target everywhere, then some surround it while the rest guard.
    """

    name: Annotated[str, Meta(min_length=1, max_length=64)]
    kind: Annotated[
        Literal["search", "coverage", "perimeter", "convoy", "warehouse"],
        Meta(description="what the mission is about"),
    ] = "search"
    target: Annotated[str, Meta(description="the label to look for; empty: none")] = ""
    share: Annotated[
        float, Meta(gt=0, le=1, description="coverage: done once so much was looked at")
    ] = 0.95
    edge_m: Annotated[
        float, Meta(gt=0, description="perimeter: watched so far inside the area's edge")
    ] = 2.0
    witnesses: Annotated[
        int, Meta(ge=1, le=32, description="perimeter: units that must see it themselves")
    ] = 2
    route: Annotated[
        list[tuple[float, float]],
        Meta(max_length=256, description="convoy: places to pass, x and y (map)"),
    ] = []
    gap_m: Annotated[float, Meta(gt=0, description="convoy: between two units")] = 1.2
    orders: Annotated[int, Meta(ge=1, le=256, description="warehouse: goods to bring")] = 20
    picks: Annotated[
        list[tuple[float, float]],
        Meta(max_length=64, description="warehouse: before the shelves, x and y (map)"),
    ] = []
    drops: Annotated[
        list[tuple[float, float]], Meta(max_length=64, description="warehouse: before the docks")
    ] = []
    surround: Annotated[int, Meta(ge=1, le=32, description="units that surround it")] = 3
    ring_m: Annotated[float, Meta(gt=0, description="distance at which they stand")] = 1.15
    confidence: Annotated[float, Meta(gt=0, lt=1, description="a sighting counts from here")] = 0.5
    sightings: Annotated[int, Meta(ge=1, description="sightings that agree before it counts")] = 2
    agree_m: Annotated[float, Meta(gt=0, description="sightings this near agree")] = 1.0
    area: Annotated[
        tuple[float, float, float, float], Meta(description="x_min, y_min, x_max, y_max (map)")
    ] = (-7.0, -5.0, 7.0, 5.0)
    cell_m: Annotated[float, Meta(gt=0, description="size of a search cell")] = 1.0
    speed_mps: Positive = 0.5
    target_radius_m: Annotated[
        float, Meta(ge=0, description="half the target's width: the lidar meets its near side")
    ] = 0.45
    guard_m: Annotated[float, Meta(gt=0, description="distance of those who guard")] = 2.75
    view_m: Annotated[float, Meta(gt=0, description="the target is recognised this far")] = 2.8
    view_rad: Annotated[float, Meta(gt=0, lt=3.14, description="the camera's field of view")] = 1.3
    clearance_m: Annotated[
        float, Meta(gt=0, description="room that driving keeps, from the unit's centre")
    ] = 0.38

    def __post_init__(self) -> None:
        """ValueError for a kind of mission without what it is about."""
        if self.kind in {"search", "perimeter"} and not self.target:
            raise ValueError(f"a {self.kind} needs a `target`: the label to look for")
        if self.kind == "convoy" and len(self.route) < 2:
            raise ValueError("a convoy needs a `route` of two places or more")
        if self.kind == "warehouse" and not (self.picks and self.drops):
            raise ValueError(
                "a warehouse needs places to bring goods from (`picks`) and to (`drops`)"
            )
