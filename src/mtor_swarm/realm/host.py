"""One process that holds some nodes of a realm: arguments in, executors, a clean end.

The nodes share one executor; one that is `alone` has its own, on a thread of its own. Each loop is
watched. When a handler blocks it for good, the heartbeats of its workers stop, others see them as
dead, and here a thread says where it hangs and ends the process, so that whoever runs it can bring
it back.
"""

from __future__ import annotations

import argparse
import faulthandler
import functools
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from typing import Any

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.signals import SignalHandlerOptions
from rclpy.utilities import remove_ros_args

from mtor_swarm import config as configs
from mtor_swarm.config import RealmConfig, SupervisionConfig
from mtor_swarm.errors import SwarmError
from mtor_swarm.realm import domain
from mtor_swarm.realm.processes import EX_CONFIG, EX_SOFTWARE
from mtor_swarm.realm.worker import Worker

try:
    from rclpy.experimental import EventsExecutor as Executor
except ImportError:  # ROS 2 Jazzy has none yet: the same, at three times the cost
    from rclpy.executors import SingleThreadedExecutor as Executor

HANG_LEASES = 4
"""The loop may stand still for so many heartbeat leases."""
GIL_S = 0.0005
"""A thread asks for its turn after this (Python's default is 5 ms).

An event passes from thread to thread on its way, and would wait for each of them that long.
"""
_OWN_DOMAIN = ("ROS_AUTOMATIC_DISCOVERY_RANGE", "ROS_STATIC_PEERS", "ROS_DISCOVERY_SERVER")
"""Whoever set one of these has decided how far ROS reaches."""


def main(
    name: str,
    compose: Callable[..., Sequence[Any]],
    argv: Sequence[str] | None = None,
    own: argparse.ArgumentParser | None = None,
) -> int:
    """Run `name --config FILE [--ros-args …]` with the nodes that `compose(config)` makes.

    The options of the parser `own` come on top, and `compose` has them as keywords. 0 when asked
    to end; EX_CONFIG, with one line that says why, if a person must act first.
    """
    sys.setswitchinterval(GIL_S)
    faulthandler.enable(2)  # a crash in a library, and SIGABRT, show where they were met
    arguments = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(
        prog=name,
        description=f"{name}: nodes of one unit's realm.",
        parents=[own] if own else [],
    )
    parser.add_argument("--config", required=True, metavar="FILE", help="the realm's config")
    given = vars(parser.parse_args(remove_ros_args([name, *arguments])[1:]))
    try:
        config = configs.load(given.pop("config"), RealmConfig)
        _run(config, functools.partial(compose, **given), [name, *arguments])
    except SwarmError as error:
        print(f"{name}: {error}", file=sys.stderr, flush=True)
        return EX_CONFIG
    return 0


def _run(
    config: RealmConfig, compose: Callable[[RealmConfig], Sequence[Any]], argv: list[str]
) -> None:
    stop = threading.Event()
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, lambda *_: stop.set())
    if not any(each in os.environ for each in _OWN_DOMAIN):
        domain.quiet()
    domain.sweep()
    rclpy.init(args=argv, signal_handler_options=SignalHandlerOptions.NO)
    nodes: list[Any] = []
    try:
        nodes.extend(compose(config))
        spin(nodes, config.supervision, stop)
    finally:
        for each in reversed(nodes):
            each.destroy_node()
        rclpy.try_shutdown()
    for each in nodes:
        if getattr(each, "fatal", None) is not None:  # no restart can cure it: a person must act
            raise each.fatal


def spin(nodes: Sequence[Any], config: SupervisionConfig, stop: threading.Event) -> None:
    """Turn the nodes until `stop` is set, then close the workers among them.

    Who is `alone` is turned and closed on a thread of its own: however long the others block, the
    wheels still brake, and at the end they stop first.
    """
    together = [each for each in nodes if not getattr(each, "alone", False)]
    threads = [
        threading.Thread(target=_turn, args=([each], config, stop), name=each.get_name())
        for each in nodes
        if each not in together
    ]
    for each in threads:
        each.start()
    try:
        _turn(together, config, stop)
    finally:
        stop.set()
        for each in threads:
            each.join()


def _turn(nodes: Sequence[Any], config: SupervisionConfig, stop: threading.Event) -> None:
    """One loop; an executor's own `spin()` fires nothing in these wheels."""
    executor = Executor()
    for each in nodes:
        executor.add_node(each)
    watchdog = Watchdog(nodes, config)
    watchdog.start()
    try:
        while not stop.is_set():
            try:
                executor.spin_once(timeout_sec=0.2)
            except ExternalShutdownException:
                break
            except Exception:  # workers guard their handlers: a defect of ours, told and outlived
                traceback.print_exc()
            watchdog.turns += 1
    finally:
        watchdog.stop()
        for each in nodes:
            if isinstance(each, Worker):
                each.close()
        executor.shutdown()


class Watchdog:
    """Ends the process when the loop that raises `turns` stands still for too long.

    It counts its own ticks instead of asking a clock: a process that was stopped (SIGSTOP) or a
    machine that slept did not hang.
    """

    def __init__(self, nodes: Sequence[Any], config: SupervisionConfig) -> None:
        self.turns = 0
        self._nodes = nodes
        self._config = config
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def start(self) -> None:
        """Watch from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Cease to watch."""
        self._ended.set()
        self._thread.join()

    def _limit_s(self, loading: bool) -> float:
        """How long the loop may stand still: loading a model takes its time."""
        if loading:
            return self._config.configure_timeout_s
        return HANG_LEASES * self._config.heartbeat_lease_s

    def _watch(self) -> None:
        period_s = self._config.heartbeat_lease_s / 3
        last, still_s = (-1, False), 0.0
        while not self._ended.wait(period_s):
            loading = any(getattr(each, "in_transition", False) for each in self._nodes)
            # A load's own time must not count against what comes after it.
            still_s = still_s + period_s if (self.turns, loading) == last else 0.0
            last = (self.turns, loading)
            if still_s >= self._limit_s(loading):
                print(f"hangs for {still_s:.0f} s, and ends itself; here:", file=sys.stderr)
                faulthandler.dump_traceback(file=sys.stderr, all_threads=True)
                sys.stderr.flush()
                os._exit(EX_SOFTWARE)
