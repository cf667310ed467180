"""Asks and answers between two members: a bounded number, each with a deadline, an end for each.

An answer may come in parts. What ends early, for whatever reason, ends on both sides: who asks
tells the other that it waits no more, and who is asked forgets an ask whose time is over.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from mtor_swarm.swarm.gossip import effects as fx
from mtor_swarm.swarm.gossip import wire

if TYPE_CHECKING:
    from mtor_swarm.swarm.gossip.machine import Machine

MAX_PENDING = 256
"""Asks of ours that wait for an answer."""
MAX_SERVED = 256
MAX_SERVED_EACH = 64
"""Asks of others that wait for ours, and of one member."""
MAX_PARTS = 4096
MAX_PART_BYTES = 16 * 1024 * 1024
"""Of one answer; one that has more is broken off."""
LATE_S = 1.0
"""Who is asked waits for so long past the asker's time, and then forgets the ask."""
BOOTS = 2**29
"""No ask is taken for one of an earlier boot: its number has the boot in it, up to so many."""


class _Answering:
    """One ask, and how much of its answer has come or gone."""

    __slots__ = ("boot", "bytes", "due", "member", "parts", "token")

    def __init__(self, member: str, due: float, boot: int, token: int = 0) -> None:
        self.member, self.due, self.boot, self.token = member, due, boot, token
        self.parts = self.bytes = 0

    def add(self, payload: bytes) -> bool:
        """One part more; whether that is still within the limits."""
        self.parts += 1
        self.bytes += len(payload)
        return self.parts <= MAX_PARTS and self.bytes <= MAX_PART_BYTES


class Asks:
    """Our own questions that wait for an answer, and others' that wait for ours."""

    def __init__(self, machine: Machine) -> None:
        self.m = machine
        self.out = machine.out
        self._last = machine.boot % BOOTS << 32
        self._pending: dict[int, _Answering] = {}
        self._served: dict[tuple[str, int], _Answering] = {}
        self._wake = math.inf

    # --- ours

    def ask(self, asking: fx.Asking, now: float) -> None:
        """Send the question, or answer at once that it cannot be."""
        view = self.m.members.views.get(asking.member)
        if view is None:
            self._tell(asking.token, f"no member {asking.member} is known here")
        elif len(self._pending) >= MAX_PENDING:
            self._tell(asking.token, f"{MAX_PENDING} asks wait already: ask again later")
        else:
            self._last += 1
            due = now + asking.timeout_s
            boot = view.fact.boot
            self._pending[self._last] = _Answering(asking.member, due, boot, asking.token)
            # Say who we are first: one that has not heard of us yet could not answer.
            self._send(asking.member, wire.Spread([self.m.my_fact()], []))
            frame = wire.Ask(self._last, asking.kind, asking.payload, asking.timeout_s)
            self._send(asking.member, frame)
            self._wake_by(due)

    def abandon(self, item: fx.Abandoning, now: float) -> None:
        """The answer to that ask of ours is not wanted any more."""
        for askid in [a for a, each in self._pending.items() if each.token == item.token]:
            self._over(askid)

    def part(self, sender: str, part: wire.AnswerPart, now: float) -> None:
        """A part of an answer. Where one is missing, or there are too many, the ask ends."""
        pending = self._pending.get(part.askid)
        if pending is None or pending.member != sender or part.seq < pending.parts:
            self.out.count("answers dropped")
        elif part.seq > pending.parts:
            self._over(part.askid, f"a part of {sender}'s answer was lost on the way: ask again")
        elif not pending.add(part.payload):
            self._over(part.askid, f"the answer of {sender} has no end: it was broken off")
        else:
            self.out.add(fx.PartHeard(pending.token, part.payload))

    def answered(self, sender: str, answer: wire.Answer, now: float) -> None:
        """An answer; one to nothing, or from someone else, is counted and dropped."""
        pending = self._pending.get(answer.askid)
        if pending is None or pending.member != sender:
            self.out.count("answers dropped")
            return
        del self._pending[answer.askid]
        self.out.add(fx.Answered(pending.token, answer.ok, answer.payload))

    def _over(self, askid: int, reason: str = "") -> None:
        """End an ask of ours on both sides; without a reason nobody here wants to know."""
        pending = self._pending.pop(askid)
        self._send(pending.member, wire.AskOver(askid))
        if reason:
            self._tell(pending.token, reason)

    def _tell(self, token: int, reason: str) -> None:
        self.out.add(fx.Answered(token, False, reason.encode()))

    # --- others'

    def asked(self, sender: str, ask: wire.Ask, now: float) -> None:
        """A question to us; one for which there is no room is refused at once."""
        key = (sender, ask.askid)
        if key in self._served:
            self.out.count("asks repeated")
            return
        theirs = sum(member == sender for member, _ in self._served)
        if theirs >= MAX_SERVED_EACH or len(self._served) >= MAX_SERVED:
            reason = f"{len(self._served)} asks wait here, {theirs} of yours: ask again later"
            self._send(sender, wire.Answer(ask.askid, False, reason.encode()))
            return
        due = now + ask.timeout_s + LATE_S
        self._served[key] = _Answering(sender, due, ask.askid >> 32)
        self._wake_by(due)
        self.out.add(fx.Asked(sender, ask.askid, ask.kind, ask.payload))

    def tell(self, item: fx.Telling, now: float) -> None:
        """A part of our answer, if somebody still waits for it."""
        served = self._served.get((item.member, item.askid))
        if served is None:
            self.out.count("answers unwanted")
        elif served.add(item.payload):
            part = wire.AnswerPart(item.askid, served.parts - 1, item.payload)
            self._send(item.member, part)
        else:
            reason = f"an answer of over {MAX_PARTS} parts or {MAX_PART_BYTES} bytes: broken off"
            self._send(item.member, wire.Answer(item.askid, False, reason.encode()))
            self._end(item.member, item.askid)

    def reply(self, item: fx.Replying, now: float) -> None:
        """The end of our answer, if somebody still waits for it."""
        if self._served.pop((item.member, item.askid), None) is None:
            self.out.count("answers unwanted")
        else:
            self._send(item.member, wire.Answer(item.askid, item.ok, item.payload))

    def over(self, sender: str, frame: wire.AskOver, now: float) -> None:
        """The asker waits no more."""
        if (sender, frame.askid) in self._served:
            self._end(sender, frame.askid)

    def _end(self, member: str, askid: int) -> None:
        del self._served[member, askid]
        self.out.add(fx.AskEnded(member, askid))

    # --- both

    def fired(self, now: float) -> None:
        """End what is due."""
        for askid in [a for a, each in self._pending.items() if each.due <= now]:
            member = self._pending[askid].member
            self._over(askid, f"{member} did not answer in time: is it alive?")
        for key in [k for k, each in self._served.items() if each.due <= now]:
            self._end(*key)
        self._wake = math.inf
        waiting = [*self._pending.values(), *self._served.values()]
        if waiting:
            self._wake_by(min(each.due for each in waiting))

    def lost(self, member: str) -> None:
        """That member died or left: what is asked between us ends now."""
        for askid in [a for a, each in self._pending.items() if each.member == member]:
            self._tell(self._pending.pop(askid).token, f"{member} is gone: ask another")
        for key in [each for each in self._served if each[0] == member]:
            self._end(*key)

    def met(self, member: str, boot: int) -> None:
        """That member lives, in that boot: it knows nothing of what was asked before."""
        for askid, each in list(self._pending.items()):
            if each.member == member and each.boot != boot:
                self._over(askid, f"{member} began anew: ask again")
        for key, each in list(self._served.items()):
            if key[0] == member and each.boot != boot % BOOTS:
                self._end(*key)

    def _wake_by(self, at: float) -> None:
        if at < self._wake:
            self._wake = at
            self.out.add(fx.SetTimer("asks", at))

    def _send(self, member: str, frame: Any) -> None:
        self.m.send(member, frame, reliable=True)
