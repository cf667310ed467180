"""A worker that rings when smoke rises before the camera: an example for docs/workers.md."""
