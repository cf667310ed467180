"""A ROS domain is one process's own for as long as it lives."""

from __future__ import annotations

import subprocess
import sys

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
