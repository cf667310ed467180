"""World files: what is read, and how a mistake in one is pointed at."""

from __future__ import annotations

import math

import pytest

from mtor_swarm.errors import WorldError
from mtor_swarm.sim import resources, world
from mtor_swarm.sim.reading import read as read_file
from mtor_swarm.sim.reading import read_text
from mtor_swarm.sim.xml import MAX_BYTES, MAX_DEPTH

BOX = "<geometry><box><size>1 2 3</size></box></geometry>"
PICTURE = "<pbr><metal><albedo_map>no.png</albedo_map></metal></pbr>"


def read(inside: str) -> world.World:
    return read_text(
        f'<sdf version="1.9">\n<world name="w">\n{inside}\n</world></sdf>'.encode(), "w"
    )


def link(inside: str) -> str:
    return f'<model name="m">\n<link name="l">\n{inside}\n</link></model>'


def visual(inside: str) -> str:
    return link(f'<visual name="v">{inside}</visual>')


def test_the_shipped_field_has_six_units_and_a_cat_with_a_picture() -> None:
    field = read_file(resources.world_path("field"))
    assert [each.name for each in field.units] == [f"r{n}" for n in range(1, 7)]
    cat = field.model("cat")
    assert cat is not None
    assert cat.static
    assert [each.texture for each in cat.links[0].shapes if each.texture]
    kinds = [type(sensor) for _, sensor in field.units[0].sensors()]
    assert kinds == [world.Camera, world.Lidar, world.Imu]


def test_a_link_may_be_posed_relative_to_a_later_one() -> None:
    model = read(
        '<model name="m"><link name="a"><pose relative_to="b">1 0 0 0 0 0</pose></link>'
        f'<link name="b"><pose>0 0 2 0 0 {math.pi / 2}</pose></link></model>'
    ).models[0]
    assert model.links[0].pose.position == pytest.approx((0, 1, 2))
    assert model.links[0].pose.yaw_rad == pytest.approx(math.pi / 2)


def test_an_axis_may_be_expressed_in_another_links_frame() -> None:
    turned = f'<link name="b"><pose>0 0 0 {math.pi / 2} 0 0</pose></link>'
    joint = (
        '<joint name="j" type="revolute"><parent>a</parent><child>b</child>'
        '<axis><xyz expressed_in="a">0 0 1</xyz></axis></joint>'
    )
    model = read(f'<model name="m"><link name="a"/>{turned}{joint}</model>').models[0]
    assert model.joints[0].axis == pytest.approx((0, 1, 0))


def test_sensors_that_only_gazebo_has_are_left_to_it() -> None:
    model = read(link('<sensor name="s" type="altimeter"/>')).models[0]
    assert model.links[0].sensors == ()


@pytest.mark.parametrize(
    ("inside", "line", "element", "words"),
    [
        (visual("<geometry><box><size>1 2</size></box></geometry>"), 5, "size", "3 numbers"),
        (visual("<geometry><box><size>1 2 nan</size></box></geometry>"), 5, "size", "3 numbers"),
        (visual("<geometry><box><size>1 0 2</size></box></geometry>"), 5, "size", "greater"),
        (visual("<geometry><mesh/></geometry>"), 5, "mesh", "use box"),
        (visual("<geometry/>"), 5, "geometry", "one of"),
        (visual(""), 5, "visual", "<geometry>"),
        (visual(f"{BOX}<material>{PICTURE}</material>"), 5, "albedo_map", "no.png"),
        (link("<inertial><mass>-1</mass></inertial>"), 5, "mass", "greater than 0"),
        (link('<sensor name="s" type="camera"/>'), 5, "sensor", "<camera>"),
        (
            link('<sensor name="s" type="camera"><camera><image><width>99999</width></image>'
                 "</camera></sensor>"),
            5, "camera", "pixels",
        ),
        (
            link('<sensor name="s" type="camera"><camera><horizontal_fov>4</horizontal_fov>'
                 "</camera></sensor>"),
            5, "horizontal_fov", "below pi",
        ),
        (
            link('<sensor name="s" type="gpu_lidar"><lidar><scan><horizontal><samples>1</samples>'
                 "</horizontal></scan></lidar></sensor>"),
            5, "lidar", "samples",
        ),
        (link('<visual name="x"/><collision name="x"/>'), 5, "visual", "rename"),
        ('<model name="m"/>', 3, "model", "no <link>"),
        ("<model/>", 3, "model", "has no <link>"),
        ('<model><link name="l"/></model>', 3, "model", 'name="…"'),
        ('<model name="m"><link name="l"/><static>maybe</static></model>', 3, "static", "false"),
        ("<include/>", 3, "include", "not simulated"),
        ('<model name="m"><link name="l"/><model name="n"/></model>', 3, "model", "flatten"),
        ('<model name="m"><link name="l"><pose relative_to="x">0 0 0 0 0 0</pose></link></model>',
         3, "pose", "no link"),
        ('<model name="m"><link name="l"/><joint name="j" type="screw"/></model>',
         3, "joint", "revolute"),
        ('<model name="m"><link name="l"/><joint name="j" type="fixed"><parent>world</parent>'
         "<child>l</child></joint></model>", 3, "parent", "no link"),
        ('<model name="m"><link name="l"/><joint name="j" type="fixed"><parent>l</parent>'
         "<child>l</child></joint></model>", 3, "joint", "loop"),
        ('<model name="m"><link name="l"/><plugin name="gz::sim::systems::DiffDrive"/></model>',
         3, "plugin", "<left_joint>"),
        (
            '<model name="m"><link name="l"/><link name="k"/><joint name="j" type="revolute">'
            "<parent>l</parent><child>k</child><axis><xyz>0 0 1</xyz></axis></joint>"
            '<plugin name="gz::sim::systems::DiffDrive"><left_joint>j</left_joint>'
            "<right_joint>j</right_joint></plugin></model>", 3, "plugin", "twice",
        ),
        ("<physics><max_step_size>0</max_step_size></physics>", 3, "max_step_size", "greater"),
        ("<gravity>down</gravity>", 3, "gravity", "`down`"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_by_file_line_and_element(
    inside: str, line: int, element: str, words: str
) -> None:
    with pytest.raises(WorldError) as caught:
        read(inside)
    assert f"w:{line}: <{element}>: " in str(caught.value)
    assert words in str(caught.value)


def test_two_models_of_one_name_are_both_pointed_at() -> None:
    with pytest.raises(WorldError, match="w:4: <model>: `m` has the name of line 3's"):
        read('<model name="m"><link name="l"/></model>\n<model name="m"><link name="l"/></model>')


def test_entities_are_refused_before_they_expand() -> None:
    laughs = '<!DOCTYPE sdf [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><sdf>&b;</sdf>'
    with pytest.raises(WorldError, match=r"w:1: <!DOCTYPE>: .* remove it"):
        read_text(laughs.encode(), "w")


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "w:1: not valid XML"),
        (b"<sdf>\n<world>\n</sdf>", "w:3: not valid XML: mismatched tag"),
        (b"<urdf/>", "w:1: <urdf>: is no SDF file"),
        (b"<sdf/>", "w:1: <sdf>: needs a <world>"),
        (b"\xff\xfe\x00", "w:1: not valid XML"),
        (b"<a>" * (MAX_DEPTH + 1), "nested deeper"),
        (b"<sdf>" + b" " * MAX_BYTES, "MiB"),
    ],
)
def test_what_is_no_world_gets_one_clear_line(raw: bytes, words: str) -> None:
    with pytest.raises(WorldError) as caught:
        read_text(raw, "w")
    assert words in str(caught.value)


def test_an_unknown_world_is_told_with_those_that_are_shipped() -> None:
    with pytest.raises(WorldError, match=r"nowhere: .* shipped are: .*field"):
        resources.world_path("nowhere")
