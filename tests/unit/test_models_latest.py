from __future__ import annotations

import threading

from mtor_swarm.models.latest import Latest

LONG_S = 60.0


def test_what_is_offered_during_work_is_replaced_by_what_comes_later():
    began, go, ended = threading.Event(), threading.Event(), threading.Event()
    done: list[int] = []

    def work(item: int) -> None:
        began.set()
        assert go.wait(LONG_S)
        done.append(item)
        if item == 9:
            ended.set()

    latest = Latest(work, max_rate_hz=1000, name="test")
    latest.offer(0)
    assert began.wait(LONG_S)
    for item in range(1, 10):
        latest.offer(item)
    go.set()
    assert ended.wait(LONG_S)
    assert latest.stop(LONG_S)
    assert done == [0, 9]
    assert latest.skipped == 8


def test_stopping_does_not_wait_for_the_rate():
    worked = threading.Event()
    latest: Latest[int] = Latest(lambda _: worked.set(), max_rate_hz=1e-6, name="test")
    latest.offer(1)
    assert worked.wait(LONG_S)
    latest.offer(2)
    assert latest.stop(LONG_S)


def test_stopping_says_when_the_work_hangs():
    go = threading.Event()
    began = threading.Event()

    def work(_: int) -> None:
        began.set()
        go.wait(LONG_S)

    latest = Latest(work, max_rate_hz=10, name="test")
    latest.offer(1)
    assert began.wait(LONG_S)
    assert not latest.stop(0.01)
    go.set()
    assert latest.stop(LONG_S)
