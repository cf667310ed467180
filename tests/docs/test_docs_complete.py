"""What the documents promise exists, and what exists is in the documents."""

from __future__ import annotations

import argparse
import ast
import re
import shlex
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mtor_swarm import config as configs
from mtor_swarm import events
from mtor_swarm.cli import main as cli
from mtor_swarm.swarm import keyring
from mtor_swarm.swarm.identity import Identity

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
TOPIC_CALLS = {"create_publisher", "create_subscription", "hear"}


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def test_every_event_type_and_its_data_are_in_the_table():
    rows = {
        row.split("`")[1]: row for row in text_of("docs/events.md").splitlines() if "| `" in row
    }
    assert set(rows) == set(events.TYPES)
    for name, each in events.TYPES.items():
        assert f"| {each.scope} |" in rows[name]
        if "as `" not in rows[name]:
            assert rows[name].rsplit("|", 2)[1].split("`")[1::2] == list(
                each.data.__struct_fields__
            )


def topics() -> Iterator[tuple[str, str]]:
    """Every topic that a worker publishes or hears by a literal name, and the file."""
    for folder in ("realm", "workers"):
        for path in sorted((ROOT / "src" / "mtor_swarm" / folder).glob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                name = getattr(getattr(node, "func", None), "attr", "")
                if isinstance(node, ast.Call) and name in TOPIC_CALLS and len(node.args) > 1:
                    topic = node.args[1]
                    if isinstance(topic, ast.Constant) and isinstance(topic.value, str):
                        yield topic.value, path.name


def test_every_topic_is_in_the_architecture():
    told = set(re.findall(r"`(/?[a-z_/]+)`", text_of("ARCHITECTURE.md")))
    found = dict(topics())
    assert "cmd_vel" in found
    assert not {topic: file for topic, file in found.items() if topic not in told}


def test_only_reflex_writes_the_wheels():
    writers = [
        path.name
        for path in sorted((ROOT / "src" / "mtor_swarm").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and getattr(node.func, "attr", "") == "create_publisher"
        and any(isinstance(each, ast.Constant) and each.value == "cmd_vel" for each in node.args)
    ]
    assert writers == ["reflex.py"]


def commands() -> list[str]:
    """Every `mtor …` line of the shell blocks in the documents, without its comment."""
    found = []
    for path in DOCUMENTS:
        for block in re.findall(r"```sh\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL):
            lines = (line.partition(" #")[0].strip() for line in block.splitlines())
            found += [line for line in lines if line.startswith("mtor ")]
    return found


@pytest.mark.parametrize("line", commands())
def test_every_mtor_line_of_the_documents_is_understood(line: str):
    words = shlex.split(line)[1:]
    assert hasattr(cli._parser(words).parse_args(words), "run")


def test_every_command_is_in_the_readmes_table():
    told = re.findall(r"^\| `mtor ([a-z]+)", text_of("README.md"), re.MULTILINE)
    assert sorted(told) == sorted(cli.COMMANDS)


def test_every_make_target_of_the_documents_exists():
    targets = set(re.findall(r"^([a-z-]+):", text_of("Makefile"), re.MULTILINE))
    for path in DOCUMENTS:
        told = re.findall(r"(?:`|^)make ([a-z-]+)", path.read_text(encoding="utf-8"), re.MULTILINE)
        assert set(told) <= targets, path.name


def options(parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.Action]]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                yield from options(inner)
        else:
            yield parser.prog, action


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_option_of_a_command_says_what_it_does(name: str):
    silent = [
        f"{prog} {action.metavar or action.option_strings}"
        for prog, action in options(cli._parser([name]))
        if not action.help
    ]
    assert not silent


def test_every_link_between_documents_leads_somewhere():
    for path in [*DOCUMENTS, ROOT / "ARCHITECTURE.md"]:
        for target in re.findall(r"\]\(([^)#:]+)\)", path.read_text(encoding="utf-8")):
            assert (path.parent / target).exists(), f"{path.name}: {target}"


def test_the_keys_that_the_readme_makes_are_those_that_its_configs_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for line in commands():
        if line.startswith("mtor keys"):
            assert cli.main(shlex.split(line)[1:]) == 0, line
    (block,) = re.findall(r"```yaml\n(unit: r1.*?)```", text_of("README.md"), re.DOTALL)
    config = configs.parse(block, configs.RealmConfig).swarm
    keys = keyring.read(Path(config.keys).name)
    identity = Identity.load(keys.folder / "identity.key")
    assert keyring.carried(keys.folder, identity, "unit", "r1", time.time())
    assert config.bind.rpartition(":")[2] == config.seeds[0].rpartition(":")[2]
    assert len(keyring.read("ada-keys").revoked) == 1
