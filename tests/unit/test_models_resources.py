from __future__ import annotations

import subprocess
import sys

import pytest

from mtor_swarm.errors import ModelError
from mtor_swarm.models.resources import Gpu, Machine, Need, Slots, look

SMALL, LARGE = Gpu("cuda:0", "Small", 2000), Gpu("cuda:1", "Large", 9000)
PLAIN = Machine(4, 8000, no_gpu="torch finds no CUDA device")
WITH_GPUS = Machine(4, 8000, (SMALL, LARGE))


def test_a_machine_without_a_gpu_gives_the_cpu_and_says_why():
    grant = Slots().claim("embed", Need(threads=2), PLAIN)
    assert (grant.device, grant.threads) == ("cpu", 2)
    assert grant.told == "on the CPU with 2 threads; no GPU: torch finds no CUDA device"


def test_who_wants_the_cpu_hears_nothing_of_gpus():
    assert Slots().claim("a", Need(device="cpu"), PLAIN).told == "on the CPU with 1 thread"


def test_the_gpu_with_the_most_room_is_used_where_there_is_one():
    grant = Slots().claim("embed", Need(memory_mib=4000), WITH_GPUS)
    assert grant.device == "cuda:1"
    assert grant.told == "on Large (cuda:1) with 1 thread"


def test_a_gpu_without_room_is_left_alone_and_told():
    grant = Slots().claim("a", Need(memory_mib=3000), Machine(1, 8000, (SMALL,)))
    assert grant.device == "cpu"
    assert "Small has 2000 MiB free of 3000 needed" in grant.told


def test_who_wants_a_gpu_and_nothing_else_is_told_that_there_is_none():
    with pytest.raises(ModelError, match=r"a wants a GPU, .*this machine has none; set `device`"):
        Slots().claim("a", Need(device="gpu"), Machine(1, 1))


def test_too_little_memory_is_one_error_before_the_machine_swaps():
    with pytest.raises(ModelError, match="chat needs 9000 MiB of memory and 8000 are free"):
        Slots().claim("chat", Need(memory_mib=9000), PLAIN)


def test_threads_are_shared_out_and_the_last_gets_one_at_least():
    slots = Slots()
    assert slots.most_threads == 1
    assert slots.claim("a", Need(threads=3), PLAIN).threads == 3
    assert slots.claim("b", Need(threads=3), PLAIN).threads == 1
    late = slots.claim("c", Need(threads=2, device="cpu"), PLAIN)
    assert late.threads == 1
    assert late.told == "on the CPU with 1 thread of 2 wanted: there are 4, a holds 3, b holds 1"
    assert slots.most_threads == 3
    slots.release("a")
    assert slots.claim("c", Need(threads=2), PLAIN).threads == 2
    slots.release("nobody")
    assert "of 9 wanted: there are 4;" in Slots().claim("d", Need(threads=9), PLAIN).told


def test_a_second_claim_replaces_the_first():
    slots = Slots()
    slots.claim("a", Need(threads=4), PLAIN)
    assert slots.claim("a", Need(threads=4), PLAIN).threads == 4


def test_this_machine_has_threads_and_memory():
    machine = look("cpu")
    assert machine.threads >= 1
    assert machine.free_mib > 0
    assert machine.gpus == ()


def test_the_libraries_of_a_process_are_bound_before_and_after_they_are_loaded():
    program = (
        "from mtor_swarm.models import resources\n"
        "resources.bound(1)\n"
        "import cv2, torch\n"
        "print(torch.get_num_threads())\n"
        "resources.bound(1)\n"
        "print(torch.get_num_threads(), cv2.getNumThreads())\n"
        "resources.SLOTS.claim('a', resources.Need(threads=2), resources.Machine(4, 1))\n"
        "resources.bound(1)\n"
        "print(torch.get_num_threads(), cv2.getNumThreads())\n"
        "machine = resources.look()\n"
        "print(bool(machine.gpus) != bool(machine.no_gpu))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=110, check=False
    )
    assert (done.stdout.split(), done.stderr) == (["1", "1", "1", "2", "2", "True"], "")
