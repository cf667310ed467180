"""mtor_swarm: a realm of AI workers on every robot, and a swarm with no one in charge."""

__version__ = "0.1.0"
