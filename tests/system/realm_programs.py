"""Real processes for the tests of the realm: `python realm_programs.py KIND …`."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from mtor_swarm.config import RealmConfig, SupervisionConfig
from mtor_swarm.realm.processes import Program
from mtor_swarm.realm.runner import Runner


def models(argv: list[str]) -> int:
    """A process with one worker, as `mtor_models` is; what befalls it is written to a file."""
    from std_msgs.msg import String

    from mtor_swarm.realm import host
    from mtor_swarm.realm.bus import EVENT_QOS
    from mtor_swarm.realm.worker import Worker

    class Perception(Worker):
        def note(self, what: str) -> None:
            with Path(self.config.state_dir, "notes").open("a") as notes:
                notes.write(f"{what} {os.getpid()}\n")

        def load(self) -> None:
            self.hear(String, "block", self.block_for_ever, EVENT_QOS)
            if Path(self.config.state_dir, "hang_in_load").exists():
                self.block_for_ever(None)
            self.note("load")

        def start(self) -> None:
            self.note("start")

        def stop(self) -> None:
            self.note("stop")

        def unload(self) -> None:
            self.note("unload")

        def block_for_ever(self, _: object) -> None:
            while True:
                time.sleep(1)

    def compose(config: RealmConfig) -> list[Worker]:
        return [Perception(name="perception", config=config)]

    return host.main("models", compose, argv)


def core(argv: list[str]) -> int:
    """Reflex, beside a worker that blocks once it is told to, as a `mtor_core` with a defect."""
    from std_msgs.msg import String

    from mtor_swarm.realm import host
    from mtor_swarm.realm.bus import EVENT_QOS
    from mtor_swarm.realm.worker import Worker
    from mtor_swarm.workers.reflex import ReflexWorker

    class Decision(Worker):
        def load(self) -> None:
            self.hear(String, "block", lambda _: time.sleep(1000), EVENT_QOS)

    def compose(config: RealmConfig) -> list[Worker]:
        return [Decision(name="decision", config=config), ReflexWorker(config=config)]

    return host.main("core", compose, argv)


def runner(argv: list[str]) -> int:
    """A runner of two sleepers and, if asked for, one that is deaf to SIGTERM."""
    sleep = "import os,time; print('pid', os.getpid(), flush=True); time.sleep(1000)"
    deaf = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {sleep}"
    codes = {"a": sleep, "b": sleep, **({"deaf": deaf} if "deaf" in argv else {})}
    programs = [
        Program(name=name, argv=[sys.executable, "-c", code]) for name, code in codes.items()
    ]
    config = SupervisionConfig(restart_first_s=0.05, restart_most_s=0.2)
    it = Runner(programs, config, stop_s=1.0 if "deaf" in argv else 60.0)
    signal.signal(signal.SIGTERM, lambda *_: it.stop())
    return it.run()


if __name__ == "__main__":
    sys.exit({"core": core, "models": models, "runner": runner}[sys.argv[1]](sys.argv[2:]))
