from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests import need
from tests.browser.viewer import FLAGS, PLACES, Viewer
from tests.system.gateway_scene import Scene


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = need.program("chromium", "chromium")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        yield started
        started.close()


@pytest.fixture
def scene() -> Iterator[Scene]:
    with Scene(*PLACES) as made:
        for name, place in PLACES.items():
            made.units[name].beacon(*place, doing="searching", hears=["r1", "r2"])
        yield made


@pytest.fixture
def viewer(browser: Browser, scene: Scene) -> Iterator[Viewer]:
    opened = Viewer(browser, scene.gateway.url, viewport={"width": 1280, "height": 800})
    yield opened
    opened.page.close()
