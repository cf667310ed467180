"""Zenoh peers: gossip scouting from one seed, liveliness tokens as membership. No encryption."""

from __future__ import annotations

import json
import threading
import time

import zenoh
from link import Link, number_of, payload

link = Link()
config = zenoh.Config()
for key, value in {
    "mode": "peer",
    "listen/endpoints": [f"tcp/{link.ip()}:7447"],
    "connect/endpoints": [] if link.index == 0 else [f"tcp/{link.ip(0)}:7447"],
    "scouting/multicast/enabled": False,
    "scouting/gossip/enabled": True,
}.items():
    config.insert_json5(key, json.dumps(value))
link.wait_for_start()
session = zenoh.open(config)
alive: set[str] = set()
lock = threading.Lock()


def seen(sample: zenoh.Sample) -> None:
    at = time.monotonic()
    who = str(sample.key_expr).rsplit("/", 1)[1]
    with lock:
        if sample.kind == zenoh.SampleKind.PUT:
            alive.add(who)
        else:
            alive.discard(who)
            link.say("down", who=who, at=at)
        link.say("alive", count=len(alive), at=at)


watch = session.liveliness().declare_subscriber("live/*", seen, history=True)
token = session.liveliness().declare_token(f"live/{link.name}")
ears = session.declare_subscriber("ev", lambda s: link.got(number_of(s.payload.to_bytes())))
mouth = session.declare_publisher(
    "ev", congestion_control=zenoh.CongestionControl.BLOCK, express=True
)
while True:
    told = link.hear()
    if told["do"] == "publish":
        link.say("published", number=told["number"])
        mouth.put(payload(told["number"]))
    elif told["do"] == "flood":
        link.say("flooding")
        for number in range(told["count"], 0, -1):
            mouth.put(payload(told["first"] + number - 1))
