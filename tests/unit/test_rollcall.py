"""Who works here, and what it wrote last, asked from outside."""

from __future__ import annotations

import random
from concurrent.futures import CancelledError, Future

import msgspec
import pytest

from mtor_swarm.errors import AskError
from mtor_swarm.realm.errands import Running, Seen
from mtor_swarm.realm.rollcall import Query, Reply, RollCall, Row

SMOKE = Row(worker="smoke", state="active", kind="smoke_alarm", process="smoke", answers=["smoke"])
REFLEX = Row(worker="reflex", state="active", process="core")


def ready(value) -> Future:
    future: Future = Future()
    future.set_result(value)
    return future


def given_up() -> Future:
    future: Future = Future()
    future.cancel()
    return future


def seen(lines: list[str] | None = None) -> Seen:
    return Seen(token=1, running={"smoke": Running(pid=7, memory_mib=31.5)}, lines=lines)


def ask(roll: RollCall, query: Query | bytes) -> Reply:
    raw = query if isinstance(query, bytes) else msgspec.json.encode(query)
    return msgspec.json.decode(roll.asked(raw).result(timeout=0), type=Reply)


def roll(look=lambda process, lines: ready(seen(["it smokes"]))) -> RollCall:
    return RollCall(lambda: ready([REFLEX, SMOKE]), look)


def test_the_list_has_each_worker_and_of_those_that_run_the_process():
    reply = ask(roll(), Query(do="list"))
    assert [(row.worker, row.pid, row.memory_mib) for row in reply.rows] == [
        ("reflex", 0, 0.0),
        ("smoke", 7, 31.5),
    ]
    assert reply.rows[1].answers == ["smoke"]


def test_without_a_runner_the_list_has_no_processes():
    assert ask(roll(lambda *_: given_up()), Query(do="list")).rows == [REFLEX, SMOKE]


def test_the_lines_are_those_of_the_process_that_holds_the_worker():
    asked = []

    def look(process, lines):
        asked.append((process, lines))
        return ready(seen(["it smokes", "it burns"]))

    reply = ask(roll(look), Query(do="logs", worker="reflex", lines=2))
    assert (reply.process, reply.lines) == ("core", ["it smokes", "it burns"])
    assert asked == [("core", 2)]


def test_a_worker_that_was_replaced_is_found_under_its_own_name():
    asked = []

    def look(process, lines):
        asked.append(process)
        return ready(seen([]))

    second = msgspec.structs.replace(SMOKE, worker="smoke_2", process="smoke_2")
    roll_call = RollCall(lambda: ready([REFLEX, second]), look)
    ask(roll_call, Query(do="logs", worker="smoke"))
    with pytest.raises(AskError, match="there is no worker smok;"):
        ask(roll_call, Query(do="logs", worker="smok"))
    assert asked == ["smoke_2"]


@pytest.mark.parametrize(
    ("roll_call", "worker", "said"),
    [
        (roll(), "fire", "there is no worker fire; there are reflex, smoke"),
        (roll(lambda *_: ready(seen())), "smoke", "the process smoke has never run"),
        (roll(lambda *_: given_up()), "smoke", "nobody keeps its lines: the unit was not started"),
    ],
)
def test_why_there_are_no_lines_is_told(roll_call, worker, said):
    with pytest.raises(AskError, match=said):
        ask(roll_call, Query(do="logs", worker=worker))


JUNK = (b"", b"{}", b'{"do": "dance"}', b'{"do": "logs", "lines": 1000}')


@pytest.mark.parametrize("raw", [*JUNK, random.Random(1).randbytes(99)])
def test_what_is_no_question_is_told_so(raw):
    with pytest.raises(AskError, match="no question about workers: "):
        ask(roll(), raw)


def test_a_realm_that_ends_gives_up_the_question_and_who_gave_up_is_not_told():
    with pytest.raises(CancelledError):
        ask(RollCall(given_up, lambda *_: given_up()), Query(do="list"))
    slow: Future = Future()
    answer = RollCall(lambda: slow, lambda *_: given_up()).asked(
        msgspec.json.encode(Query(do="list"))
    )
    assert answer.cancel()
    slow.set_result([SMOKE])
    assert answer.cancelled()
