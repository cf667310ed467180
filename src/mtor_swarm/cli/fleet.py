"""What the launch files have in common: the configs of many units, and the bridges to Gazebo.

Launch files only say which processes run; what is written for them is made here, without ROS.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import yaml

from mtor_swarm import config
from mtor_swarm.config import RealmConfig, SwarmConfig
from mtor_swarm.events import fingerprint
from mtor_swarm.swarm.identity import operator_signer

BASE_PORT = 7401
"""The first unit of a swarm on one machine listens here, the next ones on the ports after it."""
SEEDS = 3
"""A unit is told of so many others; any one of them that is alive will do."""

_BRIDGED = (
    ("scan", "sensor_msgs/msg/LaserScan", "gz.msgs.LaserScan", "GZ_TO_ROS"),
    ("imu", "sensor_msgs/msg/Imu", "gz.msgs.IMU", "GZ_TO_ROS"),
    ("odom", "nav_msgs/msg/Odometry", "gz.msgs.Odometry", "GZ_TO_ROS"),
    ("cmd_vel", "geometry_msgs/msg/Twist", "gz.msgs.Twist", "ROS_TO_GZ"),
)


def seeds(units: Sequence[str], base_port: int = BASE_PORT) -> list[str]:
    """Addresses at which the swarm on this machine can be met."""
    return [f"tcp://127.0.0.1:{base_port + number}" for number in range(min(SEEDS, len(units)))]


def write_realms(
    folder: Path, units: Sequence[str], base_port: int = BASE_PORT, mission: str = "search"
) -> dict[str, Path]:
    """A config for each simulated unit, in `folder`, which keeps their state too.

    They obey this user's commands, and know nothing of each other but the seeds.
    """
    folder.mkdir(parents=True, exist_ok=True)
    operator = fingerprint(operator_signer().public_key)
    files = {}
    for number, unit in enumerate(units):
        swarm = SwarmConfig(
            bind=f"tcp://127.0.0.1:{base_port + number}", seeds=seeds(units, base_port)
        )
        realm = RealmConfig(
            unit=unit,
            mission=mission,
            state_dir=str(folder / "state" / unit),
            operators=[operator],
            use_sim_time=True,
            swarm=swarm,
        )
        files[unit] = folder / f"{unit}.yaml"
        files[unit].write_text(config.dump(realm), encoding="utf-8")
    return files


def write_realm(file: Path, realm: str, unit: str = "", swarm: str = "") -> RealmConfig:
    """A realm's config with another unit name or a fleet's swarm config put in, if given."""
    found = config.load(realm, RealmConfig)
    if unit:
        found = msgspec.structs.replace(found, unit=unit)
    if swarm:
        found = msgspec.structs.replace(found, swarm=config.load(swarm, SwarmConfig))
    text = config.dump(found)
    checked = config.parse(text, RealmConfig, name=f"{realm} with unit {unit!r}")
    file.write_text(text, encoding="utf-8")
    return checked


def bridge(units: Sequence[str]) -> str:
    """The ros_gz_bridge config, as YAML, for all that a unit's realm hears and says but images."""
    entries: list[dict[str, Any]] = [
        {
            "ros_topic_name": f"/{unit}/{topic}",
            "gz_topic_name": f"/{unit}/{topic}",
            "ros_type_name": ros_type,
            "gz_type_name": gz_type,
            "direction": direction,
        }
        for unit in units
        for topic, ros_type, gz_type, direction in _BRIDGED
    ]
    return yaml.safe_dump(entries, sort_keys=False)


def clock_bridge() -> str:
    """The ros_gz_bridge config of the clock, which nothing else may delay."""
    entry = {
        "ros_topic_name": "/clock",
        "gz_topic_name": "/clock",
        "ros_type_name": "rosgraph_msgs/msg/Clock",
        "gz_type_name": "gz.msgs.Clock",
        "direction": "GZ_TO_ROS",
    }
    return yaml.safe_dump([entry], sort_keys=False)


def images(units: Sequence[str]) -> list[str]:
    """The topics that ros_gz_image carries; image_transport adds `…/compressed` to each."""
    return [f"/{unit}/camera/image" for unit in units]
