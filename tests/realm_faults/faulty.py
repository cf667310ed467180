"""Workers with a fault each, as a third party's package may have them."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

from mtor_swarm.events import Event, UnitChanged
from mtor_swarm.realm.ask_wire import Ask
from mtor_swarm.realm.capability import Capability
from mtor_swarm.realm.worker import Worker

HELD: list[bytes] = []


def sleep_for_ever() -> None:
    while True:
        time.sleep(1)


class Echo(Worker):
    """Answers what it is asked, and does what a `mtor.unit.changed` of another tells it."""

    capabilities = (Capability("echo", concurrency=4),)

    def load(self) -> None:
        self.greeted = False
        self.on("mtor.unit.changed", self.told)

    def told(self, event: Event) -> None:
        worker, _, what = event.data["doing"].partition(" ")
        if worker == self.get_name():
            getattr(self, f"do_{what}")()

    def do_greet(self) -> None:
        self.greeted = True

    def do_raise(self) -> None:
        raise LookupError("this handler is broken")

    def do_block(self) -> None:
        sleep_for_ever()

    def do_crash(self) -> None:
        os.kill(os.getpid(), signal.SIGSEGV)

    def do_stand_still(self) -> None:
        os.kill(os.getpid(), signal.SIGSTOP)

    def do_leak(self) -> None:
        HELD.append(os.urandom(1024) * 300 * 1024)

    def do_flood(self) -> None:
        threading.Thread(target=self._flood, daemon=True).start()

    def _flood(self) -> None:
        while True:
            self.say(UnitChanged(doing="nothing to say", was=""))

    def answer(self, ask: Ask, tell):
        if ask.payload == b"wrong type":
            return object()
        if ask.payload == b"greeted?":
            return "yes" if self.greeted else "no"
        if ask.payload == b"raise":
            raise LookupError("this answer is broken")
        if ask.payload == b"crash":
            self.do_crash()
        if ask.payload == b"hold":
            ask.cancelled.wait(ask.left_s)
        if ask.payload.startswith(b"slow"):
            time.sleep(1.0)
        return "text/plain", ask.payload + b" by " + self.get_name().encode()


class Broken(Worker):
    """Cannot be loaded until somebody mends it."""

    def load(self) -> None:
        if not Path(self.config.state_dir, "mended").exists():
            raise RuntimeError("the file of the model is truncated")


class Stuck(Worker):
    """Is never done with loading."""

    def load(self) -> None:
        sleep_for_ever()


class Clinging(Echo):
    """Cannot be unloaded."""

    def unload(self) -> None:
        raise RuntimeError("it will not go")


KINDS = {each.__name__.lower(): each.__name__ for each in (Echo, Broken, Stuck, Clinging)}
