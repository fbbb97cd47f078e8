"""When grids agree, and moving labels between them, against SimpleITK's own point arithmetic."""

import numpy as np
import pytest
import SimpleITK as sitk
from scans import ORDERS, stored
from scipy.spatial.transform import Rotation

from IncrementalSegLib.volumes.grids import (
    difference,
    inside,
    orthonormal,
    overlap,
    resample_nearest,
    same_lattice,
    shear_of,
)
from IncrementalSegLib.volumes.volume import Grid

BASE = Grid((10, 11, 12), (1.0, 2.0, 3.0), (5.0, 6.0, 7.0))


def turned(degrees, **fields):
    matrix = Rotation.from_euler("z", degrees, degrees=True).as_matrix()
    values = {"shape": BASE.shape, "spacing": BASE.spacing, "origin": BASE.origin} | fields
    return Grid(direction=tuple(matrix.ravel()), **values)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (Grid(BASE.shape, BASE.spacing, (5.0009, 6.0, 7.0)), ""),
        (Grid(BASE.shape, BASE.spacing, (5.0, 6.0, 7.0029)), ""),
        (Grid(BASE.shape, BASE.spacing, (5.0011, 6.0, 7.0)), "origin"),
        (Grid(BASE.shape, (1.0, 2.0, 3.001), BASE.origin), "spacing"),
        (Grid((10, 11, 13), BASE.spacing, BASE.origin), "size 12 x 11 x 10 against 13 x 11 x 10"),
        (turned(0.005), ""),
        (turned(0.01), "axes that differ by 0.01 degrees"),
        (Grid(BASE.shape, (1.0, 1.0, 1.0), planar=True), ""),
    ],
)
def test_difference(other, said):
    found = difference(BASE, other)
    assert said in found
    assert bool(found) == bool(said)


def test_shear_and_repair():
    matrix = np.eye(3)
    matrix[0, 1] = 4e-4
    assert shear_of(matrix) == pytest.approx(4e-4, rel=1e-3)
    assert shear_of(orthonormal(matrix)) < 1e-12
    flip = np.diag([1.0, 1.0, -1.0])
    np.testing.assert_allclose(orthonormal(flip), flip)


@pytest.mark.parametrize(
    ("origin", "lattice", "meets"),
    [
        ((5.0, 6.0, 7.0), True, True),
        ((8.0, 10.0, 13.0), True, True),
        ((8.5, 10.0, 13.0), False, True),
        ((17.1, 6.0, 7.0), False, False),
        ((17.0, 6.0, 7.0), True, False),
        ((16.0, 6.0, 7.0), True, True),
        ((5.0, 6.0, -25.0), False, False),
    ],
)
def test_lattice_and_overlap(origin, lattice, meets):
    other = Grid(BASE.shape, BASE.spacing, origin)
    assert same_lattice(BASE, other) == lattice
    assert overlap(BASE, other) == overlap(other, BASE) == meets


def test_nearest_neighbour_equals_a_loop_over_points():
    source, target = BASE, turned(20, shape=(6, 7, 8), spacing=(1.71, 1.37, 2.83), origin=(7.03, 9.11, 9.17))
    labels = np.random.default_rng(0).integers(0, 5, (1, *source.shape)).astype(np.uint8)
    moved = resample_nearest(labels, source, target)[0]
    for index in np.ndindex(*target.shape):
        point = target.matrix @ (np.array(index[::-1]) * target.spacing) + target.origin
        at = source.matrix.T @ (point - source.origin) / source.spacing
        cell = tuple(int(np.floor(value + 0.5)) for value in at[::-1])
        inside = all(0 <= value < size for value, size in zip(cell, source.shape, strict=True))
        assert moved[index] == (labels[0][cell] if inside else 0)


def test_crop_is_pasted_exactly():
    labels = np.random.default_rng(0).integers(0, 5, (1, 4, 5, 6)).astype(np.int16)
    crop = Grid((4, 5, 6), BASE.spacing, (5.0 + 2, 6.0 + 2 * 3, 7.0 + 3 * 4))
    moved = resample_nearest(labels, crop, BASE)
    expected = np.zeros((1, *BASE.shape), np.int16)
    expected[:, 4:8, 3:8, 2:8] = labels
    np.testing.assert_array_equal(moved, expected)
    assert sitk.GetImageFromArray(moved[0]).GetPixelID() == sitk.sitkInt16


@pytest.mark.parametrize(
    ("shape", "origin", "within"),
    [
        ((10, 11, 12), (5.0, 6.0, 7.0), True),
        ((10, 11, 12), (5.4, 6.0, 7.0), True),
        ((10, 11, 12), (6.0, 6.0, 7.0), False),
        ((4, 4, 4), (8.0, 10.0, 13.0), True),
        ((4, 4, 11), (8.0, 10.0, 13.0), False),
        ((11, 4, 4), (5.0, 6.0, 7.0), False),
    ],
)
def test_inside(shape, origin, within):
    assert inside(Grid(shape, BASE.spacing, origin), BASE) == within


@pytest.mark.parametrize(("axes", "flips"), ORDERS)
def test_a_scan_stored_in_another_order_lies_on_the_same_lattice(axes, flips):
    _, other = stored(np.zeros(BASE.shape, np.uint8), BASE, axes, flips)
    assert same_lattice(BASE, other)
    assert inside(other, BASE)
    shifted = Grid(other.shape, other.spacing, tuple(np.add(other.origin, 0.5)), other.direction)
    assert not same_lattice(BASE, shifted)
    coarse = Grid(other.shape, tuple(2 * step for step in other.spacing), other.origin, other.direction)
    assert not same_lattice(BASE, coarse)
