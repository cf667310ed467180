"""What can go wrong, named.

Every error that a user can cause derives from `SwarmError` and its text names the culprit (file,
line, key, unit, port) and what to do next. Anything else that escapes is a defect of ours.
"""

from __future__ import annotations


class SwarmError(Exception):
    """The root of the errors that this package raises on purpose."""


class ConfigError(SwarmError):
    """A file of settings is wrong: names the file, the line and the key."""


class EventError(SwarmError):
    """Bytes or text that are not an event of ours, or an event over its size limit."""


class WireError(SwarmError):
    """Bytes from a peer that are not a frame of ours: counted and dropped at the edge."""


class IdentityError(SwarmError):
    """A key file is missing, unsafe, corrupt or in use by another process."""


class CommandError(SwarmError):
    """A command that cannot be understood or may not be carried out: says why."""


class ModelError(SwarmError):
    """Weights are missing or corrupt, or a model library cannot be loaded."""


class WorldError(SwarmError):
    """A world file cannot be simulated: names the file, the line and the element."""


class AskError(SwarmError):
    """An ask that cannot be sent or read: names what is wrong with it and what to send."""


def explain(error: BaseException) -> str:
    """What went wrong in one line: our own errors speak for themselves, others give their name."""
    if isinstance(error, SwarmError):
        return str(error)
    return f"{error.__class__.__name__}: {error}"
