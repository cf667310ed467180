"""The units' latest camera pictures."""

from __future__ import annotations

from mtor_swarm.errors import SwarmError
from mtor_swarm.gateway.answers import Answers
from mtor_swarm.ports import Swarm

MAX_BYTES = 256 * 1024


class Thumbnails(Answers):
    """Each unit's picture, a small JPEG."""

    def __init__(self, swarm: Swarm) -> None:
        super().__init__(swarm, "thumbnail")

    async def get(self, unit: str) -> bytes:
        """The unit's picture as JPEG; SwarmError says why there is none."""
        picture = await super().get(unit)
        if not picture.startswith(b"\xff\xd8") or len(picture) > MAX_BYTES:
            raise SwarmError(f"{unit} answered with something that is no small JPEG")
        return picture
