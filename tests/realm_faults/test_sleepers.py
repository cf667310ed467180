"""Workers that run only while somebody asks, and more of them while many do."""

from __future__ import annotations

import pytest

from mtor_swarm.config import WorkerConfig
from tests.realm_faults.realm import Realm


@pytest.fixture
def realm(tmp_path):
    realms: list[Realm] = []

    def start(**workers: WorkerConfig) -> Realm:
        realms.append(Realm(tmp_path, **workers))
        return realms[0]

    yield start
    for each in realms:
        each.close()


def test_one_that_sleeps_is_woken_by_each_ask_and_sleeps_again(realm):
    here = realm(sleeper=WorkerConfig(kind="echo", least=0, idle_s=1.0))
    for word in (b"one", b"two"):
        heard = []
        answer = here.answer(word, on_status=heard.append)
        assert answer.payload == word + b" by sleeper"
        assert "loading" in [each.state for each in heard]
        here.until(lambda: here.state("sleeper") == "removed")


def test_while_asks_wait_for_long_there_is_one_more(realm):
    here = realm(busy=WorkerConfig(kind="echo", most=2))
    here.up("busy")
    asks = [here.ask(b"slow %d" % n, timeout_s=300.0) for n in range(60)]
    here.up("busy_2")
    here.until(lambda: all(each.done() for each in asks))
    words = {each.result().payload.split()[-1] for each in asks}
    assert words == {b"busy", b"busy_2"}
