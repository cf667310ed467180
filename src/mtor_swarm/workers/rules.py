"""The worker that does what a file of rules says: kind `rules`, docs/rules.md.

It hears all events of the realm, knows this unit's state and its neighbours', asks the realm's
workers, and says events. The machine behind it is `realm/rules`.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from std_msgs.msg import String

from mtor_swarm import events, paths
from mtor_swarm.config import RealmConfig
from mtor_swarm.errors import AskError, ConfigError
from mtor_swarm.events import Event, MemberChanged, UnitState
from mtor_swarm.realm import rules_file
from mtor_swarm.realm.ask_client import AskClient
from mtor_swarm.realm.ask_wire import Answer
from mtor_swarm.realm.bus import ALL, EVENT_QOS, STATE_QOS
from mtor_swarm.realm.parameters import Setting
from mtor_swarm.realm.rules import Rules
from mtor_swarm.realm.rules_io import (
    Announce,
    Answered,
    AskFor,
    Effect,
    Emit,
    Heard,
    Input,
    Known,
    Tick,
    emitted,
)
from mtor_swarm.realm.worker import Worker

NEVER_S = 1e9
GONE = {"dead", "left"}


def rules_path(name: str) -> Path:
    """A file of rules: one of those shipped by its name, or a path to one of your own."""
    path, known = paths.named("rules", name)
    if path is None:
        raise ConfigError(f"rules {name!r} are not shipped here ({known}), nor a path to a file")
    return path


class RulesWorker(Worker):
    """Takes the steps of rules. `counts` has the `junk` that arrived on its topics."""

    parameters = (Setting("file", "", "the rules: the name of one in config/rules/, or a path"),)

    def __init__(self, *, name: str, config: RealmConfig) -> None:
        super().__init__(name=name, config=config)
        self._asks = AskClient(self, self.source)
        self._rules: Rules | None = None
        self._lock = threading.RLock()
        self._armed_s: float | None = None
        self._timer = self.create_timer(NEVER_S, self._on_time)
        self._timer.cancel()

    def load(self) -> None:
        """Read the rules, and listen; ConfigError names file, line and key of a mistake."""
        self._rules = Rules(rules_file.load(rules_path(self.value("file"))), self.config.unit)
        self.on(ALL, self._on_event)
        self.hear(String, "state", self._on_own, STATE_QOS)
        self.hear(String, "neighbours", self._on_neighbour, EVENT_QOS)

    def unload(self) -> None:
        """Forget what is under way: answers that come later are nobody's."""
        with self._lock:
            self._rules = None
            self._arm(None)

    def destroy_node(self) -> None:
        """End all asks, then the node."""
        self._asks.close()
        super().destroy_node()

    def measures(self) -> Mapping[str, float]:
        """What became of the rules: fired, failed, limited and the like."""
        rules = self._rules
        return dict(rules.counts) if rules else {}

    # What comes in.

    def _on_event(self, event: Event) -> None:
        if event.type == "mtor.member.changed":
            member = events.payload(event, MemberChanged)
            gone = member.state in GONE
            self._take(Known(("members", member.unit), None if gone else member.state))
            if gone:
                self._take(Known(("units", member.unit), None))
        self._take(Heard(event))

    def _on_own(self, message: String) -> None:
        self._learn(message, own=True)

    def _on_neighbour(self, message: String) -> None:
        self._learn(message, own=False)

    def _learn(self, message: String, *, own: bool) -> None:
        try:
            state = msgspec.json.decode(message.data, type=UnitState)
        except (msgspec.DecodeError, UnicodeError):
            self.counts["junk"] += 1
            return
        path = ("own",) if own else ("units", state.unit)
        self._take(Known(path, msgspec.to_builtins(state)))

    def _on_time(self) -> None:
        with self._lock:
            self._arm(None)  # it would come again and again
            self._take(Tick())

    def _answered(self, call: int, answer: Answer) -> None:
        self._take(Answered(call, answer.ok, value_of(answer), answer.reason))

    # What is done.

    def _take(self, given: Input) -> None:
        """Hand it to the rules, and do what they say. From any thread."""
        with self._lock:
            waiting = deque([given])
            while waiting and self._rules is not None:
                for effect in self._rules.handle(waiting.popleft(), self._now_s()):
                    follows = self._do(effect)
                    if follows is not None:
                        waiting.append(follows)
            if self._rules is not None:
                self._arm(self._rules.next_s)

    def _do(self, effect: Effect) -> Input | None:
        """Carry it out; what the rules should hear of it at once."""
        if isinstance(effect, AskFor):
            return self._ask(effect)
        if isinstance(effect, Announce):
            return self._announce(effect)
        if isinstance(effect, Emit):
            event = emitted(
                effect,
                id=os.urandom(16).hex(),
                source=self.source,
                unit=self.config.unit,
                wall_s=time.time(),
            )
            self.bus.publish(event)
            return Heard(event)
        self.say(effect.data)
        return None

    def _ask(self, effect: AskFor) -> Input | None:
        try:
            asking = self._asks.ask(
                effect.capability,
                effect.payload,
                kind=effect.kind,
                timeout_s=effect.timeout_s,
                options=effect.options,
            )
        except AskError as error:
            return Answered(effect.call, ok=False, reason=str(error))
        asking.add_done_callback(lambda done: self._answered(effect.call, done.result()))
        return None

    def _announce(self, effect: Announce) -> Input | None:
        """Ask the gossip worker to have the swarm do it, under an id of its own if it has none."""
        task = {"id": os.urandom(8).hex(), **effect.task}
        return self._ask(
            AskFor(
                call=effect.call,
                rule=effect.rule,
                capability="announce",
                payload=msgspec.json.encode(task),
            )
        )

    def _now_s(self) -> float:
        now_s: float = self.get_clock().now().nanoseconds / 1e9
        return now_s

    def _arm(self, at_s: float | None) -> None:
        """Be woken then. One timer serves always: to destroy one that may be turning is unsafe."""
        if at_s == self._armed_s:
            return
        self._armed_s = at_s
        self._timer.cancel()
        if at_s is not None:
            self._timer.timer_period_ns = int(max(at_s - self._now_s(), 0.001) * 1e9)
            self._timer.reset()


def value_of(answer: Answer) -> Any:
    """An answer as rules see it: JSON's value, a text, or of other bytes how many they are."""
    try:
        if answer.kind == "application/json" and answer.payload:
            return msgspec.json.decode(answer.payload)
        if answer.kind.startswith("text/"):
            return answer.payload.decode()
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    return {"kind": answer.kind, "bytes": len(answer.payload)}
