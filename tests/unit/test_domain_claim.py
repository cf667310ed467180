"""A ROS domain is one process's own for as long as it lives."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mtor_swarm.errors import SwarmError
from mtor_swarm.realm import domain

CLAIM = "from mtor_swarm.realm import domain; print(domain.claim({}), flush=True); input()"


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
    assert environ == {
        "ROS_DOMAIN_ID": str(found),
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
        "FASTDDS_BUILTIN_TRANSPORTS": "UDPv4",
    }


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
