"""The tree by which a unit chooses: the most urgent branch that has something to do."""

from __future__ import annotations

import pytest

from mtor_swarm.events import Pose
from mtor_swarm.workers.choice import Choice

HERE = Pose(1.0, 2.0, 0.0)


class Branches:
    """Three branches; those in `busy` have something to do. `asked` is who was asked, in order."""

    def __init__(self) -> None:
        self.busy = {"third"}
        self.asked: list[str] = []
        self.choice = Choice(
            first=self.of("first"), second=self.of("second"), third=self.of("third")
        )

    def of(self, name: str):
        def branch(pose, now, effects) -> str | None:
            assert (pose, now) == (HERE, 5.0)
            effects.append(name)
            self.asked.append(name)
            return f"{name} works" if name in self.busy else None

        return branch

    def take(self) -> str:
        self.asked.clear()
        return self.choice.take(HERE, 5.0, [])


def test_the_first_branch_that_has_something_to_do_does_it():
    branches = Branches()
    assert branches.choice.chosen == ""
    assert branches.take() == "third works"
    assert branches.asked == ["first", "second", "third"]
    assert branches.choice.chosen == "third"


def test_what_is_more_urgent_interrupts_and_what_was_interrupted_goes_on_after_it():
    branches = Branches()
    branches.take()
    branches.busy = {"first", "third"}
    assert branches.take() == "first works"
    assert branches.asked == ["first"]
    branches.busy = {"second", "third"}
    assert branches.take() == "second works"
    branches.busy = {"third"}
    assert branches.take() == "third works"


def test_a_tree_in_which_nobody_has_anything_to_do_is_a_defect():
    branches = Branches()
    branches.busy = set()
    with pytest.raises(AssertionError, match="some branch"):
        branches.take()
