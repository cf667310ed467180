"""What the benchmark of the realm makes of what was measured."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks import realm
from benchmarks.form import Figure
from benchmarks.realms import asking, crash, kinds, pair, rest, storm

from mtor_swarm.realm.worker import Worker


def figures(part: str) -> dict[str, Figure]:
    return {each.name: each for each in getattr(realm, part)(True)}


def test_the_bus_is_measured_against_the_bare_pair_of_the_same_run(monkeypatch) -> None:
    took = {"bus": [240_000] * 200, "bare": [200_000] * 190 + [900_000] * 10}
    monkeypatch.setattr(pair, "measure", lambda count: took)
    p50, p99 = figures("_bus").values()
    assert (p50.value, p50.baseline, p50.ok) == (0.24, 0.2, True)
    assert p50.goal == pytest.approx(0.24)
    assert (p99.baseline, p99.goal) == (0.9, None)


def test_a_worker_is_back_a_second_after_its_process_alone_would_be(monkeypatch) -> None:
    found = {"back": 1.6, "alone": 0.5, "bare": 1.4, "hang": 1.9, "lease": 1.0}
    monkeypatch.setattr(crash, "measure", lambda times: found)
    back, bare, hang = figures("_crash").values()
    assert (back.goal, back.ok) == (1.5, False)
    assert bare.ratio == pytest.approx(1.6 / 1.4)
    assert (hang.goal, hang.ok) == (2.0, True)


def test_short_asks_may_be_a_tenth_slower_beside_a_long_one(monkeypatch) -> None:
    found = {"alone": 0.010, "beside": 0.0112, "fifo": 10.0}
    monkeypatch.setattr(asking, "short", lambda count, nap_s: found)
    (figure,) = figures("_short").values()
    assert figure.goal == pytest.approx(11.0)
    assert not figure.ok
    assert figure.baseline == 10_000.0


def test_what_grows_or_is_lost_misses_its_goal(monkeypatch) -> None:
    found = dict.fromkeys(("asked", "answered", "refused", "lost"), 1)
    monkeypatch.setattr(
        storm, "measure", lambda seconds: {**found, "memory_mib": 9, "threads": 0, "files": -1}
    )
    missed = {name for name, each in figures("_storm").items() if not each.ok}
    assert missed == {"of them without a word", "the core's memory grown"}


def test_a_part_that_fails_is_a_missed_figure_that_says_why(monkeypatch, capsys) -> None:
    def fail() -> None:
        raise RuntimeError("no models here")

    monkeypatch.setattr(rest, "core", fail)
    (figure,) = realm._tried("core", realm._core, True)
    assert not figure.ok
    assert "core: no models here" in capsys.readouterr().err


def test_the_baseline_lets_all_wait_for_the_one_before_them() -> None:
    took = asking.fifo(10, 0.01)
    assert len(took) == 10
    assert min(took) > 0
    assert asking.p99([1.0] * 99 + [9.0]) > 1.0


def test_its_workers_are_installed_as_a_third_party_s_would_be(tmp_path: Path) -> None:
    kinds.install(tmp_path)
    (listed,) = tmp_path.glob("*.dist-info/entry_points.txt")
    assert "bench_echo = benchmarks.realms.kinds:Echo" in listed.read_text()
    assert all(issubclass(getattr(kinds, each), Worker) for each in kinds.KINDS.values())
