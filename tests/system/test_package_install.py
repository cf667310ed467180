"""`pip install .`: code, share, marker, and executables where `ros2 run` looks for them."""

from __future__ import annotations

import ast
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

import mtor_swarm
from tests.system.packaging import EXECUTABLES, ROOT, copy_source, done, virtual_environment

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module", name="prefix")
def _prefix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment in which the package was installed from a copy of its source."""
    folder = tmp_path_factory.mktemp("install")
    source = copy_source(folder / "source")
    python = virtual_environment(folder / "prefix")
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--ignore-installed"]
    done([python, "-m", "pip", "install", *options, source], folder)
    return folder / "prefix"


def test_ros_finds_the_package_by_its_marker(prefix: Path):
    assert (prefix / "share/ament_index/resource_index/packages/mtor_swarm").is_file()
    assert (prefix / "share/mtor_swarm/package.xml").is_file()


@pytest.mark.parametrize("folder", ["launch", "config", "sim"])
def test_what_the_source_shares_is_installed_whole(prefix: Path, folder: str):
    wanted = files(ROOT, folder)
    assert wanted
    assert files(prefix / "share" / "mtor_swarm", folder) == wanted


def files(top: Path, folder: str) -> set[str]:
    """The files below a folder, but for what Python compiles beside them."""
    return {
        str(path.relative_to(top))
        for path in (top / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_the_viewer_s_page_is_in_the_package(prefix: Path):
    page = ROOT / "src/mtor_swarm/gateway/static"
    wanted = {str(path.relative_to(page)) for path in page.rglob("*") if path.is_file()}
    (installed,) = prefix.glob("lib/python3*/site-packages/mtor_swarm/gateway/static")
    assert wanted <= {str(path.relative_to(installed)) for path in installed.rglob("*")}


@pytest.mark.parametrize("name", EXECUTABLES)
def test_every_executable_runs_on_the_path_and_for_ros2_run(prefix: Path, name: str):
    for folder in ("bin", "lib/mtor_swarm"):
        assert f"usage: {name}" in done([prefix / folder / name, "--help"], prefix)


def test_an_installed_package_finds_its_own_files(prefix: Path):
    code = "from mtor_swarm import paths; print(paths.share())"
    said = done([prefix / "bin/python", "-c", code], prefix)
    assert said.splitlines()[-1] == str(prefix / "share" / "mtor_swarm")
    checked = done(
        [prefix / "bin/mtor", "config", "check", "share/mtor_swarm/config/realm.yaml"], prefix
    )
    assert "OK: realm of r1" in checked


def test_version_and_licence_are_the_same_wherever_they_stand():
    manifest = ET.parse(ROOT / "package.xml").getroot()
    setup = (ROOT / "setup.py").read_text(encoding="utf-8")
    assert manifest.findtext("version") == mtor_swarm.__version__
    assert f'version="{mtor_swarm.__version__}"' in setup
    assert manifest.findtext("license") == "Apache-2.0"
    assert "Apache License" in (ROOT / "LICENSE").read_text(encoding="utf-8")


def test_the_package_itself_never_asks_for_ros_wheels():
    tree = ast.parse((ROOT / "setup.py").read_text(encoding="utf-8"))
    (required,) = (
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.keyword) and node.arg == "install_requires"
    )
    assert not [name for name in ast.literal_eval(required) if "ros" in name]


def test_every_requirement_has_a_pinned_version():
    setup = (ROOT / "setup.py").read_text(encoding="utf-8")
    pinned = {
        line.partition("==")[0].lower().replace("_", "-")
        for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
        if "==" in line
    }
    wanted = set(re.findall(r'"([A-Za-z][\w-]*)(?:==|>=)', setup))
    assert "torch" in wanted
    assert not {name for name in wanted if name.lower() not in pinned}
