"""What the benchmark of the gossip makes of what was measured."""

from __future__ import annotations

import os
import shutil

import pytest
from benchmarks import gossip
from benchmarks.peers import room
from benchmarks.peers.link import PAYLOAD_BYTES, number_of, payload

OURS = {
    "all_p50_ms": 5.0,
    "all_p99_ms": 9.0,
    "delivered": 1.0,
    "join_s": 0.4,
    "kill_s": [0.05, 0.2],
    "stop_s": 2.0,
    "back_s": 0.1,
    "idle_cpu_percent": 0.1,
    "idle_bytes_s": 400.0,
    "pss_mib": 14.0,
}


def test_zenoh_of_the_same_run_is_the_goal_and_the_baseline() -> None:
    zenoh = {"all_p50_ms": 7.0, "all_p99_ms": 8.0, "kill_s": [0.02]}
    found = {each.name: each for each in gossip._clean(32, OURS, {"zenoh": zenoh})}
    assert found["event to all, p50, 32 members"].ok
    late = found["event to all, p99, 32 members"]
    assert (late.ok, late.goal, late.baseline) == (False, 8.0, 8.0)
    kill = found["SIGKILL to all know, 32 members"]
    assert (kill.value, kill.ok, kill.baseline) == (0.2, False, 0.02)


def test_without_peers_there_is_no_goal_that_they_would_set() -> None:
    found = gossip._clean(32, OURS, {})
    assert found[0].goal is None
    assert found[0].baseline is None


def test_each_other_peer_has_a_line_of_its_own() -> None:
    peers = {"zenoh": {}, "mesh": {"join_s": 0.8}}
    lines = [each for each in gossip._clean(32, OURS, peers) if each.name == "… against mesh"]
    assert [each.ratio for each in lines if each.baseline] == [0.5]


def test_what_is_missing_for_a_measurement_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert "root" in room.lacking()
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(shutil, "which", lambda tool: None if tool == "nft" else "/bin/x")
    assert "nftables" in room.lacking(loss=True)
    monkeypatch.setitem(room.MODULES, "zenoh", "no_such_module")
    assert "no_such_module" in room.lacking("zenoh")


def test_what_cannot_be_measured_is_left_out_and_said(monkeypatch, capsys) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert gossip.run(quick=True) == []
    assert "mtor: left out, for want of root" in capsys.readouterr().err


def test_an_event_has_its_number_and_its_size() -> None:
    assert len(payload(7)) == PAYLOAD_BYTES
    assert number_of(payload(10_000_003)) == 10_000_003
