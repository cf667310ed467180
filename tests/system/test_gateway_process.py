"""The process `mtor_gateway`: how it starts, what it refuses, how it ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest
from websockets.sync.client import connect

from tests.system.gateway_scene import PATIENCE_S, until

pytestmark = pytest.mark.timeout(300)
GATEWAY = [sys.executable, "-m", "mtor_swarm.cli.gateway"]


@contextmanager
def gateway(*words: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    """The running process and what it said once it was ready."""
    process = subprocess.Popen(
        [*GATEWAY, "--port", "0", *words], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield process, json.loads(process.stdout.readline())
    finally:
        process.kill()
        process.communicate()


def refusal(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*GATEWAY, *words], capture_output=True, text=True, timeout=4 * PATIENCE_S, check=False
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_in_good_order_even_with_a_page_open(
    number: signal.Signals, tmp_path: Path
) -> None:
    with gateway("--operator-key", str(tmp_path / "operator.key")) as (process, ready):
        assert ready["kind"] == "ready"
        assert "mtor" in httpx.get(ready["url"]).text
        with connect(ready["url"].replace("http", "ws") + "ws") as page:
            page.recv(timeout=PATIENCE_S)
            process.send_signal(number)
            assert process.wait(PATIENCE_S) == 0


def test_its_key_is_kept_so_that_units_may_know_it(tmp_path: Path) -> None:
    with gateway("--operator-key", str(tmp_path / "operator.key")) as (_, ready):
        first = ready["operator"]
    with gateway("--operator-key", str(tmp_path / "operator.key")) as (_, ready):
        assert ready["operator"] == first


def test_an_occupied_port_is_one_clear_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        told = refusal("--port", str(port), "--operator-key", str(tmp_path / "operator.key"))
    assert told.returncode == 1
    assert f"port {port} on 127.0.0.1 is in use" in told.stderr
    assert "--port" in told.stderr
    assert told.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--host", "0.0.0.0"], "this machine only"),
        (["--port", "99999"], "0 to 65535"),
        (["--seed", "nonsense"], "nonsense"),
        (["--world", "/nowhere.sdf"], "/nowhere.sdf"),
    ],
)
def test_wrong_use_is_one_clear_line(words: list[str], why: str, tmp_path: Path) -> None:
    told = refusal("--port", "0", "--operator-key", str(tmp_path / "operator.key"), *words)
    assert told.returncode == 2
    assert why in told.stderr
    assert told.stderr.count("\n") == 1


def test_it_dies_with_its_parent(tmp_path: Path) -> None:
    words = [
        *GATEWAY,
        "--port",
        "0",
        "--operator-key",
        str(tmp_path / "operator.key"),
        "--die-with-parent",
    ]
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"import subprocess; print(subprocess.Popen({words!r}).pid, flush=True); input()",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))
    assert json.loads(parent.stdout.readline())["kind"] == "ready"
    os.kill(parent.pid, signal.SIGKILL)
    parent.communicate()
    until("the gateway is gone", lambda: not child.is_running() or child.status() == "zombie")
