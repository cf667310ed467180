from __future__ import annotations

import contextlib
import select
import socket
import threading

import msgspec
import pytest

from mtor_swarm.config import SwarmConfig
from mtor_swarm.errors import ConfigError, SwarmError
from mtor_swarm.swarm import knocks
from mtor_swarm.swarm.addresses import (
    advertised,
    demand_loopback,
    demand_way,
    is_loopback,
    split,
)
from mtor_swarm.swarm.counters import Counters
from mtor_swarm.swarm.knocks import NONE, Knocks, hang_up


def test_an_address_is_split_into_host_and_port() -> None:
    assert split("tcp://10.0.0.1:7400") == ("10.0.0.1", "7400")
    assert split("tcp://[fe80::1]:7400") == ("fe80::1", "7400")
    assert split("tcp://robot.local:7400") == ("robot.local", "7400")


@pytest.mark.parametrize(
    ("address", "here"),
    [
        ("tcp://127.0.0.9:1", True),
        ("tcp://[::1]:1", True),
        ("tcp://localhost:1", True),
        ("tcp://10.0.0.1:1", False),
        ("tcp://0.0.0.0:1", False),
        ("tcp://somewhere:1", False),
    ],
)
def test_only_what_is_certainly_here_is_loopback(address, here) -> None:
    assert is_loopback(address) == here


def test_what_is_advertised_beyond_loopback_demands_keys() -> None:
    demand_loopback(SwarmConfig(advertise="tcp://127.0.0.1:*"))
    with pytest.raises(ConfigError, match=r"swarm\.advertise: tcp://10\.0\.0\.1:\* is not on"):
        demand_loopback(SwarmConfig(advertise="tcp://10.0.0.1:*"))


def test_others_are_told_an_address_that_leads_here() -> None:
    bound = "tcp://0.0.0.0:7400"
    assert advertised(SwarmConfig(advertise="tcp://10.0.0.1:*"), bound) == "tcp://10.0.0.1:7400"
    assert advertised(SwarmConfig(advertise="tcp://10.0.0.1:9"), bound) == "tcp://10.0.0.1:9"
    assert advertised(SwarmConfig(), "tcp://127.0.0.1:5") == "tcp://127.0.0.1:5"
    near = SwarmConfig(seeds=["tcp://127.0.0.1:7401"])
    assert advertised(near, bound) == "tcp://127.0.0.1:7400"
    lost = SwarmConfig(seeds=["tcp://no.such.host.invalid:99999"])
    with pytest.raises(SwarmError, match=r"no way leads from here to tcp://no\.such.*advertise"):
        advertised(lost, bound)
    for config, here in [
        (SwarmConfig(seeds=["tcp://[::1]:7401"]), "tcp://[::]:7400"),
        (SwarmConfig(), bound),
    ]:
        with contextlib.suppress(SwarmError):  # no IPv6 here, or no network
            assert advertised(config, here).endswith(":7400")


@pytest.mark.parametrize("bind", ["tcp://*:1", "tcp://0.0.0.0:1", "tcp://[::]:1"])
def test_who_listens_everywhere_waits_for_a_network_that_leads_to_the_seed(bind) -> None:
    away = SwarmConfig(bind=bind, seeds=["tcp://no.such.host.invalid:1"])
    with pytest.raises(SwarmError, match="bring the network up"):
        demand_way(away, True)
    demand_way(msgspec.structs.replace(away, advertise="tcp://10.0.0.1:1"), True)
    demand_way(msgspec.structs.replace(away, bind="tcp://10.0.0.1:1"), True)
    with pytest.raises(ConfigError, match="is not on this machine"):
        demand_way(away, False)


def knocked(address: str) -> bool:
    knocks = Knocks()
    refused, descriptor = knocks.knock(address)
    if descriptor != NONE:
        assert descriptor in knocks
        assert knocks.knock(address) == (False, NONE)
        select.select([], [descriptor], [], 60)
        assert knocks.answer(descriptor)[0] == address
    knocks.close()
    return refused


def test_a_knock_tells_a_closed_port_from_an_open_one() -> None:
    with socket.create_server(("127.0.0.1", 0)) as here:
        port = here.getsockname()[1]
        assert not knocked(f"tcp://127.0.0.1:{port}")
    waiting = Knocks()
    refused, descriptor = waiting.knock(f"tcp://127.0.0.1:{port}")
    if not refused:
        select.select([], [descriptor], [], 60)
        refused = waiting.answer(descriptor)[1]
    assert refused


def test_what_cannot_be_knocked_at_is_left_to_the_probe(monkeypatch) -> None:
    for address in ("tcp://some.name:1", "tcp://127.0.0.1:99999"):
        assert Knocks().knock(address) == (False, NONE)
    monkeypatch.setattr(knocks, "MAX_KNOCKS", 0)
    assert Knocks().knock("tcp://127.0.0.1:1") == (False, NONE)


def test_without_a_descriptor_left_nobody_is_knocked_at(monkeypatch) -> None:
    def none_left(*kind: object) -> socket.socket:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(knocks.socket, "socket", none_left)
    assert Knocks().knock("tcp://127.0.0.1:1") == (False, NONE)


def test_knocks_that_wait_are_given_up_on_closing() -> None:
    waiting = Knocks()
    with socket.create_server(("127.0.0.1", 0)) as here:
        _, descriptor = waiting.knock(f"tcp://127.0.0.1:{here.getsockname()[1]}")
        waiting.close()
    assert descriptor not in waiting


def test_only_what_came_to_our_own_port_is_hung_up_on() -> None:
    with socket.create_server(("127.0.0.1", 0)) as here:
        port = here.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as there:
            mine, _ = here.accept()
            with mine:
                hang_up(mine.fileno(), port + 1)
                mine.sendall(b"x")
                assert there.recv(1) == b"x"
                hang_up(mine.fileno(), port)
                assert there.recv(1) == b""
    hang_up(10**6, port)


def test_counts_from_many_threads_are_all_there() -> None:
    counters = Counters()

    def many() -> None:
        for _ in range(1000):
            counters.count("x")

    threads = [threading.Thread(target=many) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert counters.all() == {"x": 4000}
