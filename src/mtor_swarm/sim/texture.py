"""A picture on the sides of a box, as Gazebo lays it: whole and upright on each of the four.

`side_uv` is the one place that knows how; MuJoCo's cube texture and the ray-cast camera follow it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mtor_swarm.ports import Picture

Array = NDArray[np.float64]

_CUBE = (  # direction of a cube face's texel: centre, and where s and t (downwards) lead
    ((1, 0, 0), (0, 0, -1), (0, -1, 0)),
    ((-1, 0, 0), (0, 0, 1), (0, -1, 0)),
    ((0, 1, 0), (1, 0, 0), (0, 0, 1)),
    ((0, -1, 0), (1, 0, 0), (0, 0, -1)),
    ((0, 0, 1), (1, 0, 0), (0, -1, 0)),
    ((0, 0, -1), (-1, 0, 0), (0, -1, 0)),
)
"""OpenGL 4.6 core, table 8.19."""


def side_uv(points: Array) -> tuple[Array, Array]:
    """Picture coordinates (u to the right, v down, 0 to 1) of points on a box.

    `points`, shape (n, 3), are in units of the half lengths: on the surface the largest is ±1.
    """
    x, y, z = points.T
    face = np.argmax(np.abs(points), axis=1)
    sign = np.sign(points[np.arange(len(points)), face])
    u = np.select([face == 0, face == 1], [sign * y, -sign * x], -y)
    v = np.where(face == 2, -sign * x, -z)
    return np.clip((u + 1) / 2, 0, 1), np.clip((v + 1) / 2, 0, 1)


def sample(picture: Picture, u: Array, v: Array) -> Picture:
    """The picture's nearest pixels, shape (n, 3)."""
    height, width = picture.shape[:2]
    column = np.minimum((u * width).astype(np.intp), width - 1)
    row = np.minimum((v * height).astype(np.intp), height - 1)
    found: Picture = picture[row, column]
    return found


def cube_faces(picture: Picture, side: int) -> Picture:
    """The six faces of an OpenGL cube map in RGB, one below the other: (6 · side, side, 3)."""
    steps = (np.arange(side) + 0.5) / side * 2 - 1
    s, t = (each.ravel()[:, None] for each in np.meshgrid(steps, steps))
    faces = []
    for centre, along, down in _CUBE:
        points = np.array(centre) + s * np.array(along) + t * np.array(down)
        faces.append(sample(picture, *side_uv(points)).reshape(side, side, 3))
    return np.ascontiguousarray(np.concatenate(faces)[..., ::-1])
