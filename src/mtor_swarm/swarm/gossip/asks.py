"""Asks and answers between two members: a bounded number in flight, each with a deadline."""

from __future__ import annotations

from mtor_swarm.swarm.gossip.effects import Answered, Asking, Outbox, Send, SetTimer
from mtor_swarm.swarm.gossip.membership import Membership
from mtor_swarm.swarm.gossip.wire import Answer, Ask

MAX_PENDING = 256


class Asks:
    """Our own questions that wait for an answer."""

    def __init__(self, members: Membership, out: Outbox) -> None:
        self.members = members
        self.out = out
        self._last = 0
        self._pending: dict[int, tuple[int, str]] = {}

    def ask(self, asking: Asking, now: float) -> None:
        """Send the question, or answer at once that it cannot be."""
        view = self.members.views.get(asking.member)
        if view is None:
            self._end(asking.token, f"no member {asking.member} is known here")
        elif len(self._pending) >= MAX_PENDING:
            self._end(asking.token, f"{MAX_PENDING} asks wait already: ask again later")
        else:
            self._last += 1
            self._pending[self._last] = (asking.token, asking.member)
            frame = Ask(self._last, asking.kind, asking.payload)
            self.out.add(Send(view.fact.address, frame, reliable=True))
            self.out.add(SetTimer(f"ask {self._last}", now + asking.timeout_s))

    def answered(self, sender: str, answer: Answer, now: float) -> None:
        """An answer; one to nothing, or from someone else, is counted and dropped."""
        token, member = self._pending.get(answer.askid, (0, ""))
        if member != sender:
            self.out.count("answers dropped")
            return
        del self._pending[answer.askid]
        self.out.add(Answered(token, answer.ok, answer.payload))

    def expired(self, askid: int) -> None:
        """The time of an ask is over."""
        token, member = self._pending.pop(askid, (0, ""))
        if member:
            self._end(token, f"{member} did not answer in time: is it alive?")

    def lost(self, member: str) -> None:
        """That member died or left: its asks end now."""
        for askid in [a for a, (_, who) in self._pending.items() if who == member]:
            token, _ = self._pending.pop(askid)
            self._end(token, f"{member} is gone; ask another")

    def _end(self, token: int, reason: str) -> None:
        self.out.add(Answered(token, False, reason.encode()))
