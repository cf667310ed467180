"""A swarm in Gazebo: the same world file, the same topics, N realms.

Example: `ros2 launch mtor_swarm gazebo.launch.py units:=6 seed:=7`.

Needs ros_gz_sim, ros_gz_bridge and ros_gz_image. The clock has a bridge of its own and so have the
images, since one bridge delays all that it carries.
"""

import shutil
import tempfile
from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import LaunchDescription
from launch.actions import (
    AppendEnvironmentVariable,
    DeclareLaunchArgument,
    IncludeLaunchDescription,
    OpaqueFunction,
    RegisterEventHandler,
)
from launch.event_handlers import OnShutdown
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from mtor_swarm import paths
from mtor_swarm.cli import fleet
from mtor_swarm.sim.compose import compose, unit_names


def generate_launch_description():
    """Declare the arguments; the processes follow once their values are known."""
    return LaunchDescription(
        [
            DeclareLaunchArgument("units", default_value="6", description="How many units."),
            DeclareLaunchArgument(
                "seed", default_value="7", description="Decides where units and target stand."
            ),
            DeclareLaunchArgument(
                "world",
                default_value="field",
                description="An SDF world: a file, or the name of one that is shipped.",
            ),
            DeclareLaunchArgument(
                "gui",
                default_value="true",
                choices=["true", "false"],
                description="Whether Gazebo opens its window.",
            ),
            OpaqueFunction(function=_swarm),
        ]
    )


def _swarm(context):
    units = unit_names(int(LaunchConfiguration("units").perform(context)))
    seed = int(LaunchConfiguration("seed").perform(context))
    folder = Path(tempfile.mkdtemp(prefix="mtor-launch-"))
    world = folder / "world.sdf"
    world.write_text(compose(LaunchConfiguration("world").perform(context), units, seed))
    window = "" if LaunchConfiguration("gui").perform(context) == "true" else "-s "
    gazebo = Path(get_package_share_directory("ros_gz_sim"), "launch", "gz_sim.launch.py")
    robot = Path(__file__).with_name("robot.launch.py")
    bridges = {"clock": fleet.clock_bridge(), "units": fleet.bridge(units)}
    tidy = OnShutdown(on_shutdown=lambda *_: shutil.rmtree(folder, ignore_errors=True))
    return [
        AppendEnvironmentVariable("GZ_SIM_RESOURCE_PATH", str(paths.share() / "sim" / "models")),
        _include(gazebo, gz_args=f"-r {window}{world}", on_exit_shutdown="true"),
        *[_bridge(folder, name, text) for name, text in bridges.items()],
        Node(package="ros_gz_image", executable="image_bridge", arguments=fleet.images(units)),
        *[
            _include(robot, config=str(file), unit=unit)
            for unit, file in fleet.write_realms(folder, units).items()
        ],
        RegisterEventHandler(tidy),
    ]


def _bridge(folder, name, text):
    file = folder / f"{name}_bridge.yaml"
    file.write_text(text)
    return Node(
        package="ros_gz_bridge",
        executable="parameter_bridge",
        name=f"{name}_bridge",
        parameters=[{"config_file": str(file)}],
        output="both",
    )


def _include(file, **arguments):
    return IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(file)), launch_arguments=arguments.items()
    )
