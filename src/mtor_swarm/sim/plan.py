"""The world from above: what stands in it, for maps and for finding free places."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import msgspec

from mtor_swarm.sim.reading import read
from mtor_swarm.sim.spatial import Transform
from mtor_swarm.sim.world import Box, Colour, Cylinder, Model, Shape, Sphere, World

TARGET = "cat"
"""The model that a mission looks for bears this name."""


class Footprint(msgspec.Struct, frozen=True):
    """An obstacle's rectangle in the world: centre, heading, full lengths."""

    name: str
    x_m: float
    y_m: float
    yaw_rad: float
    length_m: float
    width_m: float
    colour: Colour

    def distance(self, x_m: float, y_m: float) -> float:
        """Metres from a point to the rectangle, 0 inside."""
        dx, dy = x_m - self.x_m, y_m - self.y_m
        cos, sin = math.cos(self.yaw_rad), math.sin(self.yaw_rad)
        along, across = abs(dx * cos + dy * sin), abs(dy * cos - dx * sin)
        return math.hypot(max(0.0, along - self.length_m / 2), max(0.0, across - self.width_m / 2))


def footprints(world: World, leave_out: str = TARGET) -> list[Footprint]:
    """Every static solid but planes and the model called `leave_out`."""
    return [
        found
        for model in world.models
        if model.static and model.name != leave_out
        for found in _of(model)
    ]


def bounds(world: World) -> tuple[float, float, float, float]:
    """x_min, y_min, x_max, y_max of all that is solid, 10 m around the origin if nothing is."""
    corners = [corner for each in footprints(world) for corner in _corners(each)]
    if not corners:
        return (-10.0, -10.0, 10.0, 10.0)
    xs, ys = zip(*corners, strict=True)
    return (min(xs), min(ys), max(xs), max(ys))


def plan(world: World) -> dict[str, Any]:
    """The map as JSON-ready values; the target is not on it."""
    return {
        "bounds": list(bounds(world)),
        "boxes": [
            {
                "name": each.name,
                "x": each.x_m,
                "y": each.y_m,
                "yaw": each.yaw_rad,
                "sx": each.length_m,
                "sy": each.width_m,
                "color": "#" + "".join(f"{round(255 * part):02x}" for part in each.colour[:3]),
            }
            for each in footprints(world)
        ],
    }


def load(path: str | Path) -> dict[str, Any]:
    """The map of a world file; WorldError if it cannot be read."""
    return plan(read(path))


def _of(model: Model) -> list[Footprint]:
    found = []
    for link in model.links:
        drawn = [each for each in link.shapes if each.kind == "visual"]
        for shape in link.shapes:
            size = _size(shape)
            if shape.kind == "collision" and size:
                at: Transform = model.pose @ link.pose @ shape.pose
                colour = (drawn or link.shapes)[0].colour
                x, y, _ = at.position
                found.append(Footprint(model.name, x, y, at.yaw_rad, *size, colour))
    return found


def _size(shape: Shape) -> tuple[float, float] | None:
    geometry = shape.geometry
    if isinstance(geometry, Box):
        return geometry.size[:2]
    if isinstance(geometry, Sphere | Cylinder):
        return (2 * geometry.radius, 2 * geometry.radius)
    return None


def _corners(each: Footprint) -> list[tuple[float, float]]:
    cos, sin = math.cos(each.yaw_rad), math.sin(each.yaw_rad)
    return [
        (
            each.x_m + (a * each.length_m * cos - b * each.width_m * sin) / 2,
            each.y_m + (a * each.length_m * sin + b * each.width_m * cos) / 2,
        )
        for a in (-1, 1)
        for b in (-1, 1)
    ]
