"""An event of 1 KiB from worker to worker, beside a bare rclpy publisher and subscription.

Both pairs share two processes and take turns, so that they have the same conditions.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time

import rclpy
from rclpy.experimental import EventsExecutor
from std_msgs.msg import String

from benchmarks.realms.kinds import TICK, Listener, Tick
from mtor_swarm.config import RealmConfig
from mtor_swarm.realm.bus import EVENT_QOS
from mtor_swarm.realm.host import GIL_S
from mtor_swarm.realm.worker import Worker

BARE = "bare"
SIZE_BYTES = 1024
GAP_S = 0.004
WARM = 20
"""The first of each pair are not counted."""
MOST_S = 60.0
CONFIG = RealmConfig(unit="bench")


def measure(count: int) -> dict[str, list[int]]:
    """Nanoseconds under way, of `count` events through the bus and of as many bare messages."""
    listener = subprocess.Popen(
        [sys.executable, "-m", __name__, str(count)], stdout=subprocess.PIPE, text=True
    )
    try:
        rclpy.init()
        _speak(count)
        said, _ = listener.communicate(timeout=MOST_S)
    finally:
        listener.kill()
        rclpy.try_shutdown()
    found: dict[str, list[int]] = json.loads(said)
    return {name: took[WARM:] for name, took in found.items()}


def _speak(count: int) -> None:
    worker = Worker(name="speaker", config=CONFIG)
    bare = worker.create_publisher(String, BARE, EVENT_QOS)
    end_s = time.monotonic() + MOST_S
    while worker.count_subscribers("events") < 1 or bare.get_subscription_count() < 1:
        if time.monotonic() > end_s:
            raise RuntimeError("the listener was not found")
        time.sleep(0.05)
    time.sleep(1.0)  # until its side has found ours as well
    for _ in range(WARM + count):
        worker.say(Tick(time.monotonic_ns()), type=TICK)
        time.sleep(GAP_S)
        bare.publish(String(data=f"{time.monotonic_ns():020d}".ljust(SIZE_BYTES, "x")))
        time.sleep(GAP_S)
    worker.destroy_node()


def _listen(count: int) -> None:
    sys.setswitchinterval(GIL_S)
    rclpy.init()
    worker = Listener(name="listener", config=CONFIG)
    worker.trigger_configure()
    worker.trigger_activate()
    bare_ns: list[int] = []
    worker.create_subscription(
        String,
        BARE,
        lambda message: bare_ns.append(time.monotonic_ns() - int(message.data[:20])),
        EVENT_QOS,
    )
    executor = EventsExecutor()
    executor.add_node(worker)
    end_s = time.monotonic() + MOST_S
    while min(len(worker.took_ns), len(bare_ns)) < WARM + count and time.monotonic() < end_s:
        executor.spin_once(timeout_sec=0.2)
    print(json.dumps({"bus": worker.took_ns, BARE: bare_ns}), flush=True)
    worker.destroy_node()
    rclpy.try_shutdown()


if __name__ == "__main__":
    _listen(int(sys.argv[1]))
