"""One real swarm member in a process of its own: JSON lines in on stdin, out on stdout."""

from __future__ import annotations

import json
import sys
import threading
import time

from mtor_swarm.config import SwarmConfig
from mtor_swarm.errors import SwarmError
from mtor_swarm.events import Event
from mtor_swarm.swarm.driver import SwarmDriver
from mtor_swarm.swarm.identity import Identity

_lock = threading.Lock()


def say(**what) -> None:
    with _lock:
        print(json.dumps(what), flush=True)


def main() -> None:
    options = json.loads(sys.argv[1])
    state = options.get("state_dir")
    keys = options.get("swarm", {}).get("keys", "")
    identity = Identity.open(state, keys) if state else Identity.ephemeral()
    driver = SwarmDriver(
        SwarmConfig(**options.get("swarm", {})),
        identity,
        unit=options["unit"],
        on_event=lambda e: say(
            kind="event", unit=e.unit, boot=e.boot, seq=e.seq, data=e.data, at=time.time()
        ),
        on_member=lambda m, was: say(kind="member", unit=m.unit, state=m.state, at=time.time()),
        on_beacon=lambda member, state: say(kind="beacon", unit=state.unit),
        on_ask=lambda member, kind, payload, tell: payload[::-1],
        on_conflict=lambda unit, other, later: say(kind="conflict", unit=unit, later=later),
        log=lambda line: say(kind="log", line=line),
    )
    try:
        driver.start()
    except SwarmError as error:
        say(kind="error", text=str(error))
        return
    say(kind="ready", address=driver.address, member=driver.member_id)
    number = 0
    for line in sys.stdin:
        if line.strip() == "counters":
            say(kind="counters", **driver.counters())
        elif line.strip() == "stop":
            break
        else:
            number += 1
            driver.publish(
                Event(
                    id=f"{driver.member_id}-{number}",
                    source="test",
                    type="mtor.unit.changed",
                    time="",
                    unit=options["unit"],
                    data={"n": number, "at": time.time()},
                )
            )
    driver.stop()


if __name__ == "__main__":
    main()
