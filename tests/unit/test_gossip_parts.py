from __future__ import annotations

import threading

from mtor_swarm.events import Pose, ReflexChanged, UnitState
from mtor_swarm.workers.beacon import AGAIN_S, MAX_WORKERS, Beacon
from mtor_swarm.workers.inbox import Inbox


def test_the_inbox_gives_the_most_urgent_first_and_then_the_oldest() -> None:
    inbox: Inbox[str] = Inbox(9)
    for priority, item in ((2, "notice"), (1, "order"), (2, "other"), (0, "stop")):
        inbox.put(priority, item)
    assert [inbox.take() for _ in range(4)] == ["stop", "order", "notice", "other"]


def test_a_full_inbox_drops_the_newest_of_the_least_urgent_and_counts() -> None:
    inbox: Inbox[str] = Inbox(2)
    for priority, item in ((3, "old"), (3, "new"), (0, "stop"), (3, "late")):
        inbox.put(priority, item)
    assert inbox.dropped == {3: 2}
    assert len(inbox) == 2
    assert [inbox.take(), inbox.take()] == ["stop", "old"]


def test_an_item_takes_the_place_of_the_one_with_its_key() -> None:
    inbox: Inbox[int] = Inbox(9)
    inbox.put(3, 1, key="r2")
    inbox.put(3, 2, key="r2")
    assert inbox.take() == 2
    inbox.put(3, 3, key="r2")
    assert inbox.take() == 3
    assert not len(inbox)


def test_a_dropped_item_gives_its_key_back() -> None:
    inbox: Inbox[int] = Inbox(1)
    inbox.put(0, 1)
    inbox.put(3, 2, key="r2")
    inbox.take()
    inbox.put(3, 3, key="r2")
    assert inbox.take() == 3


def test_a_closed_inbox_takes_nothing_in_and_ends_who_waits() -> None:
    inbox: Inbox[int] = Inbox(9)
    found: list[int | None] = []
    waiting = threading.Thread(target=lambda: found.append(inbox.take()))
    waiting.start()
    inbox.close()
    waiting.join()
    inbox.put(0, 1)
    assert found == [None]
    assert inbox.take() is None


def test_a_beacon_is_news_when_something_changed_or_it_is_long_ago() -> None:
    beacon = Beacon("r1")
    assert beacon.news(0.0) == UnitState(unit="r1")
    assert beacon.news(AGAIN_S - 0.1) is None
    beacon.reflexed(ReflexChanged(latched=True))
    assert beacon.news(0.1) == UnitState(unit="r1", latched=True)
    assert beacon.news(0.1 + AGAIN_S) is not None


def test_the_odometrys_noise_is_no_news() -> None:
    beacon = Beacon("r1")
    beacon.moved(Pose(1.0, 2.0, 0.5), 0.0, 0.0)
    beacon.news(10.0)
    beacon.moved(Pose(1.0004, 1.9996, 0.5003), -0.0004, 0.0004)
    assert beacon.news(10.1) is None


def test_decision_says_what_is_done_and_the_odometry_where() -> None:
    beacon = Beacon("r1")
    beacon.reflexed(ReflexChanged(latched=True))
    beacon.moved(Pose(1.0, 2.0, 0.5), 0.3, 0.1)
    beacon.worked({"decision": "active"})
    beacon.heard(["r3", "r2"], 7)
    beacon.lends({"detect": 0.2})
    beacon.decided(
        UnitState(unit="other", pose=Pose(9.0, 9.0, 9.0), doing="searching", cost_m=2.5)
    )
    assert beacon.news(0.0) == UnitState(
        unit="r1",
        pose=Pose(1.0, 2.0, 0.5),
        speed_mps=0.3,
        turn_rps=0.1,
        doing="searching",
        cost_m=2.5,
        latched=True,
        workers={"decision": "active"},
        hears=["r2", "r3"],
        dropped=7,
        offers={"detect": 0.2},
    )


def test_without_odometry_decisions_pose_is_better_than_none() -> None:
    beacon = Beacon("r1")
    beacon.decided(UnitState(unit="r1", pose=Pose(1.0, 2.0, 0.5)))
    state = beacon.news(0.0)
    assert state is not None
    assert state.pose == Pose(1.0, 2.0, 0.5)


def test_a_beacon_names_so_many_workers_and_no_more() -> None:
    beacon = Beacon("r1")
    beacon.worked({f"w{number}": "active" for number in range(MAX_WORKERS + 5)})
    state = beacon.news(0.0)
    assert state is not None
    assert len(state.workers) == MAX_WORKERS
