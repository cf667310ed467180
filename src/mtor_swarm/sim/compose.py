"""A world file with units and a target placed by a seed: SDF text for both simulators.

Everything else in the file stays as it is, byte for byte, so that composing a composed world again
with the same seed changes nothing.
"""

from __future__ import annotations

import colorsys
import math
import random
import re
from collections.abc import Sequence
from pathlib import Path
from string import Template

from mtor_swarm.config import UNIT_NAME
from mtor_swarm.errors import WorldError
from mtor_swarm.sim import plan, resources, xml
from mtor_swarm.sim.reading import read_text
from mtor_swarm.sim.world import World
from mtor_swarm.sim.xml import Element

MAX_UNITS = 200
SPACING_M = 0.8
"""Between the centres of units at the start, and from the walls."""
START_CLEAR_M = 0.45
"""From a unit's centre to the nearest box at the start."""
TARGET_CLEAR_M = 2.0
"""From the target's centre to the nearest wall or box: room to stand around it."""
TARGET_FROM_STARTS_M = 4.0
UNIT_HEIGHT_M = 0.07
"""A unit's base link above the ground."""
TRIES = 2000

Place = tuple[float, float, float]
"""x, y in metres and yaw in radians."""


def compose(
    world_path: str | Path, units: Sequence[str], seed: int, *, target: bool = True
) -> str:
    """The world's SDF text with these units in it and its target somewhere else, or without it.

    Units that the file had are replaced. WorldError if they find no place.
    """
    path = resources.world_path(world_path)
    raw = resources.text_of(path)
    world = read_text(raw, str(path))
    if not 0 < len(units) <= MAX_UNITS:
        raise WorldError(f"{path}: 1 to {MAX_UNITS} units are simulated, not {len(units)}")
    if len(set(units)) != len(units):
        raise WorldError(f"{path}: two units have one name: {', '.join(units)}")
    for unit in units:
        if not re.match(UNIT_NAME, unit):
            raise WorldError(f"`{unit}` cannot name a unit: small letters, digits and _ can")
    kept = {each.name for each in world.models} - {each.name for each in world.units}
    for taken in sorted(kept & set(units)):
        raise WorldError(f"{path}: `{taken}` is already the name of a model; rename the unit")
    dice = random.Random(seed)
    starts, goal = _places(world, len(units), dice)
    template = _template()
    driving = {each.name for each in world.units}
    root = xml.parse(raw, str(path)).need("world")
    edits: list[tuple[int, int, bytes]] = []
    for model in root.all("model"):
        name = model.attribute("name")
        if name in driving or (name == plan.TARGET and not target):
            edits.append((*_whole_lines(raw, model), b""))
        elif name == plan.TARGET and goal:
            edits.append(_moved(model, goal))
    end = raw.rindex(b"</", 0, root.end)
    end = raw.rindex(b"\n", 0, end) + 1 if b"\n" in raw[:end] else end
    added = "".join(
        template.substitute(unit=unit, pose=_pose(start, UNIT_HEIGHT_M), colour=_colour(i))
        for i, (unit, start) in enumerate(zip(units, starts, strict=True))
    )
    edits.append((end, end, added.encode()))
    for first, last, text in sorted(edits, reverse=True):
        raw = raw[:first] + text + raw[last:]
    return raw.decode()


def unit_names(count: int) -> list[str]:
    """r1, r2, … as units are called unless they are given other names."""
    return [f"r{i + 1}" for i in range(count)]


def _places(world: World, count: int, dice: random.Random) -> tuple[list[Place], Place | None]:
    """Where the units start, together in one corner, and where the target stands."""
    solids = plan.footprints(world)
    corners = [(sx, sy) for sx in (-1, 1) for sy in (-1, 1)]
    dice.shuffle(corners)
    for corner in corners:
        starts = _corner(world, solids, count, corner, dice)
        if len(starts) < count:
            continue
        if world.model(plan.TARGET) is None:
            return starts, None
        goal = _goal(world, solids, starts, dice)
        if goal:
            return starts, goal
    raise WorldError(f"{world.file}: no room for {count} units and the target: place fewer")


def _corner(
    world: World,
    solids: list[plan.Footprint],
    count: int,
    corner: tuple[int, int],
    dice: random.Random,
) -> list[Place]:
    """The free places of a grid that are nearest to a corner; each looks about inwards."""
    x_min, y_min, x_max, y_max = plan.bounds(world)
    x0 = x_min if corner[0] < 0 else x_max
    y0 = y_min if corner[1] < 0 else y_max
    spots = [
        (x0 - corner[0] * SPACING_M * i, y0 - corner[1] * SPACING_M * j)
        for i in range(1, int((x_max - x_min) / SPACING_M))
        for j in range(1, int((y_max - y_min) / SPACING_M))
    ]
    spots.sort(key=lambda spot: (round(math.dist(spot, (x0, y0)), 6), spot))
    free = [
        spot for spot in spots if all(each.distance(*spot) >= START_CLEAR_M for each in solids)
    ]
    inwards = math.atan2(-corner[1], -corner[0])
    return [(x, y, round(inwards + dice.uniform(-0.5, 0.5), 3)) for x, y in free[:count]]


def _goal(
    world: World, solids: list[plan.Footprint], starts: list[Place], dice: random.Random
) -> Place | None:
    x_min, y_min, x_max, y_max = plan.bounds(world)
    for _ in range(TRIES):
        x = round(dice.uniform(x_min, x_max), 3)
        y = round(dice.uniform(y_min, y_max), 3)
        yaw = round(dice.uniform(-math.pi, math.pi), 3)
        free = all(each.distance(x, y) >= TARGET_CLEAR_M for each in solids)
        if free and all(
            math.hypot(x - sx, y - sy) >= TARGET_FROM_STARTS_M for sx, sy, _ in starts
        ):
            return (x, y, yaw)
    return None


def _moved(model: Element, place: Place) -> tuple[int, int, bytes]:
    pose = model.need("pose")
    height = pose.values(6)[2]
    return (pose.start, pose.end, f"<pose>{_pose(place, height)}</pose>".encode())


def _pose(place: Place, z: float) -> str:
    x, y, yaw = place
    return f"{x:.3f} {y:.3f} {z:g} 0 0 {yaw:.3f}"


def _whole_lines(raw: bytes, element: Element) -> tuple[int, int]:
    """The element's bytes with the indent before it and the newline after it."""
    start = element.start
    while start and raw[start - 1 : start] in (b" ", b"\t"):
        start -= 1
    end = element.end + (raw[element.end : element.end + 1] == b"\n")
    return start, end


def _colour(index: int) -> str:
    """A colour unlike those of the neighbours: hues by the golden ratio."""
    red, green, blue = colorsys.hsv_to_rgb(index * 0.618034 % 1, 0.75, 0.85)
    return f"{red:.2f} {green:.2f} {blue:.2f} 1"


def _template() -> Template:
    return Template((resources.shipped() / "models" / "unit" / "unit.sdf.in").read_text())
