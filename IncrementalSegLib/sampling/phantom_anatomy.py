"""A stylised right shoulder in millimetres, made of signed distance functions.

Coordinates are relative to the centre of the humeral head: u medial, v posterior, w superior.  A distance
is negative inside.  Every person differs in size, pose and proportions; all of it follows from one generator.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import BSpline
from scipy.spatial.transform import Rotation

Array = NDArray[np.float32]
Point = tuple[float, float, float]


@dataclass(frozen=True)
class Part:
    """One compartment; parts are painted in order, later ones over earlier ones.

    Attributes:
        name: Of the anatomical structure; several parts may share it.
        tissue: What it is filled with.
        distance: ``(D, H, W)`` in mm to its surface, negative inside.
    """

    name: str
    tissue: str
    distance: Array


class SmoothNoise:
    """Smooth random fields over the scan, defined in millimetres and hence the same at every resolution.

    Args:
        axes: Positions along z, y, x in mm.
        generator: Source of randomness.
    """

    def __init__(self, axes: Sequence[NDArray[np.floating[Any]]], generator: np.random.Generator) -> None:
        self.axes, self.generator = axes, generator

    def field(self, scale: float, reach: float = 160.0) -> Array:
        """Return a field of mean 0 and deviation about 1: cubic B-splines on random coefficients.

        Args:
            scale: Distance of the coefficients in mm; structures are about twice as large.
            reach: The coefficients cover -reach..reach mm, whatever the field of view.
        """
        knots = np.arange(-reach - 3 * scale, reach + 3.5 * scale, scale)
        count = len(knots) - 4
        coefficients = self.generator.standard_normal((count, count, count))
        inside = (knots[3], knots[-4] - 1e-6)
        z, y, x = (BSpline.design_matrix(np.clip(axis, *inside), knots, 3).toarray() for axis in self.axes)
        field = np.einsum("zi,yj,xk,ijk->zyx", z, y, x, coefficients, optimize=True)
        return np.asarray(field / 0.331, np.float32)  # the deviation of three crossed cubic B-splines


def shoulder(axes: Sequence[NDArray[np.floating[Any]]], generator: np.random.Generator) -> list[Part]:
    """Return the parts of one person's shoulder, in the order in which they are painted.

    Args:
        axes: Positions of the samples along z, y, x in mm from the centre of the field of view.
        generator: Decides the person; the same generator state gives the same person on any grid.
    """
    noise = SmoothNoise(axes, generator)
    place = _pose(axes, generator, noise)
    radius = float(generator.uniform(21.0, 25.0))
    fat = generator.uniform(4.0, 10.0) + 1.5 * noise.field(30.0)
    blade = _Blade(place, radius, generator)
    humerus = _humerus(place, radius, float(generator.uniform(-0.5, 0.5)), float(generator.uniform(9.5, 12.5)))
    scapula = blade.bone(place, radius)
    body = _smooth_min(_body(place), blade.ellipsoid((34, 6, -25), (66, 36, 85)), 12.0)
    deep = body + fat
    parts = [Part("skin", "skin", body), Part("fat", "fat", body + 1.8)]
    muscles = _muscles(place, blade, humerus, radius, deep)
    parts += [Part(name, "muscle", np.maximum(distance, deep)) for name, distance in muscles[:-4]]
    parts += _chest(place, deep)
    parts += [Part(name, "muscle", np.maximum(distance, deep)) for name, distance in muscles[-4:]]
    joint = np.maximum(_ball(place, (0, 0, 0), radius + 3.5), blade.along - radius * 0.2 - 12.0)
    parts += [
        Part("joint", "cartilage", np.maximum(joint, -(blade.along + 0.35 * radius + 3.0))),
        Part("vessel", "vessel", _path(place, ((62, -26, 8), (34, -24, -10), (6, -10, -60), (4, -8, -120)), 3.2)),
        Part("vessel", "vessel", _path(place, ((70, -30, 0), (38, -31, -16), (10, -16, -60), (8, -13, -120)), 3.8)),
    ]
    clavicle = _path(place, ((8, -2, 35), (45, -26, 37), (75, -36, 36), (115, -48, 40)), 5.5)
    shaft = np.clip(-place[2] / radius - 0.6, 0.0, 1.0)
    for name, bone, cortex in (
        ("clavicle", clavicle, np.float32(2.2)),
        ("scapula", np.maximum(scapula, 1.5 - humerus), np.float32(1.3)),
        ("humerus", humerus, 1.4 + 2.2 * shaft),
    ):
        parts += [Part(name, "cortical bone", bone), Part(name, "marrow", bone + cortex)]
    return parts


class _Blade:
    """Coordinates of the scapula: along its plane from the joint, across it (posterior), and its height."""

    def __init__(self, place: Array, radius: float, generator: np.random.Generator) -> None:
        angle = generator.uniform(0.48, 0.68)  # the scapular plane lies about 30 degrees off the coronal one
        self.size = float(generator.uniform(0.92, 1.08))
        self.half = float(generator.uniform(1.9, 2.6))
        t, n = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
        self.frame = (float((radius + 9.0) * t[0]), float((radius + 9.0) * t[1]), t, n)
        u, v = place[0] - self.frame[0], place[1] - self.frame[1]
        self.along: Array = (u * t[0] + v * t[1]).astype(np.float32)
        self.across: Array = (u * n[0] + v * n[1]).astype(np.float32)
        self.height: Array = place[2]
        bow = generator.uniform(3.0, 7.0)
        bent = self.across - bow * (1.0 - ((self.along - 38.0) / 40.0) ** 2) - 0.08 * self.height
        self.bent: Array = bent.astype(np.float32)

    def point(self, along: float, across: float, height: float) -> Point:
        """Return the position of a point given in the blade's coordinates."""
        u, v, t, n = self.frame
        return (float(u + along * t[0] + across * n[0]), float(v + along * t[1] + across * n[1]), height)

    def ellipsoid(self, centre: Point, radii: Point) -> Array:
        """Return the distance to an ellipsoid given in the blade's coordinates."""
        return _ellipsoid(np.stack([self.along, self.bent, self.height]), centre, radii)

    def bone(self, place: Array, radius: float) -> Array:
        """Return the distance to the scapula: blade, spine, acromion, coracoid and glenoid."""
        s, n, w, size = self.along, self.bent, self.height, self.size
        corners = ((-2, -14), (0, 15), (70 * size, 30 * size), (58 * size, -82 * size))
        outline = _polygon(s, w, corners)
        half = self.half + 3.2 * np.exp(-np.maximum(s, 0) / 9.0) + 1.6 * np.exp(np.minimum(outline, 0) / 3.0)
        blade = _smooth_max(np.abs(n) - half, outline, 2.0)
        crest = 6.0 + 15.0 * np.clip(1.0 - s / (70.0 * size), 0.0, 1.0)
        plate = np.abs(w - 13.0 - 0.10 * s - 0.25 * n) - 2.4 - 1.6 * np.clip(1.0 + (n - crest) / 6.0, 0.0, 1.0)
        spine = _smooth_max(plate, np.maximum(np.maximum(n - crest, -2.0 - n), np.abs(s - 35.0) - 34.0), 2.0)
        flat = np.stack([place[0], place[1], place[2] * 1.9])
        over = radius + 11.0
        arch = [self.point(6, 18, 19), (0, 27, over - 5), (-9, 8, over), (-3, -6, over)]
        acromion = _path(flat, [(u, v, 1.9 * w) for u, v, w in arch], 8.0) / 1.4
        hook = [self.point(3, -2, 15), (21, -10, 24), (12, -22, 19), (6, -27, 13)]
        coracoid = _path(place, hook, 5.0)
        glenoid = self.ellipsoid((-2, 0, 0), (8, 12.5, 18))
        glenoid = _smooth_max(glenoid, -_ball(place, (0, 0, 0), radius + 2.8), 1.0)
        bone = _smooth_min(blade, glenoid, 4.0)
        for part, width in ((spine, 3.0), (acromion, 3.0), (coracoid, 4.0)):
            bone = _smooth_min(bone, part, width)
        return bone


def _pose(axes: Sequence[NDArray[np.floating[Any]]], generator: np.random.Generator, noise: SmoothNoise) -> Array:
    """Return ``(3, D, H, W)``: u, v, w of each sample, bent and turned by the pose of this person in the scanner."""
    z, y, x = np.meshgrid(*(np.asarray(axis, np.float32) for axis in axes), indexing="ij")
    turn = Rotation.from_euler("xyz", generator.uniform((-5, -5, -12), (5, 5, 12)), degrees=True).as_matrix()
    scale = generator.uniform(0.92, 1.08)
    centre = np.array([-27.0, 2.0, 10.0]) + generator.uniform(-6.0, 6.0, 3)
    world = np.stack([x - centre[0], y - centre[1], z - centre[2]])
    place = np.einsum("ij,jzyx->izyx", turn.astype(np.float32) / np.float32(scale), world.astype(np.float32))
    return np.asarray(place + np.stack([1.6 * noise.field(28.0) for _ in range(3)]), np.float32)


def _body(place: Array) -> Array:
    chest = _ellipsoid(place, (112, -8, -50), (98, 88, 165))
    cap = _ellipsoid(place, (6, 2, -18), (54, 56, 69))
    arm = _path(place, ((-2, 2, -25), (-10, 4, -150)), 44.0)
    return _smooth_min(chest, _smooth_min(cap, arm, 15.0), 22.0)


def _humerus(place: Array, radius: float, turn: float, shaft: float) -> Array:
    """Return the distance to head, tubercles and shaft; ``turn`` (radians) is the rotation of the arm."""
    cos, sin = np.cos(turn), np.sin(turn)
    lateral = (-0.62 * radius * cos, -0.62 * radius * sin, -5.0)
    anterior = (-0.42 * radius * cos + 0.5 * radius * sin, -0.5 * radius * cos - 0.42 * radius * sin, -9.0)
    head = _ellipsoid(place, (0, 0, 0), (radius, radius, 0.97 * radius))
    bone = _smooth_min(head, _ball(place, lateral, 0.62 * radius), 5.0)
    bone = _smooth_min(bone, _ball(place, anterior, 0.36 * radius), 4.0)
    return _smooth_min(bone, _path(place, ((-5, 0, -12), (-7, 1, -35), (-10, 3, -150)), shaft), 13.0)


def _muscles(place: Array, blade: _Blade, humerus: Array, radius: float, deep: Array) -> list[tuple[str, Array]]:
    """Return name and distance; ``deep`` is the distance to everything below the fat under the skin."""
    u, v, w = place
    around = _smooth_min(
        _ball(place, (0, 0, 0), radius + 3.5), _path(place, ((-5, 1, -25), (-10, 3, -150)), 20.0), 12.0
    )
    cuff = (
        ("subscapularis", (36, -13, -14), (41, 14, 36), (blade.point(12, -12, -6), (4, 1 - radius, -6)), 5.5),
        ("infraspinatus", (36, 15, -14), (43, 14, 28), (blade.point(12, 14, -4), (-3, radius + 1, 2)), 5.5),
        ("supraspinatus", (36, 4, 28), (41, 14, 12), (blade.point(8, 2, 24), (-8, 2, radius + 3)), 4.5),
    )
    return [
        ("pectoralis", _smooth_max(_layer(deep, 13), _smooth_max(22 - u, v + 16, 10.0), 9.0)),
        ("pectoralis", _turned(place, (58, -40, -14), (32, 9, 26), -28)),
        ("trapezius", _smooth_max(_layer(deep, 9), _smooth_max(np.maximum(42 - u, -30 - w), 10 - v, 8.0), 7.0)),
        ("latissimus", _smooth_max(_layer(deep, 12), _smooth_max(np.maximum(14 - u, w + 34), 4 - v, 8.0), 9.0)),
        ("back", _turned(place, (98, 56, -45), (36, 14, 80), -20)),
        ("neck", _turned(place, (92, 24, 40), (40, 34, 24), 10)),
        ("neck", _turned(place, (88, -38, 46), (20, 12, 22), -20)),
        ("teres", blade.ellipsoid((26, 15, -56), (46, 16, 22))),
        ("arm", _path(place, ((-9, 3, -45), (-10, 3, -150)), 19.0)),
        ("arm", _path(place, ((-10, 16, -28), (-12, 19, -150)), 14.0)),
        ("arm", _path(place, ((0, -15, -32), (-8, -18, -150)), 13.0)),
        ("arm", _path(place, ((15, -24, 8), (5, -17, -60)), 6.0)),
        *(
            (name, _smooth_min(blade.ellipsoid(centre, radii), _path(place, tendon, thickness), 8.0))
            for name, centre, radii, tendon, thickness in cuff
        ),
        ("deltoid", _smooth_max(np.maximum(np.maximum(4.0 - humerus, -around), deep), u - 18 - 0.16 * np.abs(v), 16.0)),
    ]


def _layer(deep: Array, thickness: float) -> Array:
    """Return the distance to a sheet of muscle below the fat under the skin."""
    return np.asarray(np.abs(deep + np.float32(0.5 * thickness)) - np.float32(0.5 * thickness), np.float32)


def _chest(place: Array, deep: Array) -> list[Part]:
    cage = np.maximum(_ellipsoid(place, (114, -12, -58), (57, 54, 92)), deep + 4.0)
    angle = np.arctan2(place[1] + 12.0, 114.0 - place[0])
    wave = np.abs((place[2] - 26.0 * angle + 240.0) % 26.0 - 13.0)  # a rib every 26 mm, descending to the front
    rib = _smooth_max(np.maximum(np.hypot(cage + 4.5, 0.75 * wave) - 5.0, deep), place[2] - 16.0, 4.0)
    return [
        Part("chest wall", "muscle", np.maximum(cage - 9.0, deep)),
        Part("chest wall", "muscle", cage - 1.0),
        Part("lung", "lung", cage + 9.5),
        Part("rib", "cortical bone", rib),
        Part("rib", "marrow", rib + 1.8),
    ]


def _ellipsoid(place: Array, centre: Point, radii: Point) -> Array:
    shift = [place[axis] - np.float32(centre[axis]) for axis in range(3)]
    outer = np.sqrt(sum(np.square(part / np.float32(r)) for part, r in zip(shift, radii, strict=True)))
    slope = np.sqrt(sum(np.square(part / np.float32(r * r)) for part, r in zip(shift, radii, strict=True)))
    return np.asarray(outer * (outer - 1.0) / np.maximum(slope, 1e-6), np.float32)


def _turned(place: Array, centre: Point, radii: Point, degrees: float) -> Array:
    cos, sin = np.float32(np.cos(np.radians(degrees))), np.float32(np.sin(np.radians(degrees)))
    u, v = place[0] - np.float32(centre[0]), place[1] - np.float32(centre[1])
    return _ellipsoid(np.stack([cos * u + sin * v, cos * v - sin * u, place[2]]), (0, 0, centre[2]), radii)


def _ball(place: Array, centre: Point, radius: float) -> Array:
    square = sum(np.square(place[axis] - np.float32(centre[axis])) for axis in range(3))
    return np.asarray(np.sqrt(square) - np.float32(radius), np.float32)


def _path(place: Array, points: Sequence[Point], radius: float) -> Array:
    """Return the distance to a tube around straight segments."""
    nearest = np.full(place.shape[1:], np.inf, np.float32)
    for start, end in pairwise(points):
        axis = np.subtract(end, start).astype(np.float32)
        shift = [place[k] - np.float32(start[k]) for k in range(3)]
        share = np.clip((shift[0] * axis[0] + shift[1] * axis[1] + shift[2] * axis[2]) / (axis @ axis), 0.0, 1.0)
        nearest = np.minimum(nearest, sum(np.square(shift[k] - share * axis[k]) for k in range(3)))
    return np.asarray(np.sqrt(nearest) - np.float32(radius), np.float32)


def _polygon(x: Array, y: Array, corners: Sequence[tuple[float, float]]) -> Array:
    """Return the distance to a convex polygon whose corners run clockwise."""
    edges = zip(corners, (*corners[1:], corners[0]), strict=True)
    sides = [((y - y0) * (x1 - x0) - (x - x0) * (y1 - y0)) / np.hypot(x1 - x0, y1 - y0) for (x0, y0), (x1, y1) in edges]
    return np.asarray(np.maximum.reduce(sides), np.float32)


def _smooth_min(a: NDArray[np.floating[Any]], b: NDArray[np.floating[Any]], width: float) -> Array:
    """Return the union of two shapes with a fillet about ``width`` mm wide."""
    blend = np.maximum(np.float32(width) - np.abs(a - b), 0.0)
    return np.asarray(np.minimum(a, b) - blend * blend / np.float32(4.0 * width), np.float32)


def _smooth_max(a: NDArray[np.floating[Any]], b: NDArray[np.floating[Any]], width: float) -> Array:
    return -_smooth_min(-a, -b, width)
