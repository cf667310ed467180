"""`mtor simnet` from end to end, with few members."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mtor_swarm.cli import simnet_show
from mtor_swarm.cli.main import main
from mtor_swarm.swarm.simnet import failures
from mtor_swarm.swarm.simnet.failures import Failure
from mtor_swarm.swarm.simnet.report import BARS_EACH, histogram

SHORT = 'about = "x"\nfor_s = 1.0\nsettle_s = {settle}\n'
LONELY = '[[steps]]\nat_s = 0.1\ndo = "part"\nshare = 0.5\n'


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "own.toml"
    path.write_text(SHORT.format(settle=5.0))
    return path


def words(tmp_path: Path, scenario: Path, *more: str) -> list[str]:
    kept = str(tmp_path / "failures.json")
    return ["simnet", "--members", "5", "--scenario", str(scenario), "--failures", kept, *more]


def test_a_run_prints_a_table_and_writes_reports_and_a_picture(tmp_path, own, capsys) -> None:
    made = [tmp_path / "a.json", tmp_path / "a.png"]
    files = ["--json", str(made[0]), "--plot", str(made[1])]
    assert main(words(tmp_path, own, "--runs", "2", *files)) == 0
    told = capsys.readouterr().out
    assert "copies of an event a member" in told
    assert "1 ms    10 ms   100 ms  1 s     10 s    100 s" in told
    assert "all hold" in told
    assert [each["seed"] for each in json.loads(made[0].read_text())] == [1, 2]
    assert made[1].read_bytes().startswith(b"\x89PNG")
    assert not (tmp_path / "failures.json").exists()


def test_how_many_each_knows_can_be_told(tmp_path: Path, own: Path, capsys) -> None:
    assert main(words(tmp_path, own, "--members", "24", "--known", "16", "--loss", "0.1")) == 0
    assert "24 members, seed 1" in capsys.readouterr().out


def test_a_failed_seed_is_kept_played_first_and_let_go_once_it_passes(
    tmp_path: Path, own: Path, capsys
) -> None:
    kept = tmp_path / "failures.json"
    own.write_text(SHORT.format(settle=0.5) + LONELY)
    assert main(words(tmp_path, own, "--seed", "7")) == 1
    told = capsys.readouterr().out
    assert "failed: seed 7" in told
    assert failures.read(kept) == [Failure(scenario=str(own), members=5, seed=7)]
    own.write_text(SHORT.format(settle=5.0))
    assert main(words(tmp_path, own, "--seed", "8")) == 0
    assert "the seeds that failed before: 7" in capsys.readouterr().out
    assert failures.read(kept) == []


@pytest.mark.parametrize(
    ("more", "wanted"),
    [
        (["--scenario", "storm"], "no scenario 'storm'"),
        (["--plot", "a.svg"], "--plot writes PNG"),
        (["--json", "/nowhere/at/all.json"], "cannot be written"),
    ],
)
def test_a_mistake_is_one_line(tmp_path, own, capsys, more: list[str], wanted: str) -> None:
    assert main(words(tmp_path, own, *more)) == 2
    assert wanted in capsys.readouterr().err


@pytest.mark.parametrize(
    "more",
    [
        ["--members", "0"],
        ["--members", "few"],
        ["--known", "2"],
        ["--loss", "1.5"],
        ["--loss", "nan"],
    ],
)
def test_a_number_out_of_bounds_is_refused(tmp_path, own, capsys, more: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(words(tmp_path, own, *more))
    assert caught.value.code == 2
    assert f"{more[1]} is no number from" in capsys.readouterr().err


def test_a_sparkline_rises_with_the_numbers() -> None:
    assert simnet_show.sparkline([0, 1, 4, 8]) == " ▁▄█"
    assert simnet_show.sparkline([0, 0]) == "  "


def test_late_deliveries_are_as_plain_as_early_ones() -> None:
    found = histogram([0.0, 0.001, 0.0105, 0.0105, 1.05, 99.0, 1e6])
    assert {bar: number for bar, number in enumerate(found) if number} == {
        0: 2,
        BARS_EACH: 2,
        3 * BARS_EACH: 1,
        len(found) - 1: 2,
    }
