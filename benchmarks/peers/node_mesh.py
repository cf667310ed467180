"""The plain way: each binds one PUB and its SUB connects to all, whose addresses are given.

A heartbeat a second; three seconds of silence are death. No encryption, no repair.
"""

from __future__ import annotations

import time

import zmq
from link import Link, number_of, payload

BEAT_S, DEAD_S, BEGIN_S = 1.0, 3.0, 0.2
link = Link()
context = zmq.Context()
mouth, ears = context.socket(zmq.PUB), context.socket(zmq.SUB)
mouth.sndhwm = ears.rcvhwm = 10_000
mouth.bind(f"tcp://{link.ip()}:7946")
ears.subscribe(b"")
link.wait_for_start()
for other in range(link.number):
    if other != link.index:
        ears.connect(f"tcp://{link.ip(other)}:7946")
poller = zmq.Poller()
poller.register(ears, zmq.POLLIN)
poller.register(link.socket.fileno(), zmq.POLLIN)
heard: dict[int, float] = {}
alive: set[int] = set()
beat_at = time.monotonic()


def beat(now: float) -> float:
    mouth.send_multipart([b"beat", str(link.index).encode()])
    dead = {each for each in alive if now - heard[each] > DEAD_S}
    for each in dead:
        alive.discard(each)
        link.say("down", who=f"n{each}")
    if dead:
        link.say("alive", count=len(alive) + 1)
    return now + (BEAT_S if len(alive) == link.number - 1 else BEGIN_S)


def listen() -> None:
    while True:
        try:
            kind, body = ears.recv_multipart(zmq.NOBLOCK)
        except zmq.Again:
            return
        if kind == b"event":
            link.got(number_of(body))
            continue
        heard[int(body)] = time.monotonic()
        if int(body) not in alive:
            alive.add(int(body))
            link.say("alive", count=len(alive) + 1)


while True:
    if time.monotonic() >= beat_at:
        beat_at = beat(time.monotonic())
    for ready, _ in poller.poll(max(1, int((beat_at - time.monotonic()) * 1000))):
        if ready is ears:
            listen()
            continue
        told = link.hear()
        if told["do"] == "publish":
            link.say("published", number=told["number"])
            mouth.send_multipart([b"event", payload(told["number"])])
        elif told["do"] == "flood":
            link.say("flooding")
            for number in range(told["count"], 0, -1):
                mouth.send_multipart([b"event", payload(told["first"] + number - 1)])
