"""The picture by which a person recognises an uncertain place: its slice of the scan, with a ring around it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import slicer
from numpy.typing import NDArray

from IncrementalSegPanel.scene.ExamplePictures import windowOf
from IncrementalSegPanel.scene.Geometry import ijkToWorld
from IncrementalSegPanel.scene.ScanFiles import volume
from IncrementalSegPanel.scene.Thumbnails import draw, turned

SPOT = 64
"""Pixels of a side: twice what the list shows, for fine screens."""

_COLOR = (1.0, 0.75, 0.0)
_RADIUS = 1 / 16
"""Radius of the ring over the longer side of the slice: the reach of a spot."""


def spotPicture(volumeNode: slicer.vtkMRMLScalarVolumeNode, ras: Sequence[float], size: int) -> NDArray[np.uint8]:
    """Draw a place of a scan.

    Args:
        volumeNode: The scan.
        ras: The place in mm.
        size: Pixels of a side.

    Returns:
        ``(size, size, 3)``.

    Raises:
        DataError: The scan is not in the scene any more.
        GeometryError: It lies on no rectangular grid.
    """
    scan = volume(volumeNode.GetID())
    matrix, dimensions = ijkToWorld(scan), scan.GetImageData().GetDimensions()
    place = np.rint(np.linalg.inv(matrix) @ [*ras, 1.0])[:3]
    i, j, k = (int(at) for at in np.clip(place, 0, np.subtract(dimensions, 1)))
    plane = slicer.util.arrayFromVolume(scan)[k]
    plane = plane if plane.ndim == 2 else plane.mean(axis=-1)
    across, down = (float(np.linalg.norm(matrix[:3, axis])) for axis in (0, 1))
    rows, columns = np.ogrid[: plane.shape[0], : plane.shape[1]]
    reach = _RADIUS * max(down * plane.shape[0], across * plane.shape[1])
    ring = ((rows - j) * down) ** 2 + ((columns - i) * across) ** 2 <= reach**2
    return draw(turned(plane, ring, matrix[:3, 0], matrix[:3, 1], windowOf(scan)), _COLOR, size)
