"""A segment's fingerprint is the place of its voxels and a checksum of them, whatever array holds them."""

import zlib

import numpy as np
import pytest
import slicer
import vtk
from IncrementalSegPanel.scene.Fingerprints import LABELMAP, arrayOf, fingerprint

VALUE = 3


def segment_of(array, corner):
    image = slicer.vtkOrientedImageData()
    image.SetExtent([end for low, size in zip(corner, array.shape[::-1], strict=True) for end in (low, low + size - 1)])
    image.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 1)
    arrayOf(image)[:] = array
    segment = slicer.vtkSegment()
    segment.SetLabelValue(VALUE)
    segment.AddRepresentation(LABELMAP, image)
    return segment


@pytest.mark.parametrize("shape", [(1, 1, 1), (7, 5, 3), (8, 6, 6), (21, 13, 11)])
def test_it_is_the_box_and_the_checksum_of_the_bits_in_it(shape):
    array = np.random.default_rng(0).integers(0, 3, shape, np.uint8)
    array[shape[0] // 3 :, shape[1] // 4 :, : shape[2] // 2 + 1][0, 0, -1] = VALUE
    array[-1, -1, 0] = VALUE
    inside = np.argwhere(array == VALUE)
    (k0, j0, i0), (k1, j1, i1) = inside.min(0), inside.max(0) + 1
    bits = np.packbits(array[k0:k1, j0:j1, i0:i1] == VALUE)
    sizes = (k1 - k0, j1 - j0, i1 - i0)
    expected = (i0 - 4, j0 + 2, k0 + 9, *sizes, zlib.crc32(bits.tobytes()))
    assert fingerprint(segment_of(array, (-4, 2, 9))) == "-".join(str(number) for number in expected)


def test_a_larger_image_around_the_same_voxels_changes_nothing():
    small = np.zeros((9, 4, 5), np.uint8)
    small[2:, 1:3, ::2] = VALUE
    large = np.pad(small, ((1, 2), (3, 4), (5, 6)))
    large[0] = VALUE + 1  # of another segment in the same layer
    assert fingerprint(segment_of(small, (0, 0, 0))) == fingerprint(segment_of(large, (-5, -3, -1)))
    small[5, 1, 0] = 0
    assert fingerprint(segment_of(small, (0, 0, 0))) != fingerprint(segment_of(large, (-5, -3, -1)))


def test_a_segment_without_voxels_is_empty():
    assert fingerprint(slicer.vtkSegment()) == fingerprint(segment_of(np.zeros((3, 3, 3), np.uint8), (0, 0, 0)))
