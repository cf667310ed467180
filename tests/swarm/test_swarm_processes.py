"""Real members in processes of their own, over real ZeroMQ on loopback."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket

import pytest

from mtor_swarm.config import SwarmConfig
from mtor_swarm.errors import ConfigError, SwarmError
from mtor_swarm.swarm.identity import Identity
from mtor_swarm.swarm.observer import Observer
from mtor_swarm.swarm.transport import Transport
from tests.swarm.crowd import Crowd, wait_until

pytestmark = pytest.mark.timeout(300)


def port_of(address: str) -> tuple[str, int]:
    host, _, port = address.removeprefix("tcp://").rpartition(":")
    return host, int(port)


def test_killing_the_first_member_harms_none_of_the_others() -> None:
    with Crowd() as crowd:
        first, *rest = crowd.grow(5)
        first.child.send_signal(signal.SIGKILL)
        for each in rest:
            each.wait_states({"u0": "dead"})
        for _ in range(20):
            rest[0].write()
        for each in rest[1:]:
            wait_until("all events", lambda each=each: len(each.numbers("u1")) == 20)
            assert each.numbers("u1") == list(range(1, 21))
            assert "dead" not in {s for u, s in each.states().items() if u != "u0"}


def test_a_stopped_process_is_noticed_and_taken_back() -> None:
    with Crowd() as crowd:
        members = crowd.grow(4)
        members[2].child.send_signal(signal.SIGSTOP)
        try:
            members[0].wait_states({"u2": "dead"})
            members[0].write()
        finally:
            members[2].child.send_signal(signal.SIGCONT)
        for each in (members[0], members[1], members[3]):
            each.wait_states({"u2": "alive"})
        wait_until("caught up", lambda: members[2].numbers("u0") == [1])


def test_garbage_on_the_port_is_counted_and_harms_no_one() -> None:
    rng = random.Random(1)
    with Crowd() as crowd:
        members = crowd.grow(3)
        for size in (1, 10, 64, 1000, 100_000):
            rude = socket.create_connection(port_of(members[0].address))
            with rude, contextlib.suppress(OSError):  # it may hang up on us, as it should
                rude.sendall(rng.randbytes(size))
        zmq = pytest.importorskip("zmq")
        with zmq.Context() as context, context.socket(zmq.DEALER) as rude:
            rude.linger = 1000
            rude.connect(members[0].address)
            for raw in (b"", b"\xc1", rng.randbytes(500), b"\x93\x03\x01\x02"):
                rude.send(raw)
            rude.send_multipart([b"a", b"b", b"c"])

            def counted() -> bool:
                members[0].write("counters")
                return any(e["kind"] == "counters" and "garbage" in e for e in members[0].said)

            wait_until("garbage counted", counted)
        members[0].write()
        wait_until("still spreading", lambda: members[2].numbers("u0") == [1])


def test_a_late_joiner_gets_the_recent_events_in_order() -> None:
    with Crowd() as crowd:
        members = crowd.grow(3)
        for _ in range(300):
            members[0].write()
        wait_until("spread", lambda: len(members[1].numbers("u0")) == 300)
        late = crowd.add("late", swarm={"seeds": [members[1].address]})
        wait_until("caught up", lambda: len(late.numbers("u0")) >= 300)
        assert late.numbers("u0") == list(range(1, 301))


def test_two_members_with_one_name_are_told_and_the_later_one_must_go() -> None:
    with Crowd() as crowd:
        members = crowd.grow(2)
        twin = crowd.add("u1", swarm={"seeds": [members[0].address]})
        said = twin.wait("conflict", lambda said: any(e["kind"] == "conflict" for e in said))
        assert [e["later"] for e in said if e["kind"] == "conflict"] == [True]
        said = members[1].wait("it", lambda said: any(e["kind"] == "conflict" for e in said))
        assert [e["later"] for e in said if e["kind"] == "conflict"] == [False]


def test_a_restarted_member_comes_back_with_its_identity_and_a_new_boot(tmp_path) -> None:
    with Crowd() as crowd:
        members = crowd.grow(3)
        options = {"state_dir": str(tmp_path), "swarm": {"seeds": [members[1].address]}}
        once = crowd.add("u9", **options)
        once.wait_states({"u0": "alive"})
        once.child.send_signal(signal.SIGKILL)
        members[0].wait_states({"u9": "dead"})
        again = crowd.add("u9", **options)
        members[0].wait_states({"u9": "alive"})
        again.write()
        said = members[0].wait(
            "it", lambda said: any(e.get("unit") == "u9" and e["kind"] == "event" for e in said)
        )
        assert [e["boot"] for e in said if e["kind"] == "event"] == [2]


def test_a_member_that_stops_is_seen_as_left() -> None:
    with Crowd() as crowd:
        members = crowd.grow(3)
        members[1].write("stop")
        members[0].wait_states({"u1": "left"})
        assert members[1].child.wait(60) == 0


def test_an_observer_sees_units_asks_them_and_keeps_the_lost(tmp_path) -> None:
    with Crowd() as crowd:
        members = crowd.grow(3)
        config = SwarmConfig(seeds=["tcp://127.0.0.1:1", members[2].address])
        observer = Observer(config)
        heard: list[str] = []
        observer.listen(lambda kind, value: heard.append(kind))
        observer.start()
        try:
            observer.wait_for_members(60, count=3)
            assert observer.ask("u1", "reverse", b"abc", 60).result() == b"cba"
            with pytest.raises(SwarmError, match="no unit nobody"):
                observer.ask("nobody", "reverse", b"", 1).result()
            members[0].write()
            wait_until("event seen", lambda: len(observer.snapshot()["events"]) == 1)
            members[0].child.send_signal(signal.SIGKILL)
            wait_until(
                "loss", lambda: observer.snapshot()["units"]["u0"]["member_state"] == "dead"
            )
            assert observer.snapshot()["units"]["u0"]["lost_at_s"] is not None
            assert {"event", "unit", "member"} <= set(heard)
        finally:
            observer.stop()


def test_an_observer_says_that_no_member_answers() -> None:
    observer = Observer(SwarmConfig(seeds=["tcp://127.0.0.1:1"]))
    observer.start()
    try:
        with pytest.raises(SwarmError, match=r"no member answers at tcp://127\.0\.0\.1:1"):
            observer.wait_for_members(0.2)
    finally:
        observer.stop()


def test_an_occupied_port_is_named_with_what_to_do() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        bind = f"tcp://127.0.0.1:{held.getsockname()[1]}"
        transport = Transport(SwarmConfig(bind=bind), Identity.ephemeral())
        with pytest.raises(SwarmError, match=rf"{bind}: cannot listen there.*swarm\.bind"):
            transport.open()


@pytest.mark.parametrize("where", [{"bind": "tcp://0.0.0.0:*"}, {"seeds": ["tcp://10.0.0.1:1"]}])
def test_beyond_loopback_keys_are_demanded(where) -> None:
    with pytest.raises(ConfigError, match=r"without swarm\.keys only loopback"):
        Transport(SwarmConfig(**where), Identity.ephemeral())


def test_stopping_leaves_no_descriptor() -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        observer = Observer(SwarmConfig())
        observer.start()
        observer.stop()
    assert len(os.listdir("/proc/self/fd")) <= before
