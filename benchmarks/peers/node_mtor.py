"""Ours: a real member, with the keys of a swarm (`options.keys`) or without."""

from __future__ import annotations

import threading
import time

from link import Link, number_of, payload

from mtor_swarm.config import SwarmConfig
from mtor_swarm.errors import SwarmError
from mtor_swarm.events import Event, UnitState
from mtor_swarm.swarm.driver import SwarmDriver
from mtor_swarm.swarm.exchange import Tell
from mtor_swarm.swarm.gossip.membership import MemberInfo
from mtor_swarm.swarm.identity import Identity

FULL_S = 0.002
"""Told that too much waits: try again after this."""

link = Link()
keys = f"{link.options['keys']}/n{link.index}" if link.options["keys"] else ""
alive: set[str] = set()


def on_member(info: MemberInfo, was: str) -> None:
    if info.state in ("dead", "left"):
        alive.discard(info.id)
        link.say("down", who=info.unit)
    else:
        alive.add(info.id)
    link.say("alive", count=len(alive) + 1)


def on_event(event: Event) -> None:
    if event.type == "bench.event":
        link.got(number_of(event.data["body"].encode()))


def refuse(member: str, kind: str, asked: bytes, tell: Tell) -> bytes:
    raise SwarmError("nothing to ask here")


def on_beacon(member: str, state: UnitState) -> None:
    """Nobody sends any."""


def say(number: int) -> None:
    body = payload(number).decode()
    event = Event(id=f"b{number}", source="", type="bench.event", time="", data={"body": body})
    while True:
        try:
            driver.publish(event)
        except SwarmError:
            time.sleep(FULL_S)
        else:
            return


def flood(first: int, count: int) -> None:
    link.say("flooding")
    for number in range(count, 0, -1):
        say(first + number - 1)


driver = SwarmDriver(
    SwarmConfig(
        bind=f"tcp://{link.ip()}:7946",
        seeds=[] if link.index == 0 else [f"tcp://{link.ip(0)}:7946"],
        keys=keys,
    ),
    Identity.load(f"{keys}/identity.key", 1) if keys else Identity.ephemeral(),
    unit=link.name,
    on_event=on_event,
    on_member=on_member,
    on_beacon=on_beacon,
    on_ask=refuse,
)
link.wait_for_start()
driver.start()
link.say("alive", count=1)
while True:
    told = link.hear()
    if told["do"] == "publish":
        link.say("published", number=told["number"])
        say(told["number"])
    elif told["do"] == "flood":
        threading.Thread(target=flood, args=(told["first"], told["count"]), daemon=True).start()
