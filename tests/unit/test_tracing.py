"""An ask's way is drawn as it was told."""

from __future__ import annotations

from mtor_swarm.realm.ask_wire import Answer, Step
from mtor_swarm.realm.tracing import lent, tree

ASKID = "3fa9" * 8


def answered(*steps: Step, **more: object) -> Answer:
    return Answer(askid=ASKID, **{"ok": True, "worker": "perception", **more}, steps=list(steps))


def test_the_way_through_queue_and_worker_is_a_branch_a_step() -> None:
    way = answered(
        Step("queued", "", 0.0),
        Step("running", "perception", 0.002),
        Step("answered", "perception", 0.412),
    )
    assert tree(way, "detect") == [
        "detect 3fa93fa9: answered by perception in 412.0 ms",
        "├─ 0.0 ms  queued  +2.0 ms",
        "├─ 2.0 ms  running on perception  +410.0 ms",
        "└─ 412.0 ms  answered by perception",
    ]


def test_what_a_worker_tells_of_its_work_stands_under_it() -> None:
    way = answered(
        Step("running", "perception", 0.0),
        Step("decoded", "perception", 0.1),
        Step("detected", "perception", 0.2),
        Step("answered", "perception", 1.5),
    )
    assert tree(way)[1:] == [
        "├─ 0.0 ms  running on perception  +1.50 s",
        "│  ├─ 100.0 ms  decoded  +100.0 ms",
        "│  └─ 200.0 ms  detected  +1.30 s",
        "└─ 1.50 s  answered by perception",
    ]


def test_a_lender_s_steps_stand_under_the_borrowing() -> None:
    far = [Step("running", "eyes", 0.2), Step("read", "eyes", 0.25), Step("answered", "eyes", 0.3)]
    way = answered(Step("borrowed", "r3", 0.0), *lent(far, "r3"), Step("answered", "r3/eyes", 0.4))
    assert tree(way)[1:-1] == [
        "├─ 0.0 ms  borrowed from r3  +400.0 ms",
        "│  ├─ 200.0 ms  running on eyes  +100.0 ms",
        "│  │  └─ 250.0 ms  read  +50.0 ms",
        "│  └─ 300.0 ms  answered by eyes  +100.0 ms",
    ]


def test_what_failed_says_why_and_shows_no_control_characters() -> None:
    way = answered(Step("failed", "", 2.0), ok=False, worker="", reason="no\x1b[2J\nroom")
    assert tree(way) == ["3fa93fa9: failed in 2.00 s: no?[2J?room", "└─ 2.00 s  failed"]
    assert tree(answered(ok=False, reason="full")) == ["3fa93fa9: failed by perception: full"]
