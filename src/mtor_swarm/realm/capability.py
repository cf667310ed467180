"""What a worker can be asked, and what it may reply."""

from __future__ import annotations

from typing import Any

import msgspec

from mtor_swarm.realm.ask_wire import Answer

Reply = Answer | tuple[str, bytes] | bytes | str | dict[str, Any] | list[Any]
"""What `Worker.answer` returns: an Answer, or its payload alone.

A tuple is (media type, payload); bytes are application/octet-stream, a str is text/plain, a dict
or a list application/json.
"""


class Capability(msgspec.Struct, frozen=True):
    """Something that a worker can be asked: `Capability("detect", concurrency=2)`."""

    name: str
    concurrency: int = 1
    """Asks that it takes at a time; the others wait in the orchestrator's queue."""
    lend: bool = True
    """Whether peers may ask it, unless the realm's `allow_lending` says otherwise."""
