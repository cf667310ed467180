"""A ROS domain is one process's own for as long as it lives."""

from __future__ import annotations

import fcntl
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mtor_swarm.errors import SwarmError
from mtor_swarm.realm import domain

CLAIM = "from mtor_swarm.realm import domain; print(domain.claim({}), flush=True); input()"


LISTENING = """
import os, psutil, rclpy
rclpy.init()
node = rclpy.create_node("quiet")
tasks = os.listdir("/proc/self/task")
names = [open(f"/proc/self/task/{each}/comm").read().strip() for each in tasks]
print(names)
print({each.laddr.ip for each in psutil.Process().net_connections("udp")})
"""


def claimed_elsewhere() -> tuple[subprocess.Popen[str], int]:
    child = subprocess.Popen(
        [sys.executable, "-c", CLAIM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout
    return child, int(child.stdout.readline())


def test_two_processes_never_share_a_domain():
    first, one = claimed_elsewhere()
    second, other = claimed_elsewhere()
    with first, second:
        try:
            assert one != other
        finally:
            first.kill()
            second.kill()


def test_a_claim_sets_what_keeps_ros_inside_the_machine():
    environ: dict[str, str] = {}
    found = domain.claim(environ)
    assert domain.FIRST <= found <= domain.LAST
    profile = Path(environ.pop("FASTDDS_DEFAULT_PROFILES_FILE"))
    assert "<address>127.0.0.1</address>" in profile.read_text(encoding="utf-8")
    assert environ == {
        "ROS_DOMAIN_ID": str(found),
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "SYSTEM_DEFAULT",
        "FASTDDS_BUILTIN_TRANSPORTS": "UDPv4",
    }


@pytest.mark.parametrize(
    "other", [{"ROS_DISTRO": "jazzy"}, {"RMW_IMPLEMENTATION": "rmw_cyclonedds_cpp"}]
)
def test_where_the_profile_may_not_be_read_ros_itself_is_told_to_stay(other: dict[str, str]):
    environ = dict(other)
    domain.quiet(environ)
    assert environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "LOCALHOST"
    assert "FASTDDS_DEFAULT_PROFILES_FILE" not in environ


def test_dds_listens_on_loopback_alone_and_shares_no_memory():
    environ = {**os.environ}
    domain.claim(environ)
    child = subprocess.run(
        [sys.executable, "-c", LISTENING], env=environ, capture_output=True, text=True, check=True
    )
    names, hosts = child.stdout.splitlines()
    assert "dds.udp" in names
    assert "dds.shm" not in names
    assert set(re.findall(r"[0-9.]{7,}", hosts)) == {"127.0.0.1", "239.255.0.1"}


def test_a_machine_without_a_free_domain_says_so(monkeypatch: pytest.MonkeyPatch):
    child, taken = claimed_elsewhere()
    with child:
        try:
            monkeypatch.setattr(domain, "FIRST", taken)
            monkeypatch.setattr(domain, "LAST", taken)
            with pytest.raises(SwarmError, match="all in use"):
                domain.claim({})
        finally:
            child.kill()


def segment(folder: Path, name: str, *, age_s: float) -> Path:
    """A segment of Fast DDS's shared memory with its lock's file."""
    (folder / name).write_bytes(b"x")
    lock = folder / f"{name}_el"
    lock.touch()
    os.utime(lock, (lock.stat().st_atime, lock.stat().st_mtime - age_s))
    return lock


def test_shared_memory_of_the_dead_is_swept_and_of_the_living_is_not(tmp_path: Path):
    segment(tmp_path, "fastdds_0123456789abcdef", age_s=60)
    segment(tmp_path, "fastdds_1111111111111111", age_s=0)  # perhaps not locked yet
    segment(tmp_path, "fastdds_port7400", age_s=60)  # shared by many: Fast DDS heals it itself
    with segment(tmp_path, "fastdds_2222222222222222", age_s=60).open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert domain.sweep(tmp_path) == 1
    left = {path.name for path in tmp_path.iterdir() if not path.name.endswith("_el")}
    assert left == {"fastdds_1111111111111111", "fastdds_2222222222222222", "fastdds_port7400"}
    assert domain.sweep(tmp_path / "nowhere") == 0
