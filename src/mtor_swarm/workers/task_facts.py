"""Facts about tasks, between the swarm's shared state and the realm's decision."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping

import msgspec
from std_msgs.msg import String

from mtor_swarm.errors import AskError, SwarmError
from mtor_swarm.events import BULK
from mtor_swarm.realm.answering import Question
from mtor_swarm.realm.bus import EVENT_QOS
from mtor_swarm.realm.worker import Worker
from mtor_swarm.swarm import tasking
from mtor_swarm.swarm.driver import SwarmDriver
from mtor_swarm.swarm.gossip.membership import MemberInfo
from mtor_swarm.swarm.gossip.wire import Entry
from mtor_swarm.swarm.tasking import STATE
from mtor_swarm.swarm.tasks import allocator_io as io
from mtor_swarm.swarm.tasks.task import Task

MOST = 32
"""Facts in one message, each of 1 kB at most."""
Facts = list[tuple[str, str | None]]
"""What the topics `tasks/heard` and `tasks/told` carry as JSON: keys, each with its fact as JSON
text, or null where none stands any more."""


class TaskFacts:
    """The gossip worker's part in it.

    `carry` takes a priority, work for the thread that may wait for ROS, and the work's key.
    `members` are those that are known, by their ids. The worker's `counts` get `impostors`, facts
    that one unit wrote in another's name, `unshared` and `junk`.
    """

    def __init__(
        self,
        worker: Worker,
        carry: Callable[[int, Callable[[], None], str], None],
        members: Mapping[str, MemberInfo],
    ) -> None:
        self._worker, self._carry, self._members = worker, carry, members
        self._heard = worker.create_publisher(String, "tasks/heard", EVENT_QOS)
        self._driver: SwarmDriver | None = None
        self._lock = threading.Lock()
        self._keys: dict[str, None] = {}

    def load(self) -> None:
        """Listen to the decision."""
        self._worker.hear(String, "tasks/told", self._told, EVENT_QOS)

    def start(self, driver: SwarmDriver | None) -> None:
        """Use that driver from now on; None: none."""
        self._driver = driver

    def changed(self, name: str, key: str) -> None:
        """An item of a shared state changed; on the swarm's thread."""
        if name == STATE:
            with self._lock:
                self._keys[key] = None
            self._carry(BULK, self._tell, "tasks")

    def introduce(self) -> None:
        """Tell a decision that begins all there is; on the carrier's thread."""
        if self._driver is not None:
            with self._lock:
                self._keys.update((each.item, None) for each in self._driver.shared.entries(STATE))
            self._tell()

    def announce(self, ask: Question) -> dict[str, str]:
        """Have the swarm share out the task of an ask's JSON; AskError says why it cannot."""
        driver = self._driver
        if driver is None:
            raise AskError("announce: this unit is in no swarm now")
        unit = self._worker.config.unit
        try:
            task = msgspec.json.decode(ask.payload, type=Task)
            for each in tasking.say(driver.shared, unit, io.Announce((task,)), time.time()):
                self._worker.say(each)
        except (msgspec.DecodeError, UnicodeDecodeError, SwarmError) as error:
            raise AskError(f"announce: {error}") from None
        return {"task": task.id}

    def _tell(self) -> None:
        """Hand on what changed; of each key only what stands there now."""
        with self._lock:
            keys, self._keys = list(self._keys), {}
        driver = self._driver
        if driver is None:
            return
        found = [e for key in keys if (e := driver.shared.entry(STATE, key)) and self._is_so(e)]
        facts = [(each.item, None if each.gone else each.value.decode()) for each in found]
        for first in range(0, len(facts), MOST):
            text = msgspec.json.encode(facts[first : first + MOST]).decode()
            self._heard.publish(String(data=text))

    def _is_so(self, entry: Entry) -> bool:
        """Whether its writer may say it: bids and reports are each unit's own."""
        kind, _, name = entry.item.partition("/")
        writer = self._members.get(entry.origin)
        if entry.gone or kind not in ("row", "work") or writer is None:
            return True
        if writer.unit == name.rpartition("/")[2]:
            return True
        self._worker.counts["impostors"] += 1
        return False

    def _told(self, message: String) -> None:
        try:
            facts = msgspec.json.decode(message.data, type=Facts)
        except (msgspec.DecodeError, UnicodeError):
            self._worker.counts["junk"] += 1
            return
        for key, text in facts:
            self._share(key, text)

    def _share(self, key: str, text: str | None) -> None:
        if self._driver is None:
            return
        try:
            if text is None:
                self._driver.shared.remove(STATE, key)
            else:
                self._driver.shared.put(STATE, key, msgspec.Raw(text.encode()))
        except SwarmError:
            self._worker.counts["unshared"] += 1
