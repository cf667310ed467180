"""The launch files: what can be checked of them without ROS's launch, and with it the rest."""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from mtor_swarm import config, paths
from mtor_swarm.cli import fleet
from mtor_swarm.config import RealmConfig, SwarmConfig
from mtor_swarm.errors import ConfigError
from mtor_swarm.sim.compose import compose
from tests.need import missing
from tests.system.packaging import EXECUTABLES, ROOT

FILES = sorted((ROOT / "launch").glob("*.launch.py"))
names = pytest.mark.parametrize("file", FILES, ids=lambda path: path.name)


def calls(file: Path, name: str) -> list[ast.Call]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == name
    ]


def test_there_is_one_for_a_robot_a_swarm_and_gazebo():
    assert [each.name for each in FILES] == [
        "gazebo.launch.py",
        "robot.launch.py",
        "swarm.launch.py",
    ]


@names
def test_every_argument_says_what_it_is_for(file: Path):
    declared = calls(file, "DeclareLaunchArgument")
    assert declared
    for each in declared:
        given = {keyword.arg for keyword in each.keywords}
        assert {"default_value", "description"} <= given, ast.unparse(each)


@names
def test_every_argument_that_is_read_is_declared(file: Path):
    declared = {ast.literal_eval(each.args[0]) for each in calls(file, "DeclareLaunchArgument")}
    read = {
        ast.literal_eval(each.args[0])
        for each in calls(file, "LaunchConfiguration")
        if isinstance(each.args[0], ast.Constant)
    }
    assert read <= declared


@names
def test_every_executable_of_ours_that_is_named_exists(file: Path):
    tree = ast.parse(file.read_text(encoding="utf-8"))
    named = {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and str(node.value).startswith("mtor_")
    } - {"mtor_", "mtor_swarm"}
    assert named <= set(EXECUTABLES)


def test_the_units_of_a_launched_swarm_know_each_other_by_seeds_alone(tmp_path: Path):
    files = fleet.write_realms(tmp_path, ["r1", "r2", "r3", "r4"], base_port=7500)
    realms = {unit: config.load(file, RealmConfig) for unit, file in files.items()}
    assert [realm.unit for realm in realms.values()] == ["r1", "r2", "r3", "r4"]
    assert realms["r4"].swarm.bind == "tcp://127.0.0.1:7503"
    assert realms["r4"].swarm.seeds == [f"tcp://127.0.0.1:{port}" for port in (7500, 7501, 7502)]
    assert len({realm.state_dir for realm in realms.values()}) == 4
    assert all(realm.use_sim_time and realm.operators for realm in realms.values())


def test_a_fleet_shares_a_swarm_file_and_each_robot_has_its_name(tmp_path: Path):
    realm, swarm, made = (tmp_path / name for name in ("realm.yaml", "swarm.yaml", "made.yaml"))
    realm.write_text("unit: r1\nmission: search\n")
    swarm.write_text("name: barn\nseeds: [tcp://10.0.0.1:7400]\n")
    fleet.write_realm(made, str(realm), unit="r7", swarm=str(swarm))
    found = config.load(made, RealmConfig)
    assert found.unit == "r7"
    assert found.swarm == SwarmConfig(name="barn", seeds=["tcp://10.0.0.1:7400"])
    with pytest.raises(ConfigError, match="unit"):
        fleet.write_realm(made, str(realm), unit="R 7")


def test_gazebo_s_bridges_carry_what_a_realm_hears_and_says():
    entries = yaml.safe_load(fleet.bridge(["r1", "r2"]))
    assert {each["ros_topic_name"] for each in entries} == {
        f"/{unit}/{topic}" for unit in ("r1", "r2") for topic in ("scan", "imu", "odom", "cmd_vel")
    }
    into_gazebo = [e["ros_topic_name"] for e in entries if e["direction"] == "ROS_TO_GZ"]
    assert into_gazebo == ["/r1/cmd_vel", "/r2/cmd_vel"]
    (clock,) = yaml.safe_load(fleet.clock_bridge())
    assert clock["ros_topic_name"] == "/clock"
    assert fleet.images(["r1", "r2"]) == ["/r1/camera/image", "/r2/camera/image"]


def test_gazebo_s_topics_are_those_of_the_world_file():
    world = (ROOT / "sim/models/unit/unit.sdf.in").read_text(encoding="utf-8")
    topics = ["$unit/camera/image", *(f"$unit/{topic}" for topic, *_ in fleet._BRIDGED)]
    assert all(f"topic>{topic}</" in world for topic in topics)


def test_gazebo_finds_what_the_world_names_where_the_launch_file_says():
    (call,) = calls(ROOT / "launch" / "gazebo.launch.py", "AppendEnvironmentVariable")
    assert ast.unparse(call) == (
        "AppendEnvironmentVariable('GZ_SIM_RESOURCE_PATH', str(paths.share() / 'sim' / 'models'))"
    )
    world = compose("field", ["r1"], 7)
    named = re.findall(r"model://([^<]+)<", world)
    assert named
    assert all((paths.share() / "sim" / "models" / each).is_file() for each in named)


@names
def test_launch_itself_shows_the_arguments(file: Path):
    if importlib.util.find_spec("launch_ros") is None:
        missing("needs launch_ros, which a ROS 2 distribution brings", even_in_ci=True)
    code = (
        "import sys; from launch.launch_description_sources import "
        "get_launch_description_from_python_launch_file as load; "
        "print([a.name for a in load(sys.argv[1]).get_launch_arguments()])"
    )
    said = subprocess.run(
        [sys.executable, "-c", code, str(file)],
        capture_output=True,
        text=True,
        check=True,
        env=dict(os.environ),
    ).stdout
    declared = [ast.literal_eval(each.args[0]) for each in calls(file, "DeclareLaunchArgument")]
    assert said.strip() == str(declared)
