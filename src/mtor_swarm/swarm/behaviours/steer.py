"""Steer: a differential drive follows a velocity that it cannot have at once.

Source: the proportional heading law with the forward speed scaled by the cosine of the heading
error, as used for unicycles (Siegwart & Nourbakhsh, *Autonomous Mobile Robots*, ch. 3).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from mtor_swarm.swarm.behaviours.geometry import Array, heading, length, wrap

GAIN_PER_S = 2.5
"""How fast a heading error is turned away."""
TURN_FIRST_RAD = 1.0
"""Beyond this heading error the unit turns where it stands."""


def steer(
    velocity: ArrayLike, yaw: ArrayLike, *, max_speed_mps: float = 0.5, max_turn_rps: float = 1.5
) -> tuple[Array, Array]:
    """Forward speed (...) and turn rate (...) towards `velocity` (..., 2) in frame `map`.

    `yaw` (...) is the unit's heading in `map`. Guarantees: both within their limits, never
    backwards, and no turn for a velocity of zero.
    """
    wanted = length(velocity)
    error = np.where(wanted > 0, wrap(heading(velocity) - np.asarray(yaw)), 0.0)
    aligned = np.where(np.abs(error) < TURN_FIRST_RAD, np.cos(error) ** 2, 0.0)
    speed = np.minimum(wanted, max_speed_mps) * aligned
    return speed, np.clip(GAIN_PER_S * error, -max_turn_rps, max_turn_rps)


def face(
    direction: ArrayLike, yaw: ArrayLike, *, max_turn_rps: float = 1.2
) -> tuple[Array, Array]:
    """Speed 0 and the turn rate (...) that brings `yaw` (...) to `direction` (...), both `map`."""
    error = wrap(np.asarray(direction) - np.asarray(yaw))
    turn = np.clip(GAIN_PER_S * error, -max_turn_rps, max_turn_rps)
    return np.zeros_like(turn), turn
