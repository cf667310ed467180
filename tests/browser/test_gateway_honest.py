"""The page never claims what it does not know: cut off, crowded, or told lies."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import msgspec
import pytest
from playwright.sync_api import Browser

from mtor_swarm.config import SwarmConfig
from mtor_swarm.events import (
    CommandAcknowledged,
    MissionDone,
    Pose,
    TargetSeen,
    UnitChanged,
    UnitState,
    WorkerChanged,
    make,
)
from mtor_swarm.gateway import answers
from mtor_swarm.swarm.gossip.membership import MemberInfo
from mtor_swarm.swarm.observer import Observer
from tests.browser.viewer import PLACES, Viewer
from tests.system.gateway_scene import Scene, Unit

pytestmark = pytest.mark.timeout(300)
CAT = TargetSeen(label="cat", score=0.9, x_m=1.0, y_m=1.0, seen_from_x_m=0.0, seen_from_y_m=0.0)


class Wire:
    """A line between page and gateway that may go dead without either being told."""

    def __init__(self, port: int) -> None:
        self.dead = threading.Event()
        self._to = port
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listening.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                page, _ = self._listening.accept()
                gateway = socket.create_connection(("127.0.0.1", self._to))
                for ends in ((page, gateway), (gateway, page)):
                    threading.Thread(target=self._carry, args=ends, daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if not self.dead.is_set():
                    sink.sendall(data)
            sink.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def wire(scene: Scene) -> Iterator[Wire]:
    made = Wire(scene.gateway.port)
    yield made
    made.close()


def test_a_line_that_goes_dead_is_told_a_stop_with_it_and_it_comes_back(
    browser: Browser, wire: Wire
) -> None:
    viewer = Viewer(browser, wire.url)
    viewer.shows("#mission", "Searching, 3 of 3 units")
    wire.dead.set()
    viewer.shows("#mission", "Cut off since")
    viewer.shows("#link", "trying again")
    viewer.page.click("#stop")
    viewer.shows("#answers .sum", "no answer: it may not have been sent")
    viewer.shows("#answers", "the units go on as they are")
    wire.dead.clear()
    viewer.shows("#mission", "Searching, 3 of 3 units")
    viewer.page.close()


def test_a_stop_that_cannot_be_sent_is_said_to_be_none(scene: Scene, viewer: Viewer) -> None:
    for name, unit in scene.units.items():
        unit.beacon(*PLACES[name], doing="holding", latched=True)
    viewer.shows("#mission", "All 3 units hold")
    scene.gateway.stop()
    viewer.shows("#mission", "Cut off since")  # and no longer that they hold
    viewer.page.click("#stop")
    viewer.shows("#answers .sum", "NOT SENT")


def test_pictures_that_do_not_come_hold_up_no_stop(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "ASK_TIMEOUT_S", 3600.0)
    names = [f"r{number}" for number in range(1, 9)]
    with Scene(*names) as scene:
        for number, name in enumerate(names):
            unit = scene.units[name]
            unit.slow = True
            unit.beacon(float(number), 0.0, workers={"perception": "active"})
        tall = Viewer(browser, scene.gateway.url, viewport={"width": 1280, "height": 2000})
        tall.until("they are asked", lambda: sum(u.asked for u in scene.units.values()) >= 3)
        tall.page.click("#stop")
        tall.until("the stop arrives", lambda: scene.units["r8"].commands)
        tall.page.close()


def test_a_key_that_is_held_down_is_one_stop(scene: Scene, viewer: Viewer) -> None:
    viewer.page.keyboard.down("Shift")
    for _ in range(5):
        viewer.page.keyboard.down("S")
    viewer.page.keyboard.up("S")
    viewer.page.keyboard.up("Shift")
    viewer.until("it is sent", lambda: viewer.value("mtor.commands.length"))
    viewer.page.fill("#say", "r1 search")
    viewer.page.press("#say", "Enter")
    viewer.until("that too", lambda: viewer.value("mtor.commands.at(-1).verb") == "search")
    assert viewer.value("mtor.commands.map(each => each.verb)") == ["hold", "search"]


def test_who_speaks_for_another_is_marked(scene: Scene, viewer: Viewer) -> None:
    liar = scene.units["r2"]
    liar.name = "r1"
    liar.say(UnitChanged(doing="surrendering", was="searching"))
    viewer.shows('#events li[data-tone="bad"] b', "r1?")
    spy = Unit("r1", scene.seeds, role="observer")
    spy.say(UnitChanged(doing="sleeping", was="searching"))
    viewer.shows("#events li[data-tone=bad]", "r1?sleeping")
    spy.stop()
    liar.name = "r2"
    liar.say(UnitChanged(doing="resting", was="searching"))
    viewer.shows("#events li[data-tone='']", "r2resting")


def test_events_without_what_belongs_in_them_break_nothing(scene: Scene, viewer: Viewer) -> None:
    unit = scene.units["r1"]
    for data in (
        WorkerChanged(worker="x", state="y", was="z"),
        CommandAcknowledged(command="nothing", status="done"),
        CAT,
    ):
        event = make(data, source="/r1/test", wall_s=time.time(), unit="r1")
        unit.driver.publish(msgspec.structs.replace(event, data={}))
    unit.say(UnitChanged(doing="dancing", was=""))
    viewer.shows("#events li", "dancing")
    assert viewer.complaints == []


def test_a_unit_that_goes_on_seeing_the_same_is_one_row(scene: Scene, viewer: Viewer) -> None:
    r1, r2 = scene.units["r1"], scene.units["r2"]
    for count in (1, 2, 3):
        r1.say(CAT)
        viewer.until(
            "it is heard",
            lambda count=count: viewer.value("mtor.events.length") == count + (count > 1),
        )
        if count == 1:
            r2.say(CAT)
            viewer.until("it is heard", lambda: viewer.value("mtor.events.length") == 2)
    viewer.shows("#events li", "×3")
    viewer.until("two rows", lambda: viewer.page.locator("#events li").count() == 2)
    viewer.page.select_option("#filter", "mtor.target.seen")
    viewer.until("all of them", lambda: viewer.page.locator("#events li").count() == 4)


def test_what_a_unit_confirms_is_named(scene: Scene, viewer: Viewer) -> None:
    viewer.page.fill("#say", "r1 hold")
    viewer.page.press("#say", "Enter")
    viewer.until("it arrives", lambda: scene.units["r1"].commands)
    scene.units["r1"].acknowledge("confirmed", speed_mps=0.004)
    viewer.shows("#events li", "confirmed “r1 hold” at 0.004 m/s")


def test_a_verdict_is_old_once_they_are_sent_again(scene: Scene, viewer: Viewer) -> None:
    scene.units["r1"].say(MissionDone(verdict="timeout", mission="search", seconds=9.0))
    viewer.shows("#mission", "Mission not reached, search: timeout")
    viewer.page.fill("#say", "r1 search")
    viewer.page.press("#say", "Enter")
    viewer.shows("#mission", "Searching, 3 of 3 units")


def test_it_says_when_nobody_is_left(scene: Scene, viewer: Viewer) -> None:
    viewer.shows("#mission", "Searching, 3 of 3 units")
    for unit in scene.units.values():
        unit.stop()
    viewer.shows("#mission", "No unit is here any more")
    viewer.shows("#count", "0 here, 3 left")


@pytest.mark.parametrize("width", [1280, 390])
def test_sixty_units_are_shown(browser: Browser, scene: Scene, width: int) -> None:
    observer = Observer(SwarmConfig())
    for number in range(1, 61):
        name, member = f"r{number}", f"{number:032x}"
        observer._on_member(
            MemberInfo(
                id=member,
                unit=name,
                role="unit",
                address="tcp://127.0.0.1:1",
                boot=1,
                incarnation=0,
                state="alive" if number % 10 else "dead",
                started_s=0.0,
            ),
            "",
        )
        pose = Pose(number % 10 - 5.0, number // 10 - 3.0, 0.1 * number)
        observer._on_beacon(member, UnitState(unit=name, pose=pose, doing="searching"))
    with scene.serve(observer) as gateway:
        crowded = Viewer(browser, gateway.url, viewport={"width": width, "height": 844})
        crowded.shows("#count", "54 here, 6 lost")
        crowded.until("all have a card", lambda: crowded.value("mtor.cards") == 60)
        crowded.until("all are drawn", lambda: len(crowded.value("Object.keys(mtor.drawn)")) == 60)
        order = crowded.page.locator(".card .name").all_inner_texts()
        assert order == [f"r{number}" for number in range(1, 61)]
        assert crowded.value("document.documentElement.scrollWidth") <= width
        assert crowded.complaints == []
        crowded.page.close()


def test_answers_that_were_put_away_stay_away(scene: Scene, viewer: Viewer) -> None:
    viewer.page.click("#stop")
    viewer.until("it arrives", lambda: scene.units["r1"].commands)
    viewer.shows("#answers tr", "r3")
    viewer.page.click("#answers .close")
    scene.units["r1"].acknowledge("confirmed", speed_mps=0.0)
    viewer.shows("#events li", "confirmed “all units hold”")
    assert viewer.page.locator("#answers").is_hidden()
    viewer.page.click("#stop")
    viewer.shows("#answers tr", "r3")
