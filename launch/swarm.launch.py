"""A whole swarm on one machine: N realms, the embedded simulator and the viewer.

ros2 launch mtor_swarm swarm.launch.py units:=6 seed:=7
"""

import shutil
import tempfile
from pathlib import Path

from launch import LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    ExecuteProcess,
    IncludeLaunchDescription,
    OpaqueFunction,
    RegisterEventHandler,
    Shutdown,
)
from launch.event_handlers import OnShutdown
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.substitutions import ExecutableInPackage

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
                "base_port",
                default_value=str(fleet.BASE_PORT),
                description="The first unit's port in the swarm; the others' follow.",
            ),
            DeclareLaunchArgument(
                "viewer_port", default_value="8080", description="Port of the viewer; 0: none."
            ),
            OpaqueFunction(function=_swarm),
        ]
    )


def _swarm(context):
    units = unit_names(int(LaunchConfiguration("units").perform(context)))
    seed = int(LaunchConfiguration("seed").perform(context))
    base_port = int(LaunchConfiguration("base_port").perform(context))
    port = LaunchConfiguration("viewer_port").perform(context)
    folder = Path(tempfile.mkdtemp(prefix="mtor-launch-"))
    world = folder / "world.sdf"
    world.write_text(compose(LaunchConfiguration("world").perform(context), units, seed))
    robot = PythonLaunchDescriptionSource(str(Path(__file__).with_name("robot.launch.py")))
    realms = [
        IncludeLaunchDescription(
            robot, launch_arguments={"config": str(file), "unit": unit}.items()
        )
        for unit, file in fleet.write_realms(folder, units, base_port).items()
    ]
    viewer = ["--port", port, "--world", str(world)]
    for address in fleet.seeds(units, base_port):
        viewer += ["--seed", address]
    tidy = OnShutdown(on_shutdown=lambda *_: shutil.rmtree(folder, ignore_errors=True))
    return [
        _process("mtor_sim", ["--world", str(world)], on_exit=Shutdown()),
        *realms,
        *([_process("mtor_gateway", viewer)] if port != "0" else []),
        RegisterEventHandler(tidy),
    ]


def _process(executable, arguments, **more):
    """A process of ours that is no ROS node by its command line, so that `Node` will not do."""
    return ExecuteProcess(
        cmd=[ExecutableInPackage(executable, "mtor_swarm"), *arguments],
        name=executable.removeprefix("mtor_"),
        output="both",
        **more,
    )
