"""Asks as futures: ours to others, and others' to us. Cancelling one ends it on both sides."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from functools import partial

from mtor_swarm.errors import SwarmError
from mtor_swarm.events import COMMAND
from mtor_swarm.swarm.gossip import effects as fx
from mtor_swarm.swarm.gossip.wire import MAX_FRAME_BYTES

ASK_ROOM = 1024
"""What a frame holds beside the payload."""

Tell = Callable[[bytes], None]
"""Takes a part of an answer; from any thread. SwarmError if it is too large, or too many wait."""
OnAsk = Callable[[str, str, bytes, Tell], bytes | Future[bytes]]
"""(member, kind, payload, tell) → the answer; it raises SwarmError to refuse.

It must be quick. Who needs longer, or tells parts, gives a future: it is cancelled when nobody
waits for it any more, if it does not run by then (`set_running_or_notify_cancel`).
"""


class Exchange:
    """The asks of one member that are under way. All but `ask` is the swarm's thread's."""

    def __init__(
        self, put: Callable[[fx.Input, int], None], on_ask: OnAsk, log: Callable[[str], None]
    ) -> None:
        """`put` hands the machine an input, from any thread; SwarmError if there is no room."""
        self._put = put
        self._on_ask = on_ask
        self._log = log
        self._tokens = itertools.count()
        self._ours: dict[int, tuple[Future[bytes], Tell | None]] = {}
        self._theirs: dict[tuple[str, int], Future[bytes]] = {}

    def ask(
        self, member: str, kind: str, payload: bytes, timeout_s: float, on_part: Tell | None
    ) -> Future[bytes]:
        """Ask that member; from any thread."""
        future: Future[bytes] = Future()
        if len(payload) + ASK_ROOM > MAX_FRAME_BYTES:
            future.set_exception(SwarmError(f"{kind}: {len(payload)} bytes are too many to ask"))
            return future
        token = next(self._tokens)
        self._ours[token] = (future, on_part)
        future.add_done_callback(partial(self._abandon, token))
        try:
            self._put(fx.Asking(token, member, kind, payload, timeout_s), COMMAND)
        except SwarmError as error:
            _settle(future, None, str(error))
        return future

    def _abandon(self, token: int, done: Future[bytes]) -> None:
        """However it ended, it is over here; if its owner gave up on it, elsewhere too."""
        self._ours.pop(token, None)
        if done.cancelled():
            with contextlib.suppress(SwarmError):  # we have left: so everybody knows
                self._put(fx.Abandoning(token), COMMAND)

    def part(self, heard: fx.PartHeard) -> None:
        """A part of an answer."""
        _, on_part = self._ours.get(heard.token, (None, None))
        if on_part is not None:
            on_part(heard.payload)

    def answered(self, answer: fx.Answered) -> None:
        """The end of an answer."""
        future, _ = self._ours.get(answer.token, (None, None))
        if future is not None:
            text = "" if answer.ok else answer.payload.decode(errors="replace")
            _settle(future, answer.payload if answer.ok else None, text)

    def asked(self, asked: fx.Asked) -> None:
        """A question to us."""
        key = (asked.member, asked.askid)
        try:
            tell = partial(self._tell, *key)
            answer = self._on_ask(asked.member, asked.kind, asked.payload, tell)
        except Exception as error:
            if not isinstance(error, SwarmError):  # a defect of its owner, told and survived
                self._log(f"swarm: an ask failed: {type(error).__name__}: {error}")
            self.reply(*key, False, str(error).encode())
            return
        if isinstance(answer, Future):
            self._theirs[key] = answer
            answer.add_done_callback(partial(self._answer, *key))
        else:
            self.reply(*key, True, answer)

    def _tell(self, member: str, askid: int, payload: bytes) -> None:
        if len(payload) + ASK_ROOM > MAX_FRAME_BYTES:
            raise SwarmError(f"a part of an answer has {len(payload)} bytes, too many")
        self._put(fx.Telling(member, askid, payload), COMMAND)

    def _answer(self, member: str, askid: int, done: Future[bytes]) -> None:
        if self._theirs.pop((member, askid), None) is None:
            return  # nobody waits for it
        if done.cancelled():
            self.reply(member, askid, False, b"it was cancelled")
        elif (error := done.exception()) is not None:
            self.reply(member, askid, False, str(error).encode())
        else:
            self.reply(member, askid, True, done.result())

    def reply(self, member: str, askid: int, ok: bool, payload: bytes) -> None:
        """Answer a question to us; from any thread."""
        if len(payload) + ASK_ROOM > MAX_FRAME_BYTES:
            ok, payload = False, f"the answer has {len(payload)} bytes, too many".encode()
        try:
            self._put(fx.Replying(member, askid, ok, payload), COMMAND)
        except SwarmError as refusal:
            self._log(f"swarm: an answer to {member} was dropped: {refusal}")

    def ended(self, ended: fx.AskEnded) -> None:
        """Nobody waits any more for our answer to that."""
        future = self._theirs.pop((ended.member, ended.askid), None)
        if future is not None:
            future.cancel()

    def close(self) -> None:
        """We have left: nothing is answered any more, on either side."""
        for future, _ in tuple(self._ours.values()):
            _settle(future, None, "this member has left the swarm")
        for key in tuple(self._theirs):
            self.ended(fx.AskEnded(*key))


def _settle(future: Future[bytes], payload: bytes | None, reason: str) -> None:
    try:
        if payload is None:
            future.set_exception(SwarmError(reason))
        else:
            future.set_result(payload)
    except InvalidStateError:
        pass  # its owner gave up on it
