"""A fault every few seconds while asks flow: each has its answer, and the core does not grow."""

from __future__ import annotations

import os
import random
import signal
import time

import psutil
import pytest

from mtor_swarm.config import WorkerConfig
from tests.realm_faults.realm import Realm

LASTS_S = float(os.environ.get("MTOR_FAULTS_S", "15"))
"""In the suite a glimpse; ten minutes by hand: `MTOR_FAULTS_S=600 pytest --timeout 900`."""
FAULT_S, ASK_S = 5.0, 0.05
NAMES = ("a", "b", "c")


@pytest.fixture
def realm(tmp_path):
    realm = Realm(tmp_path, **{each: WorkerConfig(kind="echo") for each in NAMES})
    yield realm
    realm.close()


def measure(core: psutil.Process) -> tuple[int, int, float]:
    """Threads, open files, MiB."""
    return core.num_threads(), core.num_fds(), core.memory_info().rss / 2**20


def strike(realm: Realm, rng: random.Random) -> None:
    """Kill or stop one of the workers, if its process is there."""
    sign = rng.choice((signal.SIGKILL, signal.SIGSEGV, signal.SIGSTOP))
    name = rng.choice(NAMES)
    for each in psutil.Process(realm.process.pid).children():
        try:
            if each.cmdline()[-2:] == ["--process", name]:
                each.send_signal(sign)
        except psutil.Error:
            continue


def test_each_ask_has_its_answer_whatever_dies_and_nothing_grows(realm):
    rng = random.Random(5)
    realm.up(*NAMES)
    realm.until(lambda: realm.answer(b"ready?").ok)
    core = psutil.Process(realm.pid("core"))
    before = measure(core)
    asks, begun = [], time.monotonic()
    next_fault_s, next_ask_s = begun + 1.0, begun
    while (now := time.monotonic()) < begun + LASTS_S:
        if now >= next_fault_s:
            next_fault_s += FAULT_S
            strike(realm, rng)
        if now >= next_ask_s:
            next_ask_s = now + ASK_S
            asks.append(realm.ask(b"%d" % len(asks)))
        realm.stage.executor.spin_once(timeout_sec=0.02)
    realm.until(lambda: all(each.done() for each in asks))
    lost = [each.result() for each in asks if not each.result().ok]
    assert not [each for each in lost if "did not answer" in each.reason], "refused, but not lost"
    assert len(lost) <= len(asks) // 10
    realm.until(lambda: all(realm.state(each) in ("active", "degraded") for each in NAMES))
    after = measure(core)
    print(f"{len(asks)} asks, {len(lost)} refused; threads, files, MiB: {before} → {after}")
    assert core.is_running()
    assert after[0] <= before[0] + 2
    assert after[1] <= before[1] + 20
    assert after[2] <= before[2] * 1.3 + 10
