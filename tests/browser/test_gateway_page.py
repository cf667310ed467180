"""The viewer's page in headless Chromium, over a real little swarm."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from typing import Any

import cv2
import numpy as np
import pytest
import zmq
from playwright.sync_api import Browser

from mtor_swarm.events import MissionDone, TargetSeen, UnitChanged, WorkerChanged
from tests.browser.viewer import PLACES, Viewer
from tests.system.gateway_scene import Scene, Served

pytestmark = pytest.mark.timeout(300)
NAME = "<img src=x onerror=attacked=1>"
ATTACK = '<img src=x onerror="window.attacked=1"><script>window.attacked=1</script>'


def colour(viewer: Viewer, px: float, py: float) -> np.ndarray:
    """The colour (BGR) of the map in a screenshot, averaged over the middle of a unit."""
    shot = viewer.page.locator("#map").screenshot()
    picture = cv2.imdecode(np.frombuffer(shot, np.uint8), cv2.IMREAD_COLOR)
    x, y = round(px), round(py)
    return picture[y - 2 : y + 3, x - 2 : x + 3].reshape(-1, 3).mean(axis=0)


def still(viewer: Viewer, wanted: dict[str, tuple[float, float, float]]) -> dict[str, Any]:
    """What is drawn, once every unit has glided to where it should be."""

    def there() -> bool:
        drawn = viewer.value("mtor.drawn")
        return all(
            name in drawn
            and abs(drawn[name]["x_m"] - x) < 0.01
            and abs(drawn[name]["y_m"] - y) < 0.01
            for name, (x, y, _) in wanted.items()
        )

    viewer.until("units stand where they are", there)
    drawn: dict[str, Any] = viewer.value("mtor.drawn")
    return drawn


def test_units_are_drawn_where_their_beacons_have_them_and_nothing_complains(
    scene: Scene, viewer: Viewer
) -> None:
    drawn = still(viewer, PLACES)
    scale = drawn["r1"]["scale"]
    assert drawn["r2"]["px"] - drawn["r1"]["px"] == pytest.approx(7.0 * scale, abs=1)
    assert drawn["r2"]["py"] - drawn["r1"]["py"] == pytest.approx(4.0 * scale, abs=1)
    seen = {name: colour(viewer, at["px"], at["py"]) for name, at in drawn.items()}
    ground = colour(viewer, drawn["r1"]["px"], drawn["r1"]["py"] - 2.0 * scale / 3)
    names = list(seen)
    for name in names:  # each a colour of its own, and none the ground's
        for other in [seen[each] for each in names if each != name] + [ground]:
            assert np.abs(seen[name] - other).max() > 30

    moved = {**PLACES, "r1": (5.0, 3.0, 0.0)}
    scene.units["r1"].beacon(*moved["r1"], doing="searching")
    drawn = still(viewer, moved)
    assert np.allclose(colour(viewer, drawn["r1"]["px"], drawn["r1"]["py"]), seen["r1"], atol=12)
    assert viewer.complaints == []


def test_an_event_appears_and_can_be_filtered_and_paused(scene: Scene, viewer: Viewer) -> None:
    unit = scene.units["r1"]
    unit.say(TargetSeen(label="cat", score=0.9, x_m=1.0, y_m=1, seen_from_x_m=0, seen_from_y_m=0))
    viewer.shows("#events li", "sees cat (0.90) at (1.0, 1.0)")
    unit.say(UnitChanged(doing="approaching", was="searching", reason="nearest"))
    viewer.shows("#events li", "approaching: nearest")
    viewer.page.select_option("#filter", "mtor.target.seen")
    viewer.until(
        "the other one is hidden",
        lambda: viewer.page.locator("#events li", has_text="approaching").count() == 0,
    )
    viewer.page.select_option("#filter", "")
    viewer.page.click("#pause")
    unit.say(UnitChanged(doing="surrounding", was="approaching"))
    viewer.until(
        "it is known but not shown",
        lambda: viewer.value("mtor.events.some(e => e.data.doing === 'surrounding')"),
    )
    assert viewer.page.locator("#events li", has_text="surrounding").count() == 0
    viewer.page.click("#pause")
    viewer.shows("#events li", "surrounding")


def test_texts_of_the_swarm_stay_text(scene: Scene, viewer: Viewer) -> None:
    evil = scene.join(NAME)
    evil.beacon(1.0, 1.0, doing=ATTACK, workers={ATTACK: ATTACK})
    viewer.shows("#units .card", NAME)
    viewer.shows("#units .card", ATTACK)
    evil.say(UnitChanged(doing=ATTACK, was="", reason=ATTACK))
    viewer.shows("#events li", ATTACK)
    viewer.page.fill("#say", ATTACK)
    viewer.page.press("#say", "Enter")
    viewer.shows("#answers", "not understood")
    viewer.shows("#answers", ATTACK)
    assert viewer.value("window.attacked") is None
    assert viewer.page.locator("[src=x], body script").count() == 0


def test_stop_reaches_every_unit_and_shows_each_confirmation_as_it_comes(
    scene: Scene, viewer: Viewer
) -> None:
    viewer.page.click("#stop")
    for unit in scene.units.values():  # it checks the signature as a realm does
        viewer.until("the command arrives", lambda unit=unit: unit.commands)
        assert unit.commands[0].verb == "hold"
    viewer.shows("#answers", "0 of 3 confirmed")
    for count, unit in enumerate(scene.units.values(), 1):
        unit.acknowledge("accepted")
        viewer.holds("#answers tr", f"{unit.name}✓ accepted")
        unit.acknowledge("confirmed", speed_mps=0.004)
        viewer.holds("#answers tr", f"{unit.name}✓ confirmed0.004 m/s")
        viewer.holds("#answers .sum", f"{count} of 3 confirmed")
        unit.beacon(*PLACES[unit.name], doing="holding", latched=True)
    viewer.shows("#mission", "All 3 units hold")
    viewer.page.click("#release")
    viewer.until("the release arrives", lambda: len(scene.units["r1"].commands) == 2)
    assert scene.units["r1"].commands[1].verb == "release"
    assert viewer.complaints == []


def test_who_does_not_answer_is_named_silent(scene: Scene, viewer: Viewer) -> None:
    viewer.page.click("#stop")
    viewer.shows("#answers tr", "r3? silent")
    viewer.shows("#answers .sum", "3 silent")


def test_a_killed_unit_stays_marked_with_when_and_where(scene: Scene, viewer: Viewer) -> None:
    words = [sys.executable, "-m", "tests.system.gateway_scene", "r9", scene.seeds[0], "2", "1"]
    child = subprocess.Popen(words, stdin=subprocess.PIPE)
    try:
        viewer.shows(".card", "r9")
        viewer.until("its place is known", lambda: "r9" in viewer.value("mtor.drawn"))
        child.send_signal(signal.SIGKILL)
        viewer.shows(".card.lost", "lost since")
        viewer.shows(".card.lost", "at (2.0, 1.0)")
    finally:
        child.kill()
        child.communicate()
    assert viewer.value("mtor.drawn.r9.lost") is True
    assert viewer.value("mtor.drawn.r9.x_m") == pytest.approx(2.0, abs=0.01)
    viewer.shows("#count", "1 lost")


def test_the_verdict_is_shown(scene: Scene, viewer: Viewer) -> None:
    viewer.shows("#mission", "Searching, 3 of 3 units")
    scene.units["r1"].beacon(*PLACES["r1"], doing="surrounding", target=(1.0, 1.0))
    viewer.shows("#mission", "Target found, 1 of 3 closing in")
    scene.units["r1"].say(MissionDone(verdict="done", mission="search", seconds=41.5))
    viewer.shows("#mission", "Mission done, search: 41.5 s")


def test_it_can_be_used_from_the_keyboard(scene: Scene, viewer: Viewer) -> None:
    still(viewer, PLACES)
    viewer.page.keyboard.press("/")
    viewer.page.keyboard.type("r2 se")
    viewer.shows("#hints li", "search")
    viewer.page.keyboard.press("Tab")
    assert viewer.page.input_value("#say") == "r2 search "
    viewer.page.keyboard.press("Enter")
    viewer.until("the command arrives", lambda: scene.units["r2"].commands)
    assert scene.units["r2"].commands[0].units == ["r2"]
    viewer.until("the box is free again", lambda: viewer.page.input_value("#say") == "")
    viewer.page.keyboard.press("ArrowUp")
    assert viewer.page.input_value("#say") == "r2 search"
    viewer.page.keyboard.press("Escape")
    viewer.page.focus("#map")
    before = viewer.value("mtor.drawn.r1.px")
    viewer.page.keyboard.press("ArrowRight")
    viewer.until("the map moves", lambda: viewer.value("mtor.drawn.r1.px") < before - 10)
    viewer.page.keyboard.press("f")
    viewer.until("and back", lambda: abs(viewer.value("mtor.drawn.r1.px") - before) < 1)


def test_a_units_picture_is_shown_or_why_there_is_none(scene: Scene, viewer: Viewer) -> None:
    unit = scene.units["r1"]
    unit.picture = cv2.imencode(".jpg", np.full((48, 64, 3), 120, np.uint8))[1].tobytes()
    unit.beacon(*PLACES["r1"], doing="searching", workers={"perception": "active"})
    picture = viewer.page.locator('[data-unit="r1"] img')
    picture.wait_for()
    viewer.until("it is loaded", lambda: picture.evaluate("image => image.naturalWidth") == 64)
    other = scene.units["r2"]
    other.beacon(*PLACES["r2"], workers={"perception": "active"})
    viewer.shows('[data-unit="r2"]', "r2 has no camera")
    other.beacon(*PLACES["r2"], workers={"perception": "failed"})
    other.say(
        WorkerChanged(worker="perception", state="failed", was="active", reason="camera lost")
    )
    viewer.shows('[data-unit="r2"] .ill', "perception failed: camera lost")
    viewer.shows('[data-unit="r2"] figure', "perception failed")
    assert viewer.complaints == []


def test_what_a_units_gossip_refused_is_on_its_card(scene: Scene, viewer: Viewer) -> None:
    with zmq.Context() as context, context.socket(zmq.DEALER) as rude:
        rude.connect(scene.units["r2"].driver.address)
        rude.send(b"\xc1")
        viewer.shows('[data-unit="r2"] .counts .ill', "1 garbage")
    viewer.page.click('[data-unit="r2"] .name')
    viewer.shows('[data-unit="r2"] .counts', "what is no frame of ours")
    assert viewer.page.locator('[data-unit="r1"] .ill').count() == 0
    assert viewer.complaints == []


def test_it_fits_a_phone(browser: Browser, scene: Scene) -> None:
    phone = Viewer(
        browser, scene.gateway.url, viewport={"width": 390, "height": 844}, has_touch=True
    )
    still(phone, PLACES)
    assert phone.value("document.documentElement.scrollWidth") <= 390
    stop = phone.page.locator("#stop").bounding_box()
    assert stop is not None
    assert stop["y"] + stop["height"] <= 844
    assert stop["height"] >= 44
    phone.page.tap("#stop")
    phone.until("the command arrives", lambda: scene.units["r1"].commands)
    phone.shows("#answers tr", "r1")
    phone.page.close()


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_it_follows_the_readers_scheme(browser: Browser, scene: Scene, scheme: str) -> None:
    opened = Viewer(browser, scene.gateway.url, color_scheme=scheme)
    ground = opened.value("getComputedStyle(document.body).backgroundColor")
    bright = sum(json.loads(ground.removeprefix("rgb").replace("(", "[").replace(")", "]"))) / 3
    assert (bright > 128) is (scheme == "light")
    opened.page.close()


def test_it_comes_back_by_itself_when_the_gateway_does(scene: Scene, viewer: Viewer) -> None:
    still(viewer, PLACES)
    port = scene.gateway.port
    scene.gateway.stop()
    viewer.until("the page says so", lambda: viewer.value("mtor.link") == "lost")
    assert scene.observer is not None
    scene.gateway = Served(scene.observer, scene.operator, port)
    viewer.until("it is live again", lambda: viewer.value("mtor.link") == "live")
    scene.units["r1"].beacon(1.0, -1.0)
    still(viewer, {"r1": (1.0, -1.0, 0.0)})
