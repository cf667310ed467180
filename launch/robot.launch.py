"""One realm on one robot: its core and its models, each brought back when it dies.

ros2 launch mtor_swarm robot.launch.py config:=/etc/mtor/r1.yaml
"""

import shutil
import tempfile
from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction, RegisterEventHandler
from launch.event_handlers import OnShutdown
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from mtor_swarm import paths
from mtor_swarm.cli import fleet

RESPAWN_DELAY_S = 1.0


def generate_launch_description():
    """Declare the arguments; the processes follow once their values are known."""
    config = str(paths.share() / "config" / "realm.yaml")
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                "config", default_value=config, description="The realm's config, a YAML file."
            ),
            DeclareLaunchArgument(
                "unit", default_value="", description="The unit's name; empty: as in the config."
            ),
            DeclareLaunchArgument(
                "swarm",
                default_value="",
                description="A swarm config that all units share; empty: as in the config.",
            ),
            DeclareLaunchArgument(
                "namespace",
                default_value="",
                description="ROS namespace of the realm's nodes; empty: the unit's name.",
            ),
            DeclareLaunchArgument(
                "models",
                default_value="true",
                choices=["true", "false"],
                description="Whether perception runs; false on a small board.",
            ),
            OpaqueFunction(function=_realm),
        ]
    )


def _realm(context):
    given = {
        name: LaunchConfiguration(name).perform(context)
        for name in ("config", "unit", "swarm", "namespace", "models")
    }
    folder = Path(tempfile.mkdtemp(prefix="mtor-launch-"))
    file = folder / "realm.yaml"
    realm = fleet.write_realm(file, given["config"], given["unit"], given["swarm"])
    executables = ["mtor_core"] + ["mtor_models"] * (given["models"] == "true")
    processes = [
        Node(
            package="mtor_swarm",
            executable=executable,
            namespace=given["namespace"] or None,
            arguments=["--config", str(file)],
            prefix="nice -n 10" if executable == "mtor_models" else None,
            exec_name=f"{realm.unit}.{executable.removeprefix('mtor_')}",
            output="both",
            respawn=True,
            respawn_delay=RESPAWN_DELAY_S,
        )
        for executable in executables
    ]
    tidy = OnShutdown(on_shutdown=lambda *_: shutil.rmtree(folder, ignore_errors=True))
    return [*processes, RegisterEventHandler(tidy)]
