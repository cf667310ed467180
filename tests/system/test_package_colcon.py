"""colcon, as every ROS 2 workspace is built: it knows the package and builds it both ways."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.system.packaging import EXECUTABLES, copy_source, done

pytestmark = pytest.mark.timeout(600)
COLCON = Path(sys.executable).with_name("colcon")
PATH = f"{COLCON.parent}{os.pathsep}{os.environ['PATH']}"


def colcon(workspace: Path, *arguments: str) -> str:
    return done([COLCON, *arguments], workspace, PATH=PATH, COLCON_HOME=str(workspace / "home"))


def test_colcon_knows_an_ament_python_package(tmp_path: Path):
    copy_source(tmp_path / "src" / "mtor_swarm")
    said = colcon(tmp_path, "list").split()
    assert said[0] == "mtor_swarm"
    assert said[-1] == "(ros.ament_python)"


@pytest.mark.parametrize("way", [[], ["--symlink-install"]], ids=["copy", "symlink"])
def test_colcon_builds_it_with_its_executables_and_files(tmp_path: Path, way: list[str]):
    copy_source(tmp_path / "src" / "mtor_swarm")
    colcon(tmp_path, "build", *way, "--event-handlers", "console_direct+")
    prefix = tmp_path / "install" / "mtor_swarm"
    assert (prefix / "share/ament_index/resource_index/packages/mtor_swarm").is_file()
    assert (prefix / "share/mtor_swarm/launch/robot.launch.py").is_file()
    assert (prefix / "share/mtor_swarm/sim/worlds/field.sdf").is_file()
    assert sorted(each.name for each in (prefix / "lib/mtor_swarm").iterdir()) == sorted(
        EXECUTABLES
    )
    run = f". install/setup.sh && {prefix}/lib/mtor_swarm/mtor --version && "
    run += f"{sys.executable} -c 'from mtor_swarm import paths; print(paths.share())'"
    said = done(["/bin/sh", "-c", run], tmp_path, PATH=PATH).splitlines()
    assert said[-2].startswith("mtor ")
    # Symlinks lead back to the source, which is then its own truth.
    linked = tmp_path / "src" / "mtor_swarm"
    assert said[-1] == str(linked if way else prefix / "share" / "mtor_swarm")
