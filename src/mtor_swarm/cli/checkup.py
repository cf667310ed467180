"""What `mtor doctor` looks at without asking anybody: this machine, and one unit's config."""

from __future__ import annotations

import importlib.util
import os
import platform
import resource
import shutil
import socket
import sys
import time
from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import NamedTuple

import psutil

from mtor_swarm import config as configs
from mtor_swarm import paths
from mtor_swarm.config import MissionConfig, RealmConfig
from mtor_swarm.errors import SwarmError
from mtor_swarm.swarm import addresses, keyring
from mtor_swarm.swarm.datagrams import BUFFER_BYTES
from mtor_swarm.swarm.identity import Identity

MIB, GIB = 2**20, 2**30
FILES = 1024
MEMORY_MIB = 400
"""A core takes 100 MiB, and a detector 300."""
DISK_MIB = 200
EXPIRES_SOON_S = 14 * 86400.0
PARTS = {
    "rclpy": "runs no realm: pip install mtor_swarm[ros], or a ROS 2 distribution",
    "mujoco": "simulates nothing: pip install mtor_swarm[sim]",
    "fastapi": "serves no viewer: pip install mtor_swarm[viewer]",
    "onnxruntime": "perceives nothing: pip install mtor_swarm[ai]",
}
NVIDIA = Path("/proc/driver/nvidia/gpus")


class Finding(NamedTuple):
    """What was looked at, what was found, and what to do; nothing if that is empty."""

    what: str
    found: str
    cure: str = ""


def machine() -> list[Finding]:
    """Look at this machine, whatever runs on it."""
    python = Finding("Python", platform.python_version())
    if not (3, 10) <= sys.version_info < (3, 15):
        python = python._replace(cure="use Python 3.10 to 3.14")
    return [
        python,
        *_parts(),
        _memory(),
        _disk("disk of models", paths.cache_home()),
        _files(),
        _buffers(),
        _graphics(),
        _picture(),
    ]


def realm(file: str) -> list[Finding]:
    """One unit's config, and what it names, as it is here."""
    try:
        config = configs.load(file, RealmConfig)
    except SwarmError as error:
        return [Finding("config", file, str(error))]
    checks: list[Callable[[RealmConfig], Iterator[Finding]]] = [
        _state, _keys, _ports, _mission, _weights, _kinds,
    ]  # fmt: skip
    found = [Finding("config", f"{file}: {config.unit} in the swarm {config.swarm.name}")]
    for check in checks:
        try:
            found += check(config)
        except SwarmError as error:
            found.append(Finding(check.__name__.strip("_"), "not right", str(error)))
    return found


# The machine.


def _parts() -> Iterator[Finding]:
    for name, lacking in PARTS.items():
        if importlib.util.find_spec(name) is None:
            does_not, _, cure = lacking.partition(": ")
            yield Finding(name, f"not installed: {does_not}", cure)
        else:
            yield Finding(name, "installed")


def _memory() -> Finding:
    memory = psutil.virtual_memory()
    found = f"{memory.available / GIB:.1f} of {memory.total / GIB:.1f} GiB free"
    tight = memory.available < MEMORY_MIB * MIB
    cure = "end other programs, or run the core alone: mtor up --no-models" if tight else ""
    return Finding("memory", found, cure)


def _disk(what: str, folder: Path) -> Finding:
    """Free space where `folder` is or will be, and whether it can be written."""
    there = next(each for each in (folder, *folder.parents) if each.exists())
    free = shutil.disk_usage(there).free
    found = f"{folder}: {free / GIB:.1f} GiB free"
    if not os.access(there, os.W_OK):
        return Finding(what, f"{there} is not yours to write", f"sudo chown $USER {there}")
    return Finding(what, found, "make room there" if free < DISK_MIB * MIB else "")


def _files() -> Finding:
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    few = 0 <= files < FILES
    cure = f"few for a large swarm: ulimit -n {FILES}" if few else ""
    return Finding("open files", "no limit" if files < 0 else f"{files} a process", cure)


def _buffers() -> Finding:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
        room = probe.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
    small = f"to outlast a stall: sysctl -w net.core.rmem_max={BUFFER_BYTES}"
    return Finding("datagrams", f"{room} bytes of buffer", small if room < BUFFER_BYTES else "")


def _graphics() -> Finding:
    gpus = sorted(NVIDIA.glob("*")) if NVIDIA.is_dir() else []
    return Finding("GPU", f"{len(gpus)} of NVIDIA's" if gpus else "none: models run on the CPU")


def _picture() -> Finding:
    if importlib.util.find_spec("mujoco") is None:
        return Finding("EGL", "not needed")
    from mtor_swarm.sim.eyes import why_not_egl

    why = why_not_egl()
    cure = "apt-get install libegl1 libgl1-mesa-dri" if why else ""
    return Finding(
        "EGL", f"simulated cameras are coarse: {why}" if why else "makes pictures", cure
    )


# The realm.


def _state(config: RealmConfig) -> Iterator[Finding]:
    yield _disk("state", paths.unit_state(config.state_dir, config.unit))


def _keys(config: RealmConfig) -> Iterator[Finding]:
    addresses.demand_way(config.swarm, bool(config.swarm.keys))
    if not config.swarm.keys:
        yield Finding("keys", "none: this machine alone")
        return
    keys = keyring.read(config.swarm.keys)
    now = time.time()
    mine = keyring.own(keys, Identity.load(keys.folder / "identity.key"), now)
    found = f"{keys.folder}: {mine.role} {mine.unit}"
    if mine.unit != config.unit:
        yield Finding(
            "keys", found, f"they are not {config.unit}'s: mtor keys issue {config.unit}"
        )
    elif mine.expires_s and mine.expires_s - now < EXPIRES_SOON_S:
        days = (mine.expires_s - now) / 86400
        yield Finding("keys", f"{found}, expire in {days:.0f} days", "mtor keys issue renews them")
    else:
        yield Finding("keys", found)


def _ports(config: RealmConfig) -> Iterator[Finding]:
    host, port = addresses.split(config.swarm.bind)
    for what, at, number in (
        ("gossip's port", host if addresses.is_ip(host) else "127.0.0.1", port),
        ("metrics' port", "127.0.0.1", str(config.metrics_port or "*")),
    ):
        if number != "*":
            yield _port(what, at, int(number))


def _port(what: str, host: str, port: int) -> Finding:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (OSError, OverflowError) as error:
            cure = "unless this unit runs here already: end what has it, or set another"
            return Finding(what, f"{host}:{port}: {error}", cure)
    return Finding(what, f"{host}:{port} is free")


def _mission(config: RealmConfig) -> Iterator[Finding]:
    if importlib.util.find_spec("rclpy") is not None:
        from mtor_swarm.workers.missions import mission_path

        mission = configs.load(mission_path(config.mission), MissionConfig)
        yield Finding("mission", mission.name)


def _weights(config: RealmConfig) -> Iterator[Finding]:
    from mtor_swarm.models.store import Store

    model = Store(config.models).entry(config.perception.model)
    cure = f"mtor models fetch {model.name}; or without: mtor up --no-models"
    found = f"of {model.name} {model.state}"
    yield Finding("weights", found, "" if model.state == "present" else cure)


def _kinds(config: RealmConfig) -> Iterator[Finding]:
    known = {each.name for each in entry_points(group="mtor_swarm.workers")}
    for name, worker in config.workers.items():
        if worker.kind in known:
            yield Finding("worker", f"{name}: kind {worker.kind} is installed")
        else:
            there = ", ".join(sorted(known)) or "none"
            cure = f"install the package that has it; there are: {there}"
            yield Finding("worker", f"{name}: no kind {worker.kind} is installed", cure)
