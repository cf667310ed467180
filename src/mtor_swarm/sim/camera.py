"""The units' cameras: one thread takes the pictures that somebody looks at, in fair turns."""

from __future__ import annotations

import contextlib
import math
import os
import threading
import time
from collections.abc import Callable, Collection

import cv2
import numpy as np
from numpy.typing import NDArray

from mtor_swarm.sim.compile import Compiled
from mtor_swarm.sim.eyes import Eye, make_eye
from mtor_swarm.sim.world import Camera

JPEG_QUALITY = 85
NICE = 5
"""The render thread gives way to physics and to everything that drives."""
BUDGET_HZ = 120.0
"""Pictures a second that all units together get at most."""

Deliver = Callable[[str, float, bytes], None]
"""Told unit, simulated seconds and JPEG, in the render thread."""


class Rota:
    """Pure: whose turn it is. The one who waited longest is next, each at most at `hz`."""

    def __init__(self, hz: float, budget_hz: float = BUDGET_HZ) -> None:
        self._hz = hz
        self._budget_hz = budget_hz
        self._last: dict[str, float] = {}

    def next(self, wanted: Collection[str], now: float) -> tuple[str, float]:
        """The next unit and how many seconds until its turn; "" and inf if none is wanted."""
        if not wanted:
            return "", math.inf
        unit = min(wanted, key=lambda each: (self._last.get(each, -math.inf), each))
        period = max(1 / self._hz, len(wanted) / self._budget_hz)
        return unit, max(0.0, self._last.get(unit, -math.inf) + period - now)

    def took(self, unit: str, now: float) -> None:
        """The unit has had its turn."""
        self._last[unit] = now


class Cameras:
    """Renders in a thread of its own, from the newest positions that it was offered.

    `about` tells how pictures are made, once that is known; `taken` counts them; `fault` says what
    ended the thread, if anything did.
    """

    def __init__(
        self, compiled: Compiled, deliver: Deliver, *, hz: float, ray_cast: bool = False
    ) -> None:
        """`hz`: pictures a second of each unit; the first camera of a unit counts."""
        self.about = ""
        self.fault = ""
        self.taken = 0
        self._compiled = compiled
        self._deliver = deliver
        self._ray_cast = ray_cast
        self._rota = Rota(hz)
        self._cameras: dict[str, Camera] = {}
        for model in compiled.world.units:
            for _, sensor in model.sensors():
                if isinstance(sensor, Camera):
                    self._cameras.setdefault(model.name, sensor)
        self._wanted: frozenset[str] = frozenset()
        self._now: tuple[float, NDArray[np.float64]] = (0.0, compiled.model.qpos0.copy())
        self._wake = threading.Condition()
        self._ending = False
        self._thread = threading.Thread(target=self._run, name="cameras", daemon=True)

    @property
    def units(self) -> dict[str, Camera]:
        """The units that have a camera."""
        return self._cameras

    def start(self) -> None:
        """Begin to take pictures."""
        self._thread.start()

    def close(self) -> None:
        """End the thread; waits for the picture that is being taken."""
        with self._wake:
            self._ending = True
            self._wake.notify()
        self.join(5.0)

    def join(self, timeout_s: float) -> None:
        """Wait for the thread's end, if it was started."""
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def want(self, units: Collection[str]) -> None:
        """Whose pictures somebody looks at from now on."""
        with self._wake:
            self._wanted = frozenset(units) & self._cameras.keys()
            self._wake.notify()

    def offer(self, time_s: float, qpos: NDArray[np.float64]) -> None:
        """The newest positions; the array is kept, so hand in a copy."""
        self._now = (time_s, qpos)

    def _run(self) -> None:
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
        try:
            eye, self.about = make_eye(self._compiled, ray_cast=self._ray_cast)
            try:
                while self._wait():
                    self._take(eye)
            finally:
                eye.close()
        except Exception as error:  # the sim goes on without pictures, and says so
            self.fault = f"the cameras stopped: {error.__class__.__name__}: {error}"

    def _wait(self) -> bool:
        """Wait for somebody's turn; False at the end."""
        with self._wake:
            while not self._ending:
                _, wait_s = self._rota.next(self._wanted, time.monotonic())
                if wait_s <= 0:
                    return True
                self._wake.wait(None if math.isinf(wait_s) else wait_s)
        return False

    def _take(self, eye: Eye) -> None:
        begun = time.monotonic()
        unit, _ = self._rota.next(self._wanted, begun)
        if not unit:
            return
        self._rota.took(unit, begun)
        time_s, qpos = self._now
        picture = eye.see(qpos, unit, self._cameras[unit])
        done, jpeg = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        if done:
            self._deliver(unit, time_s, jpeg.tobytes())
            self.taken += 1
