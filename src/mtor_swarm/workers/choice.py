"""The behaviour tree by which a unit chooses what it does. Pure; built of `py_trees`.

A selector without memory: at each tick its branches are asked in order, and the first that has
something to do does it, whatever was done before (Colledanchise, Ögren: Behavior Trees in Robotics
and AI, 2018, section 1.3).
"""

from __future__ import annotations

from collections.abc import Callable

from py_trees.behaviour import Behaviour
from py_trees.common import Status
from py_trees.composites import Selector

from mtor_swarm.events import Pose
from mtor_swarm.workers.mission_io import Effect

Branch = Callable[[Pose, float, list[Effect]], str | None]
"""Does what is to be done at this pose (frame `map`) and time (s), adds effects, and says what it
does in a word; None: nothing, it is the next one's turn."""


class _Leaf(Behaviour):
    """One branch of a tree."""

    def __init__(self, name: str, act: Callable[[], str | None]) -> None:
        super().__init__(name)
        self.doing: str | None = None
        self._act = act

    def update(self) -> Status:
        self.doing = self._act()
        return Status.FAILURE if self.doing is None else Status.RUNNING


class Choice:
    """Branches by name, the most urgent first; the last always has something to do."""

    def __init__(self, **branches: Branch) -> None:
        self._given: tuple[Pose, float, list[Effect]] | None = None
        leaves = [_Leaf(name, self._bound(each)) for name, each in branches.items()]
        self._tree = Selector("choice", memory=False, children=leaves)

    @property
    def chosen(self) -> str:
        """The branch that was taken last; empty if none was."""
        tip = self._tree.tip()
        return tip.name if isinstance(tip, _Leaf) else ""

    def take(self, pose: Pose, now: float, effects: list[Effect]) -> str:
        """Tick the tree once; what is done now, in a word."""
        self._given = (pose, now, effects)
        self._tree.tick_once()
        tip = self._tree.tip()
        doing = tip.doing if isinstance(tip, _Leaf) else None
        assert doing is not None, "some branch always has something to do"
        return doing

    def _bound(self, branch: Branch) -> Callable[[], str | None]:
        def act() -> str | None:
            assert self._given is not None, "a tree is ticked by `take` alone"
            return branch(*self._given)

        return act
