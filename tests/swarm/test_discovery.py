"""Members find each other by real mDNS, on the loopback interface alone."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator

import pytest
import zeroconf

from mtor_swarm.config import SwarmConfig
from mtor_swarm.errors import SwarmError
from mtor_swarm.swarm.discovery import SERVICE, Discovery
from mtor_swarm.swarm.observer import Observer
from tests.swarm.crowd import wait_until

BOUND_S = 60.0


@pytest.fixture
def swarm() -> str:
    """A name that no other swarm on this machine has."""
    return uuid.uuid4().hex


@pytest.fixture
def observers(swarm: str) -> Iterator[list[Observer]]:
    made = [Observer(SwarmConfig(name=swarm, mdns=True), name=f"o{i}") for i in range(3)]
    for each in made:
        each.start()
    yield made
    for each in made:
        each.stop()


def test_members_without_seeds_meet_and_share(observers: list[Observer]) -> None:
    for each in observers:
        each.wait_for_members(BOUND_S, 2)
    observers[0].shared.put("map:plan", "go", "home")
    wait_until("all have it", lambda: all(each.shared.get("map:plan") for each in observers))
    assert observers[2].snapshot()["shared"] == {"map:plan": {"go": "home"}}


def test_junk_announcements_are_counted_and_harm_nobody(swarm: str) -> None:
    heard = threading.Event()
    ear = Discovery(swarm, "a" * 32, "tcp://127.0.0.1:5555", lambda address: heard.set())
    ear.start()
    voice = zeroconf.Zeroconf(interfaces=["127.0.0.1"])
    try:
        for name, properties in [
            ("no id at all", {"swarm": swarm, "v": "1"}),
            ("b" * 32, {"swarm": "other than " + swarm}),
            ("c" * 32, {"swarm": swarm, "v": "1"}),
        ]:
            voice.register_service(
                zeroconf.ServiceInfo(
                    SERVICE,
                    f"{name}.{SERVICE}",
                    port=4,
                    addresses=[b"\x7f\0\0\1"],
                    properties=properties,
                    server=f"{name}.local.",
                ),
                cooperating_responders=True,
            )
        assert heard.wait(BOUND_S)
        wait_until("both", lambda: {"mdns: garbled", "mdns: another swarm"} <= set(ear.counters))
    finally:
        voice.close()
        ear.stop()


def test_a_name_in_place_of_an_ip_address_is_refused() -> None:
    ear = Discovery("field", "a" * 32, "tcp://base.local:5555", print)
    with pytest.raises(SwarmError, match=r"base\.local is a name"):
        ear.start()


def test_an_interface_that_is_not_there_is_named() -> None:
    ear = Discovery("field", "a" * 32, "tcp://192.0.2.7:5555", print)
    with pytest.raises(SwarmError, match=r"no multicast at 192\.0\.2\.7"):
        ear.start()
    ear.stop()
