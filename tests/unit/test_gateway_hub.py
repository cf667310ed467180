from __future__ import annotations

import asyncio
from concurrent.futures import Future

import pytest

from mtor_swarm.config import SwarmConfig
from mtor_swarm.errors import SwarmError
from mtor_swarm.gateway import answers, hub
from mtor_swarm.gateway.hub import MAX_CLIENTS, MAX_WAITING, Client, Hub
from mtor_swarm.gateway.thumbnails import Thumbnails
from mtor_swarm.swarm.observer import Observer


def snapshot(dropped: int) -> str:
    return f"snapshot after {dropped}"


def test_a_new_page_is_given_a_snapshot_and_then_every_change_in_order() -> None:
    async def told() -> list[str]:
        client = Client()
        client.put("before the snapshot, so part of it")
        said = [await client.take(snapshot)]
        client.put("one")
        client.put("two")
        return [*said, await client.take(snapshot), await client.take(snapshot)]

    assert asyncio.run(told()) == ["snapshot after 0", "one", "two"]


def test_a_slow_page_loses_what_waits_and_is_given_a_fresh_snapshot() -> None:
    async def told() -> list[str]:
        client = Client()
        await client.take(snapshot)
        for number in range(MAX_WAITING + 3):
            client.put(str(number))
        said = [await client.take(snapshot)]
        client.put("after")
        return [*said, await client.take(snapshot)]

    assert asyncio.run(told()) == [f"snapshot after {MAX_WAITING + 3}", "after"]


def test_a_page_with_nothing_to_hear_waits() -> None:
    async def waits() -> bool:
        client = Client()
        await client.take(snapshot)
        taking = asyncio.ensure_future(client.take(snapshot))
        await asyncio.sleep(0)
        waiting = not taking.done()
        client.put("now")
        return waiting and await taking == "now"

    assert asyncio.run(waits())


def test_the_number_of_pages_is_bounded_and_a_place_is_free_again_when_one_leaves() -> None:
    async def joined() -> None:
        full = Hub(Observer(SwarmConfig()))
        clients = [full.join() for _ in range(MAX_CLIENTS)]
        assert all(clients)
        assert full.join() is None
        assert clients[0] is not None
        full.leave(clients[0])
        assert full.join() is not None
        assert full.counters()["clients"] == MAX_CLIENTS

    asyncio.run(joined())


def test_unit_states_cost_nothing_while_no_page_is_connected() -> None:
    async def heard() -> None:
        idle = Hub(Observer(SwarmConfig()))
        idle.start(lambda event: None)
        idle._heard("unit", {"unit": "r1"})
        assert not idle._changed
        idle.join()
        idle._heard("unit", {"unit": "r1"})
        assert list(idle._changed) == [("unit", "r1")]
        idle.stop()
        idle._heard("event", {"id": "too late"})
        assert not idle._events

    asyncio.run(heard())


def test_a_flood_of_events_is_bounded_and_counted() -> None:
    async def flooded() -> None:
        told: list[str] = []
        busy = Hub(Observer(SwarmConfig()))
        busy.start(lambda event: told.append(event["id"]))
        for number in range(hub.MAX_EVENTS + 5):
            busy._heard("event", {"id": str(number)})
        await asyncio.sleep(0)
        assert len(told) == hub.MAX_EVENTS
        assert busy.counters()["flood_dropped"] == 5
        busy.stop()

    asyncio.run(flooded())


class Camera(Observer):
    """An observer whose units answer when the test says so."""

    def __init__(self) -> None:
        super().__init__(SwarmConfig())
        self.asked: list[Future[bytes]] = []

    def ask(self, unit: str, kind: str, payload: bytes, timeout_s: float) -> Future[bytes]:
        self.asked.append(Future())
        return self.asked[-1]


def test_pages_share_one_ask_for_a_picture() -> None:
    async def shared() -> None:
        camera = Camera()
        pictures = Thumbnails(camera)
        both = [asyncio.ensure_future(pictures.get("r1")) for _ in range(2)]
        await asyncio.sleep(0)
        both[0].cancel()  # a page that leaves takes nothing from the other
        camera.asked[0].set_result(b"\xff\xd8 a picture")
        assert await both[1] == b"\xff\xd8 a picture"
        assert len(camera.asked) == 1

    asyncio.run(shared())


@pytest.mark.parametrize("answer", [b"<svg onload=alert(1)>", b"\xff\xd8" + bytes(300_000)])
def test_what_is_no_small_picture_is_not_shown(answer: bytes) -> None:
    async def refused() -> None:
        camera = Camera()
        asking = asyncio.ensure_future(Thumbnails(camera).get("r1"))
        await asyncio.sleep(0)
        camera.asked[0].set_result(answer)
        with pytest.raises(SwarmError, match="r1 answered with something that is no small JPEG"):
            await asking

    asyncio.run(refused())


def test_the_pictures_kept_are_bounded() -> None:
    async def many() -> None:
        camera = Camera()
        pictures = Thumbnails(camera)
        for number in range(answers.MAX_KEPT + 20):
            asking = asyncio.ensure_future(pictures.get(f"r{number}"))
            await asyncio.sleep(0)
            camera.asked[-1].set_result(b"\xff\xd8")
            await asking
        assert len(pictures._kept) == answers.MAX_KEPT

    asyncio.run(many())
