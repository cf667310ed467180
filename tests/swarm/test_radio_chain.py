"""Real members over real sockets, of whom each hears but its neighbours by radio."""

from __future__ import annotations

import random
from collections import defaultdict

from mtor_swarm.config import SwarmConfig
from mtor_swarm.events import Event
from mtor_swarm.sim.radio import Radio, RadioModel
from mtor_swarm.swarm.driver import SwarmDriver
from mtor_swarm.swarm.identity import Identity
from tests.simulation.harness import event
from tests.swarm.crowd import wait_until

NUMBER = 5


def test_events_and_states_go_from_one_to_the_next_through_the_whole_chain() -> None:
    # One process, one radio: drawing a number and looking up a row are single steps.
    radio = Radio(RadioModel(range_m=10.0, softness_db=0.8), random.Random(1))
    identities = [Identity.ephemeral() for _ in range(NUMBER)]
    radio.place({each.member_id: (7.5 * i, 0.0, 0.3) for i, each in enumerate(identities)})
    got: dict[str, list[Event]] = defaultdict(list)
    chain: list[SwarmDriver] = []
    try:
        for identity in identities:
            driver = SwarmDriver(
                SwarmConfig(seeds=[chain[-1].address] if chain else []),
                identity,
                unit=identity.member_id[:8],
                on_event=got[identity.member_id].append,
                on_member=lambda info, was: None,
                on_beacon=lambda member, state: None,
                on_ask=lambda member, kind, payload, tell: b"",
                radio=radio,
            )
            driver.start()
            chain.append(driver)
        first, last = identities[0].member_id, identities[-1].member_id
        assert radio.chances(first)[last] < 1e-6
        wait_until("the ends know each other", lambda: knows(chain[0], last))
        wait_until("the ends know each other", lambda: knows(chain[-1], first))
        chain[0].publish(event(1))
        chain[-1].shared.put("map:plan", "go", "home")
        wait_until("the event is at the other end", lambda: ids(got[last]) == ["e1"])
        wait_until("all share", lambda: all(each.shared.get("map:plan") for each in chain))
        wait_until("one is out of earshot", lambda: chain[0].counters().get("not heard", 0) > 0)
    finally:
        for driver in chain:
            driver.stop()


def knows(driver: SwarmDriver, member: str) -> bool:
    return member in [each.id for each in driver.members()]


def ids(found: list[Event]) -> list[str]:
    return [each.id for each in found]
