"""For every test: a ROS domain of this process's own, and a home that is not the user's."""

from __future__ import annotations

import os
import tempfile

from hypothesis import HealthCheck, settings

from mtor_swarm.realm import domain

domain.claim()
os.environ["ROS_LOG_DIR"] = tempfile.mkdtemp(prefix="mtor-test-ros-log-")
os.environ["XDG_STATE_HOME"] = tempfile.mkdtemp(prefix="mtor-test-state-")

# The same examples every time, however slow the machine: a red test is a fault, never the weather.
settings.register_profile(
    "mtor",
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("mtor")
