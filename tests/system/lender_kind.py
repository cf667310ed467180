"""A kind of worker that lends `name`: what its unit is called, once the test lets it say so."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from mtor_swarm.realm.capability import Capability
from mtor_swarm.realm.worker import Worker

FOLDER = "LENDERS_FOLDER"
"""Names the folder where each writes what it began, and waits while there is a file `hold`."""


class Helper(Worker):
    """Slow as long as the test wants."""

    capabilities = (Capability("name", concurrency=16),)

    def answer(self, ask: Any, tell: Any) -> str:
        folder = Path(os.environ[FOLDER])
        (folder / f"{self.config.unit} {ask.askid}").touch()
        while (folder / "hold").exists() and not ask.cancelled.wait(0.01):
            pass
        time.sleep(0.02)
        return self.config.unit
