"""Loans: a realm's asks to the swarm's other realms, and theirs and people's to its workers.

What one realm lends another: an ask that nobody here can take soon goes to a peer (`realm/lending`
says which), over the swarm's links; so does the answer, in parts if it is streamed. The peer's
orchestrator treats it as any ask, but after its own. A unit may ask for what is lent; a person,
who with keys must be vouched for by an operator or sysop, for all that a unit can do or borrow.
"""

from __future__ import annotations

import hashlib
import random
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, InvalidStateError
from functools import partial
from typing import TYPE_CHECKING

from msgspec.structs import replace

from mtor_swarm import events
from mtor_swarm.errors import AskError, SwarmError
from mtor_swarm.realm import ask_wire, lending
from mtor_swarm.realm.ask_wire import Answer, Ask, Cancel, Part, Status
from mtor_swarm.realm.tracing import lent
from mtor_swarm.swarm.driver import SwarmDriver
from mtor_swarm.swarm.gossip.membership import MemberInfo

if TYPE_CHECKING:
    from mtor_swarm.realm.ask_client import AskClient
    from mtor_swarm.realm.ask_desk import AskDesk

MAX_LENT = 192
"""Asks of others that are in this realm at a time; of more the gossip itself would lose some."""
BUSY_S = 0.5
"""When to come back, if there are more."""
HandOver = Callable[[int, Callable[[], None]], None]
Said = Answer | Part | Status


class Loans:
    """What one realm borrows and lends. From any thread, but for `asked`: the swarm's."""

    def __init__(
        self,
        unit: str,
        client: AskClient,
        hand_over: HandOver,
        count: Callable[[str, str], None],
        rng: random.Random | None = None,
    ) -> None:
        """`hand_over(priority, work)` has work done on a thread that may wait for ROS.

        `count(what, line)` counts and logs what went wrong.
        """
        self.offers: dict[str, float] = {}
        """What is lent just now, and how long an ask would wait (s), as beacons tell it."""
        self._unit = unit
        self._client = client
        self._hand_over = hand_over
        self._count = count
        self._rng = rng or random.Random()
        self._lending = lending.Lending(self._rng)
        self._lock = threading.Lock()
        self._driver: SwarmDriver | None = None
        self._desk: AskDesk | None = None
        self._borrowed: dict[str, Future[bytes]] = {}
        self._lent: set[Future[bytes]] = set()
        self._on_offers: Callable[[], None] = lambda: None

    def join(self, desk: AskDesk, on_offers: Callable[[], None]) -> None:
        """Borrow and lend for the realm of this desk; `on_offers` is called when offers change."""
        self._desk, self._on_offers = desk, on_offers
        desk.borrower, desk.unborrow, desk.on_change = self.borrow, self.unborrow, self._look

    def start(self, driver: SwarmDriver) -> None:
        """We are in the swarm from now on."""
        with self._lock:
            self._lending = lending.Lending(self._rng)
        self._driver = driver

    def stop(self) -> None:
        """We leave it; the driver ends what is under way."""
        self._driver = None

    def _look(self) -> None:
        """See what is lent now; on the desk's executor."""
        assert self._desk is not None
        offers = lending.offered(self._desk.offers())
        if offers != self.offers:
            self.offers = offers
            self._on_offers()

    # --- what peers have

    def heard(self, member: str, unit: str, offers: Mapping[str, float]) -> None:
        """A unit's beacon says what it lends."""
        with self._lock:
            self._lending.heard(member, unit, offers)

    def gone(self, member: str) -> None:
        """That member is dead or has left."""
        with self._lock:
            self._lending.gone(member)

    def borrow(self, ask: Ask, tell: Callable[[Said], None]) -> bool | None:
        """Ask a peer, and tell what comes of it.

        False: none is worth asking; None: none of those that lend it has room just now.
        """
        driver, desk = self._driver, self._desk
        if driver is None or desk is None:
            return False
        own_wait_s = desk.expected_wait_s(ask.capability)
        with self._lock:
            now = time.monotonic()
            loan = self._lending.lend(ask, own_wait_s, driver.loss, now)
            full = loan is None and self._lending.is_full(ask, now)
        if loan is None:
            return None if full else False
        tell(Status(askid=ask.askid, state="borrowed", worker=loan.unit))
        raw = ask_wire.encode(replace(ask, turn=0))
        part = partial(self._part, loan, tell)
        future = driver.ask(loan.member, ask_wire.BETWEEN_REALMS, raw, ask.timeout_s, part)
        self._borrowed[ask.askid] = future
        future.add_done_callback(partial(self._returned, loan, tell))
        return True

    def unborrow(self, cancel: Cancel) -> None:
        """The answer to a borrowed ask is not wanted any more."""
        future = self._borrowed.pop(cancel.askid, None)
        if future is not None:
            future.cancel()

    def _part(self, loan: lending.Loan, tell: Callable[[Said], None], raw: bytes) -> None:
        try:
            said = _said_of(raw, loan.askid)
        except AskError as error:
            self._count("junk", f"{loan.unit}: {error}")
            return
        if isinstance(said, Part):
            tell(said)

    def _returned(
        self, loan: lending.Loan, tell: Callable[[Said], None], done: Future[bytes]
    ) -> None:
        if self._borrowed.get(loan.askid) is done:
            del self._borrowed[loan.askid]
        answer = _answer_of(loan, done)
        with self._lock:
            self._lending.ended(loan, answer, time.monotonic())
        if not done.cancelled():
            tell(answer)

    # --- what they ask

    def asked(
        self, member: str, info: MemberInfo | None, raw: bytes, tell: Callable[[bytes], None]
    ) -> Future[bytes]:
        """A peer or a person asks; SwarmError if they may not, or it is no ask."""
        driver = self._driver
        refusal = driver.may_ask(member) if driver else f"{self._unit} leaves the swarm"
        if refusal:
            raise SwarmError(f"{self._unit} refuses to answer: {refusal}")
        said = ask_wire.decode(raw)
        if not isinstance(said, Ask):
            raise AskError(f"{type(said).__name__} where an ask was expected")
        person = info is not None and info.role == "observer"
        ask = replace(
            said,
            askid=_id_here(member, said.askid),
            caller=f"/{info.unit if info else member}"[:64],
            hops=0 if person else 1,
            turn=0,
        )
        future: Future[bytes] = Future()
        if len(self._lent) >= MAX_LENT:
            reason = f"{self._unit} has {MAX_LENT} asks of others already"
            busy = Answer(
                askid=said.askid, ok=False, reason=reason, retryable=True, retry_s=BUSY_S
            )
            future.set_result(ask_wire.encode(busy))
            return future
        self._lent.add(future)
        future.add_done_callback(self._lent.discard)
        self._hand_over(events.NOTICE, lambda: self._put(said.askid, ask, tell, future))
        return future

    def _put(
        self, theirs: str, ask: Ask, tell: Callable[[bytes], None], future: Future[bytes]
    ) -> None:
        """Ask our own realm, for one who calls it `theirs` and is cancelled with the future."""

        def on(said: Part | Status) -> None:
            try:
                tell(ask_wire.encode(replace(said, askid=theirs)))
            except SwarmError as error:  # an answer with a hole in it is none
                _settle(future, error=error)
                self._client.cancel(ask.askid, str(error)[:1024])

        def answered(done: Future[Answer]) -> None:
            try:
                _settle(future, ask_wire.encode(replace(done.result(), askid=theirs)))
            except AskError as error:
                _settle(future, error=error)

        def given_up(done: Future[bytes]) -> None:
            if done.cancelled():
                self._hand_over(events.NOTICE, lambda: self._client.cancel(ask.askid))

        try:
            asking = self._client.put(ask, on_part=on, on_status=None if ask.hops else on)
        except AskError as error:
            _settle(future, error=error)
            return
        asking.add_done_callback(answered)
        future.add_done_callback(given_up)


def _id_here(member: str, askid: str) -> str:
    """An id in our realm for a member's ask: half of it its own, to be found in logs.

    Whoever knows the id of another's ask (a lender does) could else hear its answer, or cancel it.
    """
    half = len(askid) // 2
    own = hashlib.blake2b(f"{member} {askid}".encode(), digest_size=half // 2).hexdigest()
    return askid[:half] + own


def _said_of(raw: bytes, askid: str) -> ask_wire.Said:
    said = ask_wire.decode(raw)
    if getattr(said, "askid", "") != askid:
        raise AskError(f"{type(said).__name__} where word of the ask {askid} was expected")
    return said


def _answer_of(loan: lending.Loan, done: Future[bytes]) -> Answer:
    """A peer's answer, as it is told here; whatever went wrong at the peer, another may do."""
    try:
        if done.cancelled():
            return Answer(askid=loan.askid, ok=False, reason="cancelled")
        said = _said_of(done.result(), loan.askid)
        if not isinstance(said, Answer):
            raise AskError(f"{type(said).__name__} where an answer was expected")
    except SwarmError as error:
        reason = f"{loan.unit}: {error}"[:1024]
        return Answer(askid=loan.askid, ok=False, reason=reason, retryable=True)
    worker = f"{loan.unit}/{said.worker}"[:1024]
    return replace(said, worker=worker, steps=lent(said.steps, loan.unit))


def _settle(
    future: Future[bytes], payload: bytes = b"", *, error: SwarmError | None = None
) -> None:
    try:
        if error is None:
            future.set_result(payload)
        else:
            future.set_exception(error)
    except InvalidStateError:
        pass  # nobody waits for it any more
