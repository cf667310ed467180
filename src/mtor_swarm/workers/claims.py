"""What every worker with a model lets one set, and how it gets its share of the machine."""

from __future__ import annotations

from mtor_swarm.models import resources
from mtor_swarm.models.resources import Grant, Need
from mtor_swarm.realm.parameters import Setting
from mtor_swarm.realm.worker import Worker

SETTINGS = (
    Setting("threads", 1, "CPU threads that the model may use", least=1, most=64),
    Setting(
        "device",
        "auto",
        "where it runs; auto: on a GPU if there is one with room",
        choices=("auto", "cpu", "gpu"),
    ),
    Setting(
        "memory_mib",
        0,
        "memory that must be free where it runs, else it is not loaded; 0: any",
        least=0,
        most=1 << 20,
    ),
)


def claim(worker: Worker, need: Need | None = None) -> Grant:
    """The worker's share until `release`, logged; ModelError if the machine has it not.

    `need`: by default what its SETTINGS say.
    """
    need = need or Need(
        threads=worker.value("threads"),
        device=worker.value("device"),
        memory_mib=worker.value("memory_mib"),
    )
    grant = resources.SLOTS.claim(worker.get_name(), need, resources.look(need.device))
    worker.get_logger().info(f"runs {grant.told}")
    return grant


def release(worker: Worker) -> None:
    """The model is gone: others may have its share."""
    resources.SLOTS.release(worker.get_name())
