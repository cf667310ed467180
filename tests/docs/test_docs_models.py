"""What docs/models.md promises of the kinds of workers that run models."""

from __future__ import annotations

import re
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from mtor_swarm import config as configs
from mtor_swarm.realm.parameters import check
from mtor_swarm.workers.registry import GROUP

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "models.md").read_text(encoding="utf-8")
KINDS = {
    each.name: each.load()
    for each in entry_points(group=GROUP)
    if each.value.startswith("mtor_swarm.workers.")
}


@pytest.mark.parametrize("kind", ["embed", "transformers", "openai", "anthropic"])
def test_every_parameter_of_a_kind_is_in_the_table(kind: str):
    table = TEXT.partition("## Parameters")[2]
    rows = [line.split("|")[1:3] for line in table.splitlines() if line.startswith("|")]
    told: set[str] = set()
    kinds = ""
    for left, names in rows:
        kinds = left.strip() or kinds
        if f"`{kind}`" in kinds:
            told.update(re.findall(r"`(\w+)`", names))
    assert told == {each.name for each in KINDS[kind].parameters}


def test_the_config_that_is_shown_is_understood():
    (block,) = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    workers = configs.parse(block, configs.RealmConfig).workers
    for name, each in workers.items():
        check(KINDS[each.kind].parameters, each.parameters, name)
