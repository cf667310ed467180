"""Every scenario and every key of one is in the document."""

from __future__ import annotations

import re
import typing
from pathlib import Path

from mtor_swarm.swarm.simnet import scenario

TOLD = set(
    re.findall(
        r"`([a-z_.-]+)`",
        (Path(__file__).resolve().parents[2] / "docs" / "simnet.md").read_text(encoding="utf-8"),
    )
)


def test_every_scenario_is_told() -> None:
    assert set(scenario.shipped()) <= TOLD


def test_every_key_of_a_scenario_is_told() -> None:
    keys = {each for each in scenario.Scenario.__struct_fields__ if each != "events"}
    keys |= {f"events.{each}" for each in scenario.Traffic.__struct_fields__}
    assert keys <= TOLD


def test_every_step_and_what_it_takes_is_told() -> None:
    for step in typing.get_args(scenario.Step):
        assert {step.__struct_config__.tag, *step.__struct_fields__} <= TOLD
