from __future__ import annotations

import pytest

from mtor_swarm.swarm.gossip import effects as fx
from mtor_swarm.swarm.gossip import plumtree, wire
from mtor_swarm.swarm.gossip.plumtree import Plumtree
from mtor_swarm.swarm.gossip.records import Record
from tests.unit.news_play import STOP, key_of, record

ORIGIN = key_of("a")[0]


class Tree:
    """A Plumtree with three links, and what it sent."""

    def __init__(self, links: str = "xyz", **loss: float) -> None:
        self.sent: list[tuple[str, wire.Frame]] = []
        self.out = fx.Outbox()
        self.tree = Plumtree(self._send, self.out, loss)
        for member in links:
            self.tree.link_up(member)

    def _send(self, member: str, frame: wire.Frame, priority: int = 2) -> None:
        self.sent.append((member, frame))

    def take(self, kind: type) -> list[str]:
        """To whom frames of that kind went since the last time."""
        found = [member for member, frame in self.sent if isinstance(frame, kind)]
        self.sent = [each for each in self.sent if not isinstance(each[1], kind)]
        return found

    def push(self, *records: Record, sender: str = "", now: float = 0.0) -> list[str]:
        self.tree.push(list(records), sender, now)
        return self.take(wire.Events)

    def again(self, each: Record, sender: str) -> list[str]:
        self.tree.again(self.tree.recent[each.packed.name], sender)
        return self.take(wire.Prune)

    def timers(self) -> dict[str, float]:
        return {e.key: e.at for e in self.out.drain() if isinstance(e, fx.SetTimer)}


def name(seq: int) -> bytes:
    return record(seq).packed.name


def test_a_new_event_goes_to_all_links_but_where_it_came_from():
    assert Tree().push(record(1), sender="x") == ["y", "z"]
    assert Tree(links="x" + "y").push(record(1)) == ["x", "y"]
    tree = Tree(links="")
    tree.tree.link_up(ORIGIN)
    assert tree.push(record(1), sender="x") == []


def test_a_second_copy_makes_its_link_lazy_for_that_origin_alone():
    tree = Tree()
    tree.push(record(1), sender="x")
    assert tree.again(record(1), "y") == ["y"]
    assert tree.push(record(2), sender="x") == ["z"]
    assert tree.push(record(1, "b"), sender="x") == ["y", "z"]


def test_a_later_copy_over_a_shorter_way_takes_the_place_of_the_first():
    tree = Tree()
    tree.tree.push([record(1)], "x", 0.0, hops=5)
    (_, pushed) = tree.sent[0]
    assert isinstance(pushed, wire.Events)
    assert pushed.hops == 6
    tree.take(wire.Events)
    tree.tree.again(tree.tree.recent[name(1)], "y", 4)
    assert tree.take(wire.Prune) == ["x"]
    tree.tree.again(tree.tree.recent[name(1)], "z", 4)
    assert tree.take(wire.Prune) == ["z"]
    assert tree.tree.eager(ORIGIN) == ["y"]


def test_one_that_is_further_away_is_pruned_one_way_and_may_take_its_events_from_us():
    tree = Tree()
    tree.tree.push([record(1)], "x", 0.0, hops=1)
    tree.take(wire.Events)
    tree.tree.again(tree.tree.recent[name(1)], "y", 4)
    assert tree.take(wire.Prune) == ["y"]
    assert tree.tree.eager(ORIGIN) == ["x", "y", "z"]


def test_a_shorter_way_that_loses_much_takes_no_others_place():
    tree = Tree(y=0.3)
    tree.tree.push([record(1)], "x", 0.0, hops=5)
    tree.take(wire.Events)
    tree.tree.again(tree.tree.recent[name(1)], "y", 1)
    assert tree.take(wire.Prune) == ["y"]


def test_what_was_wanted_came_no_shorter_way_than_any_copy():
    tree = Tree()
    tree.tree.push([record(1)], "x", 0.0, True)
    tree.tree.again(tree.tree.recent[name(1)], "y", 3)
    tree.take(wire.Events)
    tree.tree.again(tree.tree.recent[name(1)], "z", 2)
    assert tree.take(wire.Prune) == ["y"]


def test_the_same_sender_twice_is_no_reason_to_prune():
    tree = Tree()
    tree.push(record(1), sender="x")
    assert tree.again(record(1), "x") == []


def test_who_is_no_link_is_pruned_and_does_not_become_one():
    tree = Tree()
    tree.push(record(1), sender="s")
    assert tree.take(wire.Prune) == ["s"]
    assert tree.again(record(1), "x") == []
    assert tree.again(record(1), "s") == ["s"]
    assert tree.tree.eager(ORIGIN) == ["x", "y", "z"]


def test_lossy_links_stay_eager_until_enough_copies_come():
    tree = Tree(x=0.1, y=0.04, z=0.0)
    tree.push(record(1), sender="x")
    assert tree.again(record(1), "y") == []
    assert tree.again(record(1), "z") == ["z"]


def test_stops_go_out_on_lazy_links_too_and_prune_none():
    tree = Tree()
    tree.tree.pruned("y", ORIGIN)
    stop = record(1, type=STOP, channel="stop")
    assert sorted(tree.push(record(1), stop, sender="x")) == ["y", "z"]
    assert tree.again(stop, "y") == []


def test_lossy_links_are_told_in_batches_even_eager_ones_but_not_of_what_they_had():
    tree = Tree(y=0.3, z=0.3)
    tree.tree.pruned("y", ORIGIN)
    assert tree.push(record(1), sender="x") == ["z"]
    assert tree.timers() == {"have": plumtree.HAVE_S}
    tree.push(record(2), sender="x", now=0.001)
    assert tree.timers() == {}
    tree.again(record(1), "z")
    tree.tree.tell()
    assert tree.sent == [("y", wire.Have([name(1), name(2)])), ("z", wire.Have([name(2)]))]
    tree.push(record(3), sender="x", now=0.2)
    assert tree.timers() == {"have": 0.2 + plumtree.HAVE_S}


def test_links_that_lose_nothing_are_told_of_nothing():
    tree = Tree(z=0.001)
    tree.tree.pruned("y", ORIGIN)
    tree.push(record(1), sender="x")
    assert tree.timers() == {}
    tree.tree.tell()
    assert tree.sent == []


def test_no_more_is_told_at_once_than_fits(monkeypatch):
    monkeypatch.setattr(plumtree, "MAX_NAMES", 1)
    tree = Tree(y=0.3)
    tree.push(record(1), record(2), sender="x")
    tree.tree.tell()
    assert tree.sent == [("y", wire.Have([name(1)]))]
    assert tree.out.counters == {"events not told of": 1}


def test_a_link_that_had_what_was_wanted_is_made_eager():
    tree = Tree()
    tree.tree.pruned("y", ORIGIN)
    tree.tree.push([record(1)], "y", 0.0, True)
    tree.sent.clear()
    tree.tree.mend("s", [record(1)])
    assert tree.sent == []
    tree.tree.mend("y", [record(1)])
    assert tree.sent == [("y", wire.Graft([name(1)], False))]
    assert tree.tree.eager(ORIGIN) == ["x", "y", "z"]


def test_what_had_to_be_wanted_makes_no_copy_over_the_tree_needless():
    tree = Tree()
    tree.tree.push([record(1)], "x", 0.0, True)
    assert tree.again(record(1), "y") == []
    assert tree.again(record(1), "z") == ["z"]


def test_what_was_told_of_and_does_not_come_is_asked_for_of_each_teller_in_turn():
    tree = Tree()
    tree.tree.have("x", [name(1)], 0.0)
    tree.tree.have("y", [name(1)], 0.001)
    tree.tree.have("y", [name(1)], 0.001)
    assert tree.timers() == {"graft": plumtree.GRAFT_S}
    tree.tree.ask_missing(0.001)
    assert tree.sent == []
    assert tree.timers() == {"graft": plumtree.GRAFT_S}
    tree.tree.ask_missing(0.05)
    assert tree.sent == [("x", wire.Graft([name(1)], True))]
    assert tree.timers() == {"graft": 0.05 + plumtree.GRAFT_S}
    tree.tree.ask_missing(0.1)
    assert tree.sent[1:] == [("y", wire.Graft([name(1)], True))]
    tree.tree.ask_missing(0.15)
    assert tree.sent[2:] == [("x", wire.Graft([name(1)], True))]


def test_what_nobody_sends_is_asked_for_only_so_often(monkeypatch):
    monkeypatch.setattr(plumtree, "MAX_ASKS", 3)
    tree = Tree()
    for teller in "xyzabc":
        tree.tree.have(teller, [name(1)], 0.0)
    for second in range(1, 9):
        tree.tree.ask_missing(float(second))
    assert tree.take(wire.Graft) == ["x", "y", "z"]
    assert tree.out.drain()[-1] == fx.SetTimer("graft", 2.0 + plumtree.GRAFT_S)


def test_what_came_meanwhile_is_not_asked_for():
    tree = Tree()
    tree.tree.have("x", [name(1)], 0.0)
    tree.push(record(1), sender="y")
    tree.tree.ask_missing(1.0)
    assert tree.take(wire.Graft) == []


def test_only_so_many_are_missed_at_a_time(monkeypatch):
    monkeypatch.setattr(plumtree, "MAX_MISSING", 1)
    tree = Tree()
    tree.tree.have("x", [name(1), name(2)], 0.0)
    tree.tree.ask_missing(1.0)
    assert tree.sent == [("x", wire.Graft([name(1)], True))]
    assert tree.out.counters == {"events not asked for": 1}


def test_who_grafts_gets_that_origins_events_and_what_it_wants_of_late():
    tree = Tree()
    tree.tree.pruned("y", ORIGIN)
    assert tree.push(record(1), sender="x") == ["z"]
    (copy,) = tree.tree.grafted("y", [name(1), name(9)])
    assert (copy.key, copy.seq) == (key_of("a"), 1)
    assert tree.push(record(2), sender="x") == ["y", "z"]


def test_a_link_that_brings_something_new_is_eager_again():
    tree = Tree()
    tree.tree.pruned("y", ORIGIN)
    tree.push(record(1), sender="y")
    assert tree.tree.eager(ORIGIN) == ["x", "y", "z"]


def test_where_loss_has_grown_a_lazy_link_that_tells_is_made_eager():
    loss = {"x": 0.0}
    tree = Tree()
    tree.tree.loss = loss
    tree.tree.pruned("y", ORIGIN)
    tree.push(record(1), sender="x")
    tree.tree.have("y", [name(1)], 0.0)
    assert tree.take(wire.Graft) == []
    loss["x"] = 0.3
    tree.tree.have("z", [name(1)], 0.0)
    assert tree.take(wire.Graft) == []
    tree.tree.have("y", [name(1)], 0.0)
    assert tree.sent == [("y", wire.Graft([name(1)], False))]
    assert tree.tree.eager(ORIGIN) == ["x", "y", "z"]


def test_a_link_that_goes_is_forgotten_and_comes_back_eager():
    tree = Tree()
    tree.tree.pruned("y", ORIGIN)
    tree.tree.link_down("y")
    assert tree.tree.eager(ORIGIN) == ["x", "z"]
    tree.tree.pruned("y", ORIGIN)
    tree.tree.link_up("y")
    assert tree.tree.eager(ORIGIN) == ["x", "z", "y"]


@pytest.mark.parametrize("most", ["MAX_RECENT", "MAX_TREES"])
def test_what_is_remembered_is_bounded(monkeypatch, most):
    monkeypatch.setattr(plumtree, most, 3)
    tree = Tree()
    for number in range(9):
        each = record(1, f"m{number}")
        tree.push(each, sender="x")
        tree.again(each, "y")
    known = [len(tree.tree.eager(key_of(f"m{number}")[0])) for number in range(9)]
    if most == "MAX_TREES":
        assert known == [3] * 6 + [2] * 3
    else:
        assert len(tree.tree.recent) == 3


# --- the common tree


def sprout(tree: Tree, hops: int, sender: str = "", number: int = 1) -> list[tuple[str, int]]:
    """Where it grew to and how far from the root that is; `-1` where it was pruned."""
    tree.tree.sprout(wire.Sprout("0" * 31 + "1", number, hops), sender)
    found = [(m, f.hops if isinstance(f, wire.Sprout) else -1) for m, f in tree.sent]
    tree.sent.clear()
    return found


def test_in_a_small_swarm_first_events_take_the_common_tree():
    tree = Tree()
    tree.tree.small = True
    assert sprout(tree, 1, "x") == [("y", 2), ("z", 2)]
    assert sprout(tree, 2, "y") == [("y", -1)]
    assert tree.push(record(1), sender="x") == ["z"]
    assert tree.push(record(plumtree.OWN_FROM - 1, "b"), sender="x") == ["z"]
    assert tree.push(record(plumtree.OWN_FROM, "b"), sender="x") == ["y", "z"]
    tree.tree.small = False
    assert tree.push(record(2), sender="x") == ["y", "z"]


def test_the_common_tree_takes_the_shorter_way_whichever_came_first():
    tree = Tree()
    sprout(tree, 3, "x")
    assert sprout(tree, 1, "y") == [("x", -1)]
    assert tree.tree.eager(plumtree.COMMON) == ["y", "z"]


def test_who_is_far_from_the_root_is_left_to_take_its_way_by_us():
    tree = Tree()
    sprout(tree, 1, "x")
    assert sprout(tree, 4, "y") == []
    assert sprout(tree, 3, "z") == [("z", -1)]


def test_where_datagrams_are_lost_the_common_tree_has_more_links():
    tree = Tree(x=0.05, y=0.05)
    sprout(tree, 1, "x")
    assert sprout(tree, 1, "y") == []
    assert sprout(tree, 1, "z") == [("z", -1)]


def test_the_common_tree_grows_anew_by_a_higher_number_or_another_root_alone():
    tree = Tree()
    sprout(tree, 0)
    sprout(tree, 2, "y")
    assert sprout(tree, 1, "x", number=0) == []
    assert sprout(tree, 1, "x", number=2) == [("y", 2), ("z", 2)]
    tree.tree.sprout(wire.Sprout("0" * 32, 1, 1), "y")
    assert tree.take(wire.Sprout) == ["x", "z"]


def test_a_link_that_only_the_other_end_knows_is_not_grown_on():
    tree = Tree()
    assert sprout(tree, 1, "s") == [("s", -1)]
    assert sprout(tree, 1, "x") == [("y", 2), ("z", 2)]
