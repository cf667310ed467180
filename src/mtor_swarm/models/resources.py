"""What a model may take of the machine: CPU threads, memory, a GPU; so that models do not fight.

`Slots` is the account of one process: what its models hold. Memory and GPUs are looked at when a
model claims them, so that what other processes hold counts as well; threads are shared out within
the process, whose libraries (torch, OpenCV, OpenMP's users such as CTranslate2) share one setting.
"""

from __future__ import annotations

import os
import sys
import threading
from typing import Literal

import msgspec
import psutil

from mtor_swarm.errors import ModelError

Device = Literal["auto", "cpu", "gpu"]
"""`auto`: a GPU if there is one with room, else the CPU."""
_POOLS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS")
"""Read by the libraries when they are loaded: OpenMP's by torch and CTranslate2, Rayon's by
tokenizers."""


class Need(msgspec.Struct, frozen=True, kw_only=True):
    """What a model wants: CPU threads, where to run, MiB of memory there (0: unsaid)."""

    threads: int = 1
    device: Device = "auto"
    memory_mib: int = 0


class Gpu(msgspec.Struct, frozen=True):
    """One GPU as torch names it (`cuda:0`), and the MiB of its memory that are free."""

    name: str
    title: str
    free_mib: int


class Machine(msgspec.Struct, frozen=True):
    """What there is for this process: CPU threads, MiB of memory that are free, and GPUs.

    `no_gpu` says why there is none.
    """

    threads: int
    free_mib: int
    gpus: tuple[Gpu, ...] = ()
    no_gpu: str = ""


class Grant(msgspec.Struct, frozen=True):
    """What a model got: threads, its device as torch names it, and that in words for a person."""

    threads: int
    device: str
    told: str


class Slots:
    """What the models of one process hold. From any thread."""

    def __init__(self) -> None:
        self._held: dict[str, Grant] = {}
        self._lock = threading.Lock()

    @property
    def most_threads(self) -> int:
        """The most that any of them may use at a time; 1 if there are none."""
        with self._lock:
            return max((each.threads for each in self._held.values()), default=1)

    def claim(self, who: str, need: Need, machine: Machine) -> Grant:
        """What `who` may use of this machine, until `release`; a second claim replaces the first.

        Fewer threads than wanted, but one at least, if others hold them. ModelError if there is
        too little memory, or no GPU where only that will do.
        """
        with self._lock:
            self._held.pop(who, None)
            gpu, why_not = _gpu(need, machine)
            if gpu is None and need.device == "gpu":
                raise ModelError(
                    f"{who} wants a GPU, and there is none: {why_not}; set `device` to auto or cpu"
                )
            if gpu is None and need.memory_mib > machine.free_mib:
                raise ModelError(
                    f"{who} needs {need.memory_mib} MiB of memory and {machine.free_mib} are "
                    "free: stop something, or choose a smaller model"
                )
            left = machine.threads - sum(each.threads for each in self._held.values())
            threads = max(1, min(need.threads, left))
            told = f"on {gpu.title} ({gpu.name})" if gpu else "on the CPU"
            told += f" with {threads} thread{'s' * (threads > 1)}"
            if threads < need.threads:
                told += f" of {need.threads} wanted: {self._holders(machine)}"
            if why_not and need.device != "cpu":
                told += f"; no GPU: {why_not}"
            self._held[who] = Grant(threads, gpu.name if gpu else "cpu", told)
            return self._held[who]

    def release(self, who: str) -> None:
        """`who` needs nothing any more."""
        with self._lock:
            self._held.pop(who, None)

    def _holders(self, machine: Machine) -> str:
        held = ", ".join(f"{who} holds {each.threads}" for who, each in self._held.items())
        there = f"there are {machine.threads}"
        return f"{there}, {held}" if held else there


SLOTS = Slots()
"""This process's own: its libraries have one setting for all."""


def look(device: Device = "auto") -> Machine:
    """The machine as it is now; GPUs, for which torch is imported, unless `device` is cpu."""
    threads = len(os.sched_getaffinity(0))
    free_mib = psutil.virtual_memory().available >> 20
    if device == "cpu":
        return Machine(threads, free_mib)
    gpus, no_gpu = _gpus()
    return Machine(threads, free_mib, gpus, no_gpu)


def bound(threads: int) -> None:
    """Bound this process's libraries to `threads`, or to what its models hold if that is more.

    Call it before they are imported, for those that read their setting then, and after.
    """
    most = max(threads, SLOTS.most_threads)
    for name in _POOLS:
        os.environ[name] = str(most)
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(most)
    if cv2 := sys.modules.get("cv2"):
        cv2.setNumThreads(most)


def _gpu(need: Need, machine: Machine) -> tuple[Gpu | None, str]:
    """The GPU with the most room, or None and why."""
    if need.device == "cpu":
        return None, ""
    best = max(machine.gpus, key=lambda each: each.free_mib, default=None)
    if best is None:
        return None, machine.no_gpu or "this machine has none"
    if best.free_mib < need.memory_mib:
        return None, f"{best.title} has {best.free_mib} MiB free of {need.memory_mib} needed"
    return best, ""


def _gpus() -> tuple[tuple[Gpu, ...], str]:
    try:
        import torch
    except ImportError as error:
        return (), f"torch cannot be imported ({error})"
    if torch.version.cuda is None and torch.version.hip is None:
        return (), f"torch {torch.__version__} is built for the CPU alone"
    try:
        found = [
            Gpu(f"cuda:{i}", torch.cuda.get_device_name(i), torch.cuda.mem_get_info(i)[0] >> 20)
            for i in range(torch.cuda.device_count())
        ]
    except RuntimeError as error:  # a driver that does not fit, a card that is broken
        return (), f"torch cannot use it ({str(error).splitlines()[0]})"
    return tuple(found), "" if found else "torch finds no CUDA device"
