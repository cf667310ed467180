"""For every test: a ROS domain of this process's own, and a home that is not the user's."""

from __future__ import annotations

import os
import tempfile

from mtor_swarm.realm import domain

domain.claim()
os.environ["ROS_LOG_DIR"] = tempfile.mkdtemp(prefix="mtor-test-ros-log-")
os.environ["XDG_STATE_HOME"] = tempfile.mkdtemp(prefix="mtor-test-state-")
