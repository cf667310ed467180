"""The viewer of the main job: what the page shows against the simulator's ground truth."""

from __future__ import annotations

import math
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, sync_playwright

from mtor_swarm.cli.stage import Stage
from tests import need
from tests.browser.viewer import FLAGS
from tests.system.test_sim_run import free_ports

BOUND_S = 300.0
UNITS = 6


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def stage() -> Iterator[Stage]:
    made = Stage(
        units=UNITS,
        seed=5,
        world=None,
        target=False,
        viewer_port=free_port(),
        base_port=free_ports(UNITS),
        kill="",
        folder=None,
    )
    try:
        made.start(print)
        yield made
    finally:
        made.stop()


@pytest.fixture
def page() -> Iterator[Page]:
    chromium = need.program("chromium", "chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        yield browser.new_page()
        browser.close()


def until(stage: Stage, what: str, met: Callable[[], Any]) -> Any:
    end = time.monotonic() + BOUND_S
    while not (found := met()):
        stage.wait(0.2)
        stage.check()
        assert time.monotonic() < end, f"waited {BOUND_S:g} s: {what}; {stage.status()}"
    return found


def farthest_m(drawn: dict[str, Any], truth: dict[str, list[float]]) -> float:
    """The farthest that a unit is drawn from where it truly stands."""
    if set(drawn) != set(truth) or len(truth) != UNITS:
        return math.inf
    return max(
        math.hypot(drawn[unit]["x_m"] - place[0], drawn[unit]["y_m"] - place[1])
        for unit, place in truth.items()
    )


@pytest.mark.timeout(3 * BOUND_S)
def test_the_stop_button_stops_six_units_and_they_are_drawn_where_they_stand(
    stage: Stage, page: Page
) -> None:
    url = until(
        stage,
        "the viewer serves",
        lambda: next((line.split()[-1] for line in stage.news() if "viewer:" in line), None),
    )
    page.goto(url)
    until(stage, "units move", lambda: any(abs(p[3]) > 0.1 for p in stage.truth().values()))
    until(
        stage,
        "the page has all units",
        lambda: len(page.evaluate("Object.keys(window.mtor?.drawn ?? {})")) == UNITS,
    )
    page.get_by_role("button", name="STOP").click()
    until(
        stage,
        "six confirmations",
        lambda: page.get_by_text("confirmed", exact=False).count() >= UNITS,
    )
    until(
        stage,
        "all stand",
        lambda: all(abs(place[3]) < 0.02 for place in stage.truth().values()),
    )
    until(
        stage,
        "each is drawn where it stands",
        lambda: farthest_m(page.evaluate("window.mtor.drawn"), stage.truth()) < 0.1,
    )
