"""What every worker subclasses: a lifecycle node that fails in the open, and alone.

A whole worker::

    class Bell(Worker):
        def load(self) -> None:
            self.on("mtor.target.seen", self._ring)

        def _ring(self, event: Event) -> None:
            self.say(UnitChanged(doing="ringing", was=""))

What can be set on it and what it can be asked are declared::

    class Echo(Worker):
        parameters = (Setting("times", 1, "how often it repeats", least=1, most=9, live=True),)
        capabilities = (Capability("echo", concurrency=4),)

        def answer(self, ask: Question, tell: Callable[[bytes | str], None]) -> Reply:
            return ask.payload * self.value("times")
"""

from __future__ import annotations

import time
import traceback
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from std_msgs.msg import String

from mtor_swarm import events
from mtor_swarm.config import RealmConfig
from mtor_swarm.errors import AskError, SwarmError, explain
from mtor_swarm.events import Event, Scope, WorkerChanged
from mtor_swarm.realm import logs
from mtor_swarm.realm.answering import Answering, Question
from mtor_swarm.realm.bus import RealmBus, heartbeat_qos
from mtor_swarm.realm.capability import Capability, Reply
from mtor_swarm.realm.diagnostics import WORK, Reporter, Work
from mtor_swarm.realm.parameters import Parameters, Setting, Value

REPORT_EVERY_S = 5.0
"""Faults are logged and reported at most this often; each one is counted."""
STEADY = Clock(clock_type=ClockType.STEADY_TIME)
"""Time that neither a simulator nor a clock's correction moves."""
LEAN: dict[str, Any] = {"enable_rosout": False, "start_parameter_services": False}
"""A node of ours offers no services that nobody asks for."""


def lean_parameters(use_sim_time: bool) -> list[Parameter]:
    """Parameters of a lean node; `use_sim_time` makes its own clock follow `/clock`."""
    return [
        Parameter("use_sim_time", value=use_sim_time),
        Parameter("start_type_description_service", value=False),
    ]


class Worker(LifecycleNode):  # type: ignore[misc]  # rclpy has no types
    """A lifecycle node of one unit, woken by events and by nothing else.

    A subclass overrides any of `load`, `start`, `stop`, `unload`, `answer` and `on_parameter`.
    What `load` makes by `hear`, `on` and `every` runs on the worker's executor, only while it is
    active (unless `always`), and is taken down by itself. A handler that raises is counted, logged
    and reported, and the worker goes on. A handler that blocks silences the heartbeat: long work
    (a model) belongs in a thread. `counts` has `faults` and whatever a subclass counts besides.
    """

    alone = False
    """Whether it has a thread of its own (`host.spin`), where no other worker can delay it."""
    clocked = True
    """Whether its clock follows `/clock` in a simulation; who reads no clock is spared that."""
    capabilities: Sequence[Capability] = ()
    """What it can be asked, once it is loaded: `load` may still say."""
    parameters: Sequence[Setting] = ()
    """What can be set on it: by its config, and the live ones by `ros2 param set`."""

    def __init__(self, *, name: str, config: RealmConfig) -> None:
        super().__init__(
            name,
            namespace=f"/{config.unit}",
            parameter_overrides=lean_parameters(config.use_sim_time and self.clocked),
            **{**LEAN, "start_parameter_services": bool(self.parameters)},
        )
        self.config = config
        self.source = f"/{config.unit}/{name}"
        self.active = False
        self.in_transition = False
        self.counts: Counter[str] = Counter()
        self.bus = RealmBus(self, on_fault=self.fault)
        self._work = Work()
        self._reporter = Reporter(self, config.unit, name + WORK, self._worked)
        self._undo: list[Callable[[], object]] = []
        self._reported_s = -REPORT_EVERY_S
        lease_s = config.supervision.heartbeat_lease_s
        self._heart = self.create_publisher(String, f"{name}/heartbeat", heartbeat_qos(lease_s))
        # A lease is two heartbeats, so that a hang is known within two.
        self.create_timer(lease_s / 2, self._beat, clock=STEADY)
        self._heart.assert_liveliness()
        more = config.workers.get(name)
        self._settings = Parameters(
            self, self.parameters, more.parameters if more else {}, self.on_parameter
        )
        self.answering = Answering(self)

    def get_logger(self) -> Any:
        """The node's logger; it writes JSON if `MTOR_LOG` says so (`logs`)."""
        return logs.logger(super().get_logger())

    # What a subclass may override.

    def load(self) -> None:
        """Take what is needed: files, models, subscriptions. May raise: the reason is told."""

    def start(self) -> None:
        """Begin to work; handlers run from now on."""

    def stop(self) -> None:
        """Cease to work; handlers no longer run."""

    def unload(self) -> None:
        """Let go of what `load` took. Also called when `load` failed halfway."""

    def answer(self, ask: Question, tell: Callable[[bytes | str], None]) -> Reply:
        """Answer one of its `capabilities`, on a thread of its own; `tell` streams a part.

        AskError: the question is bad, whoever answers. Whatever else it raises is a failure, and
        the ask goes to another worker, if there is one.
        """
        raise AskError(f"{self.get_name()} answers nothing")

    def on_parameter(self, name: str, value: Value) -> None:
        """A live parameter is about to change; a SwarmError refuses, and says why."""

    def measures(self) -> Mapping[str, float]:
        """What `/diagnostics` and the metrics should show of it besides `counts`."""
        return {}

    # What a subclass calls.

    def value(self, name: str) -> Any:
        """What one of its `parameters` is now. From any thread."""
        return self.get_parameter(name).value

    def say(self, data: msgspec.Struct, *, type: str = "", scope: Scope = "realm") -> Event:
        """Publish an event that says `data` to the realm; see `events.make`. From any thread.

        One of a type of your own gets a name (`smoke.seen`), and stays in the realm unless `scope`
        says "swarm".
        """
        event = events.make(
            data,
            source=self.source,
            wall_s=time.time(),
            unit=self.config.unit,
            type=type,
            scope=scope,
        )
        self.bus.publish(event)
        return event

    def on(self, type: str, handler: Callable[[Event], None]) -> None:
        """Call `handler` with each event of this type (`bus.ALL`: of any) while active."""
        self._undo.append(self.bus.subscribe((type,), self._guarded(f"event {type}", handler)))

    def hear(
        self,
        kind: Any,
        topic: str,
        handler: Callable[[Any], None],
        qos: QoSProfile,
        *,
        always: bool = False,
    ) -> None:
        """Call `handler` with each message of class `kind` on this relative topic while active.

        `always`: from `load` on, active or not.
        """
        guarded = self._guarded(f"topic {topic}", handler, always=always)
        subscription = self.create_subscription(kind, topic, guarded, qos)
        self._undo.append(lambda: self.destroy_subscription(subscription))

    def every(self, period_s: float, handler: Callable[[], None], *, steady: bool = False) -> None:
        """Call `handler` periodically while active, by the node's clock or by steady time."""
        guarded = self._guarded(f"timer of {period_s:g} s", handler)
        clock = STEADY if steady else self.get_clock()
        # rclpy hands a TimerInfo to any callback that could take an argument: this one cannot.
        timer = self.create_timer(period_s, lambda: guarded(), clock=clock)  # noqa: PLW0108
        self._undo.append(lambda: self.destroy_timer(timer))

    def fault(self, culprit: str, error: BaseException) -> None:
        """Count, log and report what went wrong in `culprit`; goes on. From any thread."""
        self.counts["faults"] += 1
        now = time.monotonic()
        if now - self._reported_s < REPORT_EVERY_S:
            return
        self._reported_s = now
        reason = f"{culprit}: {explain(error)} ({self.counts['faults']} faults so far)"
        self.get_logger().error(f"{reason}\n{''.join(traceback.format_exception(error))}")
        state = "active" if self.active else "inactive"
        self._tell(state, state, reason)

    # ROS's own lifecycle.

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load; a failure leaves the worker unconfigured and clean."""
        self.in_transition = True
        try:
            self._settings.freeze()
            self.load()
            self.answering.offer()
        except Exception as error:
            self._failed("load", state, error)
            self._clean()
            return TransitionCallbackReturn.FAILURE
        finally:
            self.in_transition = False
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Start; a failure leaves the worker inactive."""
        self.in_transition = True
        try:
            done = super().on_activate(state)
            self.start()
        except Exception as error:
            self._failed("start", state, error)
            super().on_deactivate(state)
            return TransitionCallbackReturn.FAILURE
        finally:
            self.in_transition = False
        self.active = done == TransitionCallbackReturn.SUCCESS
        return done

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop; the worker is inactive afterwards, whatever `stop` raises."""
        self.active = False
        self.answering.stop("it is stopped")
        self._attempt("stop", self.stop)
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Unload; the worker is unconfigured afterwards, whatever `unload` raises."""
        self._clean()
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop and unload, as far as there is anything to."""
        self.close()
        return super().on_shutdown(state)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Back to unconfigured, from where the orchestrator tries again."""
        self.close()
        return TransitionCallbackReturn.SUCCESS

    def close(self) -> None:
        """Stop and unload from any state, without ROS's leave: the process ends."""
        if self.active:
            self.active = False
            self.answering.stop("it is stopped")
            self._attempt("stop", self.stop)
        self._clean()

    def destroy_node(self) -> None:
        """Let go of everything, for good."""
        self.answering.close()
        super().destroy_node()

    def _clean(self) -> None:
        self._attempt("unload", self.unload)
        self._settings.thaw()
        while self._undo:
            self._undo.pop()()

    def _attempt(self, name: str, hook: Callable[[], None]) -> None:
        try:
            hook()
        except Exception as error:  # teardown goes on, and is told
            self.fault(name, error)

    def _guarded(
        self, culprit: str, handler: Callable[..., None], *, always: bool = False
    ) -> Callable[..., None]:
        def run(*args: Any) -> None:
            if not (self.active or always):
                return
            begun_s = time.perf_counter()
            try:
                handler(*args)
            except Exception as error:  # one bad message must not end the process
                self.fault(culprit, error)
            self._work.done(time.perf_counter() - begun_s)

        return run

    def _beat(self) -> None:
        self._heart.assert_liveliness()
        self._attempt("measures", self._reporter.beat)

    def _worked(self) -> dict[str, float]:
        counts = {**self.bus.counts, "faults": 0, **self.counts}
        return {**self._work.values(), **counts, **self.measures()}

    def _failed(self, step: str, state: LifecycleState, error: Exception) -> None:
        self.counts["faults"] += 1
        reason = f"{step}: {explain(error)}"
        trace = "" if isinstance(error, SwarmError) else "".join(traceback.format_exception(error))
        self.get_logger().error(f"cannot {reason}\n{trace}".rstrip())
        self._tell("failed", state.label, reason)

    def _tell(self, state: str, was: str, reason: str) -> None:
        self.say(WorkerChanged(worker=self.get_name(), state=state, was=was, reason=reason))
