"""Rigid transforms: where one frame stands in another."""

from __future__ import annotations

import math

import msgspec

Vector = tuple[float, float, float]
Quaternion = tuple[float, float, float, float]
"""Unit quaternion in the order w, x, y, z."""


class Transform(msgspec.Struct, frozen=True):
    """A position in metres and a rotation; `a @ b` is b's frame seen from a's parent."""

    position: Vector = (0.0, 0.0, 0.0)
    rotation: Quaternion = (1.0, 0.0, 0.0, 0.0)

    def __matmul__(self, other: Transform) -> Transform:
        x, y, z = turned(self.rotation, other.position)
        px, py, pz = self.position
        return Transform((px + x, py + y, pz + z), product(self.rotation, other.rotation))

    def inverse(self) -> Transform:
        """The parent's frame as this one sees it."""
        back = conjugate(self.rotation)
        x, y, z = turned(back, self.position)
        return Transform((-x, -y, -z), back)

    @property
    def yaw_rad(self) -> float:
        """The heading of the x axis in the parent's xy plane."""
        x, y, _ = turned(self.rotation, (1.0, 0.0, 0.0))
        return math.atan2(y, x)


def from_euler(roll: float, pitch: float, yaw: float) -> Quaternion:
    """The rotation of SDF's fixed-axis roll, pitch, yaw (radians)."""
    cr, sr = math.cos(roll / 2), math.sin(roll / 2)
    cp, sp = math.cos(pitch / 2), math.sin(pitch / 2)
    cy, sy = math.cos(yaw / 2), math.sin(yaw / 2)
    return (
        cr * cp * cy + sr * sp * sy,
        sr * cp * cy - cr * sp * sy,
        cr * sp * cy + sr * cp * sy,
        cr * cp * sy - sr * sp * cy,
    )


def product(a: Quaternion, b: Quaternion) -> Quaternion:
    """First b's rotation, then a's."""
    aw, ax, ay, az = a
    bw, bx, by, bz = b
    return (
        aw * bw - ax * bx - ay * by - az * bz,
        aw * bx + ax * bw + ay * bz - az * by,
        aw * by - ax * bz + ay * bw + az * bx,
        aw * bz + ax * by - ay * bx + az * bw,
    )


def conjugate(a: Quaternion) -> Quaternion:
    """The rotation back."""
    return (a[0], -a[1], -a[2], -a[3])


def turned(a: Quaternion, v: Vector) -> Vector:
    """A vector after the rotation."""
    _, x, y, z = product(product(a, (0.0, *v)), conjugate(a))
    return (x, y, z)


def between(v: Vector) -> Quaternion:
    """The shortest rotation that takes the z axis to the direction of v."""
    length = math.hypot(*v)
    x, y, z = (each / length for each in v)
    if z < -1 + 1e-12:
        return (0.0, 1.0, 0.0, 0.0)
    w = 1 + z
    norm = math.hypot(w, x, y)
    return (w / norm, -y / norm, x / norm, 0.0)
