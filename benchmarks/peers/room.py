"""A private network namespace for each measurement; it goes away with its last process."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
MODULES = {"zenoh": "zenoh", "kinship": "kinship", "mesh": "zmq", "mtor": "zmq", "serf": "msgpack"}
MOST_S = 1200.0


def lacking(backend: str = "mtor", loss: bool = False) -> str:
    """What is missing here to measure that backend; empty if nothing is."""
    if os.geteuid():
        return "root (for a network namespace)"
    tools = [("ip", "iproute2"), ("unshare", "util-linux"), ("sysctl", "procps")]
    tools += [("nft", "nftables")] if loss else []
    tools += [("serf", "serf")] if backend == "serf" else []
    for tool, package in tools:
        if shutil.which(tool) is None:
            return f"{tool} (Debian package {package})"
    if importlib.util.find_spec(MODULES[backend]) is None:
        return f"the Python module {MODULES[backend]} (pip install '.[bench]')"
    tried = subprocess.run(["unshare", "--net", "true"], capture_output=True, check=False)
    return tried.stderr.decode().strip() if tried.returncode else ""


def measure(backend: str, number: int, **plan: Any) -> dict[str, Any] | None:
    """Measure so many members of a backend; None, and a line that says why, if it cannot be."""
    why = lacking(backend, loss=bool(plan.get("loss")))
    if why:
        print(f"{backend}: left out, for want of {why}", file=sys.stderr)
        return None
    told = json.dumps({"backend": backend, "number": number, **plan})
    command = ["unshare", "--net", sys.executable, "-m", "benchmarks.peers.measure", told]
    print(f"measuring {backend}, {number} members ...", file=sys.stderr, flush=True)
    done = subprocess.run(
        command, cwd=ROOT, stdout=subprocess.PIPE, text=True, timeout=MOST_S, check=False
    )
    if done.returncode:
        print(f"{backend}: ended with {done.returncode}", file=sys.stderr)
        return None
    found: dict[str, Any] = json.loads(done.stdout)
    if "error" in found:
        print(f"{backend}, {number} members: {found['error']}", file=sys.stderr)
        return None
    return found
