"""Scenarios in TOML, and what is wrong with them said plainly."""

from __future__ import annotations

from pathlib import Path

import pytest

from mtor_swarm.errors import ConfigError, SwarmError
from mtor_swarm.swarm.simnet import failures, scenario
from mtor_swarm.swarm.simnet.failures import Failure


@pytest.mark.parametrize("name", scenario.shipped())
def test_every_shipped_scenario_is_read(name: str) -> None:
    found = scenario.load(name)
    assert found.about.endswith(".")
    assert all(each.at_s <= found.for_s for each in found.steps)


def test_a_scenario_of_ones_own_is_read_from_its_file(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text('about = "x"\n[[steps]]\nat_s = 1\ndo = "kill"\nshare = 0.5\n')
    assert scenario.load(str(own)).steps == [scenario.Kill(at_s=1, share=0.5)]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("for_s = 3", "about: this key is missing"),
        ('about = "x"\nlosss = 0.1', "losss: unknown key"),
        ('about = "x"\nloss = 2', "loss: Expected `float` <= 1.0"),
        ('about = "x"\n[gossip]\nfriends = 1', "gossip.friends: unknown key"),
        ('about = "x"\n[[steps]]\nat_s = 1\ndo = "kill"\nshare = 2', "steps[0].share: Expected"),
        ('about = "x"\n[[steps]]\nat_s = 1\ndo = "kill"\nwho = 2', "steps[0]"),
        ('about = "x"\n[[steps]]\nat_s = 1\ndo = "bore"', "steps[0].do: Invalid value 'bore'"),
        ("about = ", "not valid TOML"),
    ],
)
def test_a_mistake_is_named_by_file_and_key(text: str, wanted: str) -> None:
    with pytest.raises(ConfigError) as caught:
        scenario.parse(text, "my.toml")
    assert str(caught.value).startswith("my.toml: ")
    assert wanted in str(caught.value)


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no scenario 'storm'; there are calm, churn"):
        scenario.load("storm")
    (tmp_path / "folder.toml").mkdir()
    with pytest.raises(ConfigError, match="cannot be read"):
        scenario.load(str(tmp_path / "folder.toml"))
    (tmp_path / "latin.toml").write_bytes(b'about = "\xe9"')
    with pytest.raises(ConfigError, match="not UTF-8"):
        scenario.load(str(tmp_path / "latin.toml"))
    (tmp_path / "large.toml").write_text("#" * (scenario.MAX_BYTES + 1))
    with pytest.raises(ConfigError, match="no scenario is that large"):
        scenario.load(str(tmp_path / "large.toml"))


def test_failed_seeds_are_kept_and_read_again(tmp_path: Path) -> None:
    path = tmp_path / "new" / "failures.json"
    assert failures.read(path) == []
    many = [Failure(scenario="calm", members=3, seed=i) for i in range(failures.MAX_KEPT + 5)]
    failures.write(path, many)
    assert failures.read(path) == many[5:]
    failures.write(path, [])
    assert failures.read(path) == []


def test_a_spoilt_file_of_failed_seeds_is_named(tmp_path: Path) -> None:
    path = tmp_path / "failures.json"
    path.write_text("{")
    with pytest.raises(ConfigError, match="no file of failed seeds"):
        failures.read(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(ConfigError, match="cannot be read"):
        failures.read(path)
    with pytest.raises(SwarmError, match="cannot be written"):
        failures.write(path, [])
