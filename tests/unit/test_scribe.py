"""Writes that others wait for no longer than they like."""

from __future__ import annotations

import subprocess
import sys
import threading
from functools import partial

import pytest

from mtor_swarm.errors import SwarmError
from mtor_swarm.workers.scribe import Scribe

BOUND_S = 60.0


def test_writes_are_done_in_order_and_one_that_fails_ends_none_of_the_others() -> None:
    scribe, written = Scribe("test", 8), list[int]()

    def fails() -> None:
        raise OSError("no space")

    first = scribe.submit(lambda: written.append(1))
    second = scribe.submit(fails)
    assert scribe.submit(lambda: written.append(3)).result(BOUND_S) is None
    assert first.done()
    assert "no space" in str(second.exception())
    assert scribe.submit(lambda: written.append(4)).result(BOUND_S) is None
    assert written == [1, 3, 4]


def test_what_a_disk_that_hangs_finds_no_room_for_fails_at_once() -> None:
    disk, scribe = threading.Event(), Scribe("test", 2)
    busy = [scribe.submit(partial(disk.wait, BOUND_S)) for _ in range(2)]
    with pytest.raises(SwarmError, match="not survive a restart"):
        scribe.submit(int).result(0)
    disk.set()
    assert [each.result(BOUND_S) for each in busy] == [None, None]


def test_no_end_of_a_process_waits_for_a_disk_that_hangs() -> None:
    hangs = (
        "import threading; from mtor_swarm.workers.scribe import Scribe\n"
        "begun = threading.Event(); scribe = Scribe('test', 2)\n"
        "scribe.submit(begun.set); scribe.submit(threading.Event().wait); begun.wait()\n"
    )
    assert (
        subprocess.run([sys.executable, "-c", hangs], timeout=BOUND_S, check=False).returncode == 0
    )
