"""kinship: SWIM with Lifeguard in Rust, encrypted as by default, with its `lan` preset."""

from __future__ import annotations

import asyncio
from typing import Any

import kinship
from link import Link, number_of, payload

link = Link()
QUIET = (kinship.MemberSuspect, kinship.MemberRecovered)


async def listen(cluster: kinship.Cluster, events: Any) -> None:
    async for each in events:
        if isinstance(each, kinship.UserMessage):
            link.got(number_of(each.data))
            continue
        if isinstance(each, (kinship.MemberDead, kinship.MemberLeft)):
            link.say("down", who=each.member.name)
        if not isinstance(each, QUIET):
            link.say("alive", count=len(cluster.members()))


async def main() -> None:
    link.wait_for_start()
    link.socket.setblocking(False)
    config = kinship.Config.lan(
        name=link.name,
        bind=f"{link.ip()}:7946",
        keys=[b"k" * 32],
        seeds=[] if link.index == 0 else [f"{link.ip(0)}:7946"],
    )
    cluster = kinship.Cluster(config)
    await cluster.start()
    link.say("alive", count=len(cluster.members()))
    listening = asyncio.create_task(listen(cluster, cluster.events()))
    told: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    asyncio.get_running_loop().add_reader(link.socket, lambda: told.put_nowait(link.hear()))
    while not listening.done():
        each = await told.get()
        if each["do"] == "publish":
            link.say("published", number=each["number"])
            await cluster.broadcast(payload(each["number"]))
        elif each["do"] == "flood":
            link.say("flooding")
            for number in range(each["count"], 0, -1):
                await cluster.broadcast(payload(each["first"] + number - 1))


asyncio.run(main())
