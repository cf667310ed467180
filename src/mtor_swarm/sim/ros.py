"""The embedded simulator as ROS sees it: one node that has every unit's topics, and `/clock`.

What nobody listens to is neither measured nor sent. Nothing of the ground truth is ever on ROS.
"""

from __future__ import annotations

import array
import functools
import math
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import rclpy
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Twist
from nav_msgs.msg import Odometry as OdometryMessage
from rclpy.executors import ExternalShutdownException
from rclpy.experimental.events_executor import EventsExecutor
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.signals import SignalHandlerOptions
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CompressedImage, LaserScan
from sensor_msgs.msg import Imu as ImuMessage

from mtor_swarm.realm.bus import CONTROL_QOS, SENSOR_QOS
from mtor_swarm.sim.camera import Cameras
from mtor_swarm.sim.engine import Engine
from mtor_swarm.sim.measures import POSITION_NOISE_M, YAW_NOISE_RAD
from mtor_swarm.sim.world import Imu, Lidar, Model

CLOCK_QOS = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
"""As rclpy's own time source listens to `/clock`."""
CLOCK_PERIOD_S = 0.02
DRIVE_TIMEOUT_S = 0.5
"""As a real base, a unit stands still when nobody has driven it for so long."""
LOOK_EVERY_S = 0.5
"""How often it is looked who listens."""
SPIN_S = 0.2

RCLError: type[Exception] = rclpy_implementation.RCLError


class _Stream:
    """A topic with a rate: when it is due, and whether anybody listens."""

    def __init__(
        self, publisher: Any, period_s: float, first_s: float, make: Callable[[], Any]
    ) -> None:
        self.publisher = publisher
        self.period_s = period_s
        self.due_s = first_s
        self.make = make
        self.heard = False

    def is_due(self, now: float) -> bool:
        """Whether a message is due; what came late is not made up for."""
        if now < self.due_s - 1e-9:
            return False
        self.due_s += self.period_s * max(1, math.floor((now - self.due_s) / self.period_s) + 1)
        return True


class RosSide:
    """Publishes what an engine measures and hands it what is commanded.

    `step` and `close` belong to the engine's thread; messages arrive in a thread of its own.
    `counts`: `junk` (commands that are not finite), `unsent` (messages that ROS would not take).
    """

    def __init__(self, engine: Engine, *, camera_hz: float, ray_cast: bool = False) -> None:
        rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
        self.counts: Counter[str] = Counter()
        self._engine = engine
        self._commands: dict[str, tuple[float, float]] = {}
        self._driven_s: dict[str, float] = {}
        self._node = Node(
            "simulator",
            enable_rosout=False,
            start_parameter_services=False,
            parameter_overrides=[Parameter("start_type_description_service", value=False)],
        )
        self._looked_s = -math.inf
        clock = self._node.create_publisher(Clock, "/clock", CLOCK_QOS)
        self._streams = [_Stream(clock, CLOCK_PERIOD_S, 0.0, self._clock)]
        self._pictures: dict[str, Any] = {}
        self.cameras = Cameras(engine.compiled, self._picture, hz=camera_hz, ray_cast=ray_cast)
        for number, model in enumerate(engine.world.units):
            self._add(model, number / len(engine.units))
        self._executor = EventsExecutor()
        self._executor.add_node(self._node)
        self._ending = False
        self._thread = threading.Thread(target=self._spin, name="ros", daemon=True)

    def start(self) -> None:
        """Begin to listen, and to take pictures."""
        self._thread.start()
        self.cameras.start()

    def step(self, count: int) -> None:
        """Advance the engine by so many physics steps; publish what is due then."""
        engine = self._engine
        for unit in tuple(self._commands):
            engine.command(unit, *self._commands.pop(unit))
            self._driven_s[unit] = engine.time_s
        for unit, at in tuple(self._driven_s.items()):
            if engine.time_s - at > DRIVE_TIMEOUT_S:
                engine.command(unit, 0.0, 0.0)
                del self._driven_s[unit]
        engine.step(count)
        now = engine.time_s
        if now - self._looked_s >= LOOK_EVERY_S:
            self._looked_s = now
            self._look()
        self.cameras.offer(now, engine.data.qpos.copy())
        for stream in self._streams:
            if stream.is_due(now) and stream.heard:
                self._send(stream.publisher, stream.make())

    def close(self) -> None:
        """End the threads and leave ROS."""
        self.cameras.close()
        self._ending = True
        if self._thread.is_alive():
            self._thread.join(5.0)
        self._executor.shutdown()
        self._node.destroy_node()
        rclpy.try_shutdown()

    def _add(self, model: Model, phase: float) -> None:
        """A unit's topics; `phase` (0 to 1) spreads units over each period."""
        unit = model.name
        assert model.drive is not None

        def stream(kind: Any, topic: str, hz: float, make: Callable[[], Any]) -> None:
            publisher = self._node.create_publisher(kind, f"/{topic}", SENSOR_QOS)
            self._streams.append(_Stream(publisher, 1 / hz, (1 + phase) / hz, make))

        if model.odometry:
            child, frame = model.odometry.child_frame, model.odometry.frame
            stream(
                OdometryMessage,
                model.odometry.topic,
                model.odometry.rate_hz,
                functools.partial(self._odometry, unit, frame, child),
            )
        for link, sensor in model.sensors():
            frame_id = f"{unit}/{link.name}/{sensor.name}"
            if isinstance(sensor, Lidar):
                scan = _blank_scan(sensor, frame_id)
                stream(
                    LaserScan,
                    sensor.topic,
                    sensor.rate_hz,
                    functools.partial(self._scan, unit, scan),
                )
            elif isinstance(sensor, Imu):
                stream(
                    ImuMessage,
                    sensor.topic,
                    sensor.rate_hz,
                    functools.partial(self._imu, unit, frame_id),
                )
            elif self.cameras.units.get(unit) == sensor:
                publisher = self._node.create_publisher(
                    CompressedImage, f"/{sensor.topic}/compressed", SENSOR_QOS
                )
                self._pictures[unit] = (publisher, frame_id)
        self._node.create_subscription(
            Twist, f"/{model.drive.topic}", lambda twist: self._command(unit, twist), CONTROL_QOS
        )

    def _command(self, unit: str, twist: Twist) -> None:
        v, w = twist.linear.x, twist.angular.z
        if math.isfinite(v) and math.isfinite(w):
            self._commands[unit] = (v, w)
        else:
            self.counts["junk"] += 1

    def _look(self) -> None:
        for stream in self._streams:
            stream.heard = stream.publisher.get_subscription_count() > 0
        self.cameras.want(
            [
                unit
                for unit, (publisher, _) in self._pictures.items()
                if publisher.get_subscription_count() > 0
            ]
        )

    def _send(self, publisher: Any, message: Any) -> None:
        try:
            publisher.publish(message)
        except RCLError:  # its buffers are full: measurements are not sent twice
            self.counts["unsent"] += 1

    def _spin(self) -> None:
        while not self._ending:
            try:
                self._executor.spin_once(timeout_sec=SPIN_S)
            except ExternalShutdownException:
                return

    def _clock(self) -> Clock:
        return Clock(clock=_stamp(self._engine.time_s))

    def _odometry(self, unit: str, frame: str, child: str) -> OdometryMessage:
        measured = self._engine.odometry(unit)
        message = OdometryMessage(child_frame_id=child)
        message.header.frame_id = frame
        message.header.stamp = _stamp(self._engine.time_s)
        pose, twist = message.pose.pose, message.twist.twist
        pose.position.x, pose.position.y = measured.pose.x_m, measured.pose.y_m
        pose.orientation.z = math.sin(measured.pose.yaw_rad / 2)
        pose.orientation.w = math.cos(measured.pose.yaw_rad / 2)
        twist.linear.x, twist.angular.z = measured.speed_mps, measured.turn_rps
        covariance = message.pose.covariance
        covariance[0] = covariance[7] = POSITION_NOISE_M**2
        covariance[35] = YAW_NOISE_RAD**2
        return message

    def _scan(self, unit: str, message: LaserScan) -> LaserScan:
        message.header.stamp = _stamp(self._engine.time_s)
        ranges = array.array("f")
        ranges.frombytes(self._engine.lidar(unit).tobytes())
        message.ranges = ranges
        return message

    def _imu(self, unit: str, frame_id: str) -> ImuMessage:
        reading = self._engine.imu(unit)
        message = ImuMessage()
        message.header.frame_id = frame_id
        message.header.stamp = _stamp(self._engine.time_s)
        facing = message.orientation
        facing.w, facing.x, facing.y, facing.z = reading.orientation
        turning, pull = message.angular_velocity, message.linear_acceleration
        turning.x, turning.y, turning.z = reading.turning
        pull.x, pull.y, pull.z = reading.acceleration
        return message

    def _picture(self, unit: str, time_s: float, jpeg: bytes) -> None:
        """Send a picture; in the render thread."""
        publisher, frame_id = self._pictures[unit]
        message = CompressedImage(format="jpeg")
        message.header.frame_id = frame_id
        message.header.stamp = _stamp(time_s)
        data = array.array("B")
        data.frombytes(jpeg)
        message.data = data
        self._send(publisher, message)


def _blank_scan(lidar: Lidar, frame_id: str) -> LaserScan:
    message = LaserScan(
        angle_min=lidar.first_rad,
        angle_max=lidar.last_rad,
        angle_increment=(lidar.last_rad - lidar.first_rad) / (lidar.samples - 1),
        scan_time=1 / lidar.rate_hz,
        range_min=lidar.min_m,
        range_max=lidar.max_m,
    )
    message.header.frame_id = frame_id
    return message


def _stamp(time_s: float) -> Time:
    nanoseconds = round(time_s * 1e9)
    return Time(sec=nanoseconds // 1_000_000_000, nanosec=nanoseconds % 1_000_000_000)
