"""A member that only listens: the eyes of the viewer and of `mtor units|events|say`."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import msgspec

from mtor_swarm.config import SwarmConfig
from mtor_swarm.errors import SwarmError
from mtor_swarm.events import Event, UnitState
from mtor_swarm.ports import Radio
from mtor_swarm.swarm.driver import SwarmDriver
from mtor_swarm.swarm.exchange import Tell
from mtor_swarm.swarm.gossip.membership import MemberInfo
from mtor_swarm.swarm.identity import Identity
from mtor_swarm.swarm.picture import Picture
from mtor_swarm.swarm.sharing import SharedStates

Listener = Callable[[str, dict[str, Any]], None]


class Observer:
    """`ports.Swarm` over the gossip. With `swarm.keys` that folder's owner vouches for it."""

    def __init__(
        self,
        config: SwarmConfig,
        *,
        name: str = "observer",
        identity: Identity | None = None,
        radio: Radio | None = None,
    ) -> None:
        self._config = config
        self._picture = Picture()
        self._changed = threading.Condition()
        self._listeners: list[Listener] = []
        self._driver = SwarmDriver(
            config,
            identity or Identity.ephemeral(),
            unit=name,
            role="observer",
            on_event=self._on_event,
            on_member=self._on_member,
            on_beacon=self._on_beacon,
            on_ask=_refuse,
            on_shared=self._on_shared,
            radio=radio,
        )

    def start(self) -> None:
        """Join the swarm; keeps trying the seeds until one answers."""
        self._driver.start()

    def stop(self) -> None:
        """Leave the swarm."""
        self._driver.stop()

    @property
    def shared(self) -> SharedStates:
        """The swarm's shared states, to read and to write."""
        return self._driver.shared

    def snapshot(self) -> dict[str, Any]:
        """Units, members, the last events, the shared states and counters."""
        more = {"shared": self.shared.all(), "counters": self._driver.counters()}
        with self._changed:
            more["counters"].update(self._picture.dropped)
            return {**self._picture.snapshot(), **more}

    def listen(self, callback: Listener) -> Callable[[], None]:
        """Call back (kind, value) on every change; returns what ends it."""
        with self._changed:
            self._listeners.append(callback)

        def end() -> None:
            with self._changed:
                if callback in self._listeners:
                    self._listeners.remove(callback)

        return end

    def publish(self, event: Event) -> None:
        """Spread an event. It is in the picture at once; listeners hear others' events only."""
        self._driver.publish(event)
        with self._changed:
            self._picture.event(msgspec.structs.replace(event, origin=self._driver.member_id))

    def ask(
        self,
        unit: str,
        kind: str,
        payload: bytes,
        timeout_s: float,
        on_part: Tell | None = None,
    ) -> Future[bytes]:
        """Ask one unit's realm; see `SwarmDriver.ask`."""
        return self._driver.ask(unit, kind, payload, timeout_s, on_part)

    def wait_for_members(self, timeout_s: float, count: int = 1) -> None:
        """Wait until so many members are alive; SwarmError names the seeds that were silent."""
        with self._changed:
            if self._changed.wait_for(lambda: self._alive() >= count, timeout_s):
                return
        seeds = ", ".join(self._config.seeds) or "(no seeds given)"
        raise SwarmError(
            f"no member answers at {seeds}: is the swarm running, and is the address right?"
            if not self._alive()
            else f"only {self._alive()} of {count} members answer at {seeds}"
        )

    def _alive(self) -> int:
        return sum(1 for e in self._picture.members.values() if e["state"] == "alive")

    def _on_event(self, event: Event) -> None:
        with self._changed:
            changed = [("event", self._picture.event(event))]
        self._tell(changed)

    def _on_member(self, info: MemberInfo, was: str) -> None:
        with self._changed:
            changed = self._picture.member(info, time.time())
            self._changed.notify_all()
        self._tell(changed)

    def _on_beacon(self, member: str, state: UnitState) -> None:
        with self._changed:
            unit = self._picture.beacon(member, state, time.time())
        self._tell([("unit", unit)] if unit else [])

    def _on_shared(self, name: str, key: str) -> None:
        self._tell([("shared", {"id": name, "key": key})])

    def _tell(self, changed: list[tuple[str, dict[str, Any]]]) -> None:
        for kind, value in changed:
            for callback in list(self._listeners):
                callback(kind, dict(value))


def _refuse(member: str, kind: str, payload: bytes, tell: Tell) -> bytes:
    raise SwarmError(f"an observer answers no asks ({kind})")
