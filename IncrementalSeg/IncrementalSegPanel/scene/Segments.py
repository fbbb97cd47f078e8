"""The voxels of a segment: counted, and brought to the grid of a scan."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import slicer
import vtk
from numpy.typing import NDArray

from IncrementalSegLib.errors import DataError, GeometryError
from IncrementalSegPanel.scene.Fingerprints import LABELMAP, arrayOf
from IncrementalSegPanel.scene.Geometry import Matrix, ijkToWorld
from IncrementalSegPanel.Translation import _


@dataclass(frozen=True)
class Measure:
    """Counts of a segment.

    Attributes:
        perSlice: Voxels in each slice k of its image.
        first: Index k of the first of them.
        atEdge: Whether voxels lie on the outermost planes of the image, by axis and end: -i +i -j +j -k +k.
    """

    perSlice: tuple[int, ...]
    first: int
    atEdge: tuple[bool, ...]

    @property
    def voxels(self) -> int:
        """The number of voxels."""
        return sum(self.perSlice)

    @property
    def slices(self) -> int:
        """In how many slices there are voxels."""
        return sum(count > 0 for count in self.perSlice)

    @property
    def largest(self) -> int:
        """Index k of the slice with most voxels."""
        return self.first + self.perSlice.index(max(self.perSlice))


def measure(image: slicer.vtkOrientedImageData, value: int) -> Measure | None:
    """Count the voxels of one value; ``None`` where there are none."""
    if image.GetNumberOfPoints() == 0 or image.GetPointData().GetScalars() is None:
        return None
    array = arrayOf(image)
    # Plane by plane the comparison stays in the cache of the processor: ten times as fast as all at once.
    perSlice = tuple(int(np.count_nonzero(plane == value)) for plane in array)
    faces = (array[:, :, 0], array[:, :, -1], array[:, 0], array[:, -1], array[0], array[-1])
    atEdge = tuple(bool((face == value).any()) for face in faces)
    return Measure(perSlice, image.GetExtent()[4], atEdge) if any(perSlice) else None


def ownLabelmap(node: slicer.vtkMRMLSegmentationNode, segmentId: str) -> slicer.vtkOrientedImageData:
    """Return one segment as 0 and 1, below the transforms of its node; one that was drawn as a surface is converted.

    Raises:
        DataError: It cannot be converted.
    """
    image, segment = slicer.vtkOrientedImageData(), node.GetSegmentation().GetSegment(segmentId)
    if segment.GetRepresentation(LABELMAP) is not None:
        node.GetBinaryLabelmapRepresentation(segmentId, image)
        return image
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    if not logic.GetSegmentBinaryLabelmapRepresentation(node, segmentId, image, False):
        raise DataError(
            _("The segment {name} of {node} cannot be converted to voxels.").format(
                name=segment.GetName(), node=node.GetName()
            ),
            todo=_("Make a binary labelmap of it in the module Segmentations."),
        )
    return image


def labelmapOf(node: slicer.vtkMRMLSegmentationNode, segmentId: str) -> slicer.vtkOrientedImageData:
    """Return one segment as 0 and 1 in the world.

    Raises:
        DataError: It cannot be converted to voxels.
    """
    image = ownLabelmap(node, segmentId)
    if node.GetParentTransformNode() is not None:
        transform = vtk.vtkGeneralTransform()
        node.GetParentTransformNode().GetTransformToWorld(transform)
        slicer.vtkOrientedImageDataResample.TransformOrientedImage(image, transform)
    return image


def gridOf(volumeNode: slicer.vtkMRMLScalarVolumeNode, first: int = 0, last: int = -1) -> slicer.vtkOrientedImageData:
    """Return the grid of a scan in the world, or of its slices ``first`` to ``last``, without voxels.

    Raises:
        GeometryError: The voxels lie on no rectangular grid.
    """
    columns, rows, slices = volumeNode.GetImageData().GetDimensions()
    grid = slicer.vtkOrientedImageData()
    grid.SetImageToWorldMatrix(slicer.util.vtkMatrixFromArray(ijkToWorld(volumeNode)))
    grid.SetExtent(0, columns - 1, 0, rows - 1, first, slices - 1 if last < 0 else min(last, slices - 1))
    return grid


def onGrid(image: slicer.vtkOrientedImageData, grid: slicer.vtkOrientedImageData) -> NDArray[np.uint8]:
    """Bring a mask to a grid by the nearest neighbour.

    Returns:
        ``(k, j, i)``, 0 and 1; outside of the mask 0.

    Raises:
        GeometryError: It cannot be brought there.
    """
    moved = slicer.vtkOrientedImageData()
    resample = slicer.vtkOrientedImageDataResample
    if not resample.ResampleOrientedImageToReferenceOrientedImage(image, grid, moved):
        raise GeometryError(_("A segment cannot be brought to the grid of its scan."), todo=_("Leave it out."))
    return (arrayOf(moved) > 0).astype(np.uint8)


def sameGrid(image: slicer.vtkOrientedImageData, matrix: Matrix) -> bool:
    """Tell whether the voxels of an image have the places that a matrix gives them."""
    grid = slicer.vtkOrientedImageData()
    grid.SetImageToWorldMatrix(slicer.util.vtkMatrixFromArray(matrix))
    return bool(slicer.vtkOrientedImageDataResample.DoGeometriesMatch(image, grid))
