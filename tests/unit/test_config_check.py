"""`mtor config check` and the config files that are shipped."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
import yaml

from mtor_swarm import config, paths
from mtor_swarm.cli.main import main
from mtor_swarm.config import MissionConfig, RealmConfig, SwarmConfig
from mtor_swarm.errors import ConfigError

CONFIG = paths.share() / "config"
SHIPPED = {
    "realm.yaml": RealmConfig,
    "swarm.yaml": SwarmConfig,
    "missions/search.yaml": MissionConfig,
}


def every_key(cls: type[msgspec.Struct], path: str = "") -> list[str]:
    found = []
    for field in msgspec.structs.fields(cls):
        found.append(f"{path}{field.name}")
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            found += every_key(field.type, f"{path}{field.name}.")
    return found


def given_keys(plain: object, path: str = "") -> list[str]:
    found = []
    if isinstance(plain, dict):
        for key, value in plain.items():
            found += [f"{path}{key}", *given_keys(value, f"{path}{key}.")]
    return found


@pytest.mark.parametrize("name", SHIPPED)
def test_every_key_stands_in_the_shipped_file(name: str):
    # Each kind of mission has keys of its own: they stand where they mean something.
    files = CONFIG.glob("missions/*.yaml") if name.startswith("missions/") else [CONFIG / name]
    given = [yaml.safe_load(each.read_text(encoding="utf-8")) for each in files]
    assert {key for each in given for key in given_keys(each)} == set(every_key(SHIPPED[name]))


@pytest.mark.parametrize(
    "file", sorted(CONFIG.glob("missions/*.yaml")), ids=lambda file: file.stem
)
def test_a_mission_file_is_named_for_its_mission(file: Path):
    assert config.load(file, config.MissionConfig).name == file.stem


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("name: x\n", "a search needs a `target`"),
        ("name: x\nkind: perimeter\n", "a perimeter needs a `target`"),
        ("name: x\nkind: convoy\nroute: [[0, 0]]\n", "a convoy needs a `route`"),
        ("name: x\nkind: warehouse\npicks: [[0, 0]]\n", "a warehouse needs places"),
        ("name: x\nkind: picnic\n", "kind"),
    ],
)
def test_a_mission_without_what_it_is_about_is_refused(text: str, told: str):
    with pytest.raises(ConfigError, match=told):
        config.parse(text, config.MissionConfig)


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("realm.yaml", {"unit": "r1"}),
        ("swarm.yaml", {}),
        ("missions/search.yaml", {"name": "search", "target": "cat"}),
    ],
)
def test_the_shipped_values_are_the_defaults(name: str, given: dict[str, str]):
    cls = SHIPPED[name]
    assert config.load(CONFIG / name, cls) == cls(**given)


def test_the_shipped_files_are_right(capsys: pytest.CaptureFixture[str]):
    files = [str(CONFIG / name) for name in (*SHIPPED, "models.yaml")]
    assert main(["config", "check", *files]) == 0
    said = capsys.readouterr().out.splitlines()
    kinds = ["realm of", "swarm mtor", "mission search", "models coco-ssd"]
    assert all(f": OK: {kind}" in line for line, kind in zip(said, kinds, strict=True))


def test_a_mistake_is_named_and_the_other_files_are_checked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("unit: r1\nreflex:\n  max_speed: 1\n")
    assert main(["config", "check", str(wrong), str(CONFIG / "swarm.yaml")]) == 1
    told = capsys.readouterr()
    assert told.err == f"{wrong}:3: reflex.max_speed: unknown key\n"
    assert "swarm.yaml: OK" in told.out


def test_a_file_of_no_known_kind_asks_for_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    strange = tmp_path / "strange.yaml"
    strange.write_text("colour: red\n")
    assert main(["config", "check", str(strange)]) == 1
    assert "--kind" in capsys.readouterr().err
    assert main(["config", "check", "--kind", "swarm", str(strange)]) == 1
    assert "strange.yaml:1: colour: unknown key" in capsys.readouterr().err
