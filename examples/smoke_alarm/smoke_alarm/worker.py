"""The worker: pictures of the camera in, an event out when smoke rises; others may ask it too."""

from __future__ import annotations

import time
from collections.abc import Callable

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import CompressedImage

from mtor_swarm.errors import AskError
from mtor_swarm.realm.answering import Question
from mtor_swarm.realm.bus import SENSOR_QOS
from mtor_swarm.realm.capability import Capability, Reply
from mtor_swarm.realm.parameters import Setting
from mtor_swarm.realm.worker import Worker
from smoke_alarm.smoke import Watch, share


class SmokeSeen(msgspec.Struct, frozen=True, kw_only=True):
    """Smoke rises before a unit: its share of the picture now, and what is usual."""

    share: float
    usual: float


class SmokeAlarm(Worker):
    """Says `smoke.seen` to the whole swarm; answers `smoke` about any JPEG or PNG."""

    parameters = (
        Setting("rise", 0.1, "above the usual share of smoke", least=0.01, most=1, live=True),
        Setting("pictures", 3, "on end that show it before it rings", least=1, live=True),
        Setting("every_s", 0.5, "between the pictures looked at (s)", least=0, live=True),
    )
    capabilities = (Capability("smoke", concurrency=2),)

    def load(self) -> None:
        """Listen to the camera."""
        self._watch = Watch()
        self._next_s = 0.0
        self.hear(CompressedImage, "camera/image/compressed", self._on_picture, SENSOR_QOS)

    def _on_picture(self, message: CompressedImage) -> None:
        now = time.monotonic()
        if now < self._next_s:
            return
        self._next_s = now + self.value("every_s")
        picture = decoded(bytes(message.data))
        if picture is None:
            self.counts["broken"] += 1
            return
        found = share(picture)
        if self._watch.look(found, self.value("rise"), self.value("pictures")):
            usual = self._watch.usual or 0.0
            self.get_logger().warning(f"smoke: {found:.0%} of the picture, {usual:.0%} is usual")
            self.say(SmokeSeen(share=found, usual=usual), type="smoke.seen", scope="swarm")

    def answer(self, ask: Question, tell: Callable[[bytes | str], None]) -> Reply:
        """The share of smoke in the picture that was sent."""
        picture = decoded(ask.payload)
        if picture is None:
            raise AskError("that is no picture: send a JPEG or PNG")
        return {"share": round(share(picture), 3)}


def decoded(raw: bytes) -> NDArray[np.uint8] | None:
    """The picture in these bytes, shape (height, width, 3), or None if there is none."""
    return cv2.imdecode(np.frombuffer(raw, np.uint8), cv2.IMREAD_COLOR) if raw else None
