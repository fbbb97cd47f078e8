"""Where the voxels of a node lie in the world, as a matrix that a file can hold."""

from __future__ import annotations

import numpy as np
import slicer
import vtk
from numpy.typing import NDArray

from IncrementalSegLib.errors import GeometryError
from IncrementalSegPanel.Translation import _

SHEAR_LIMIT = 1e-3
"""Largest deviation from orthonormal directions that is repaired when a scan is read."""

Matrix = NDArray[np.float64]
"""4x4, from voxel indices or millimetres to millimetres, RAS."""


def parentToWorld(node: slicer.vtkMRMLTransformableNode) -> Matrix:
    """Return what the transforms above a node do to it.

    Raises:
        GeometryError: One of them bends space.
    """
    matrix = vtk.vtkMatrix4x4()
    transform = node.GetParentTransformNode()
    if transform is not None and not transform.IsTransformToWorldLinear():
        raise GeometryError(
            _("{name} is under a transform that is not linear.").format(name=node.GetName()),
            _("Its voxels do not form a rectangular grid."),
            _("Harden the transform (module Transforms), or take the node out of it."),
        )
    if transform is not None:
        transform.GetMatrixTransformToWorld(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


def ijkToWorld(volumeNode: slicer.vtkMRMLVolumeNode) -> Matrix:
    """Return the matrix from the voxel indices of a scan to the world, transforms above it included.

    Raises:
        GeometryError: The voxels lie on no rectangular grid.
    """
    matrix = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(matrix)
    found = parentToWorld(volumeNode) @ slicer.util.arrayFromVTKMatrix(matrix)
    spacing = np.linalg.norm(found[:3, :3], axis=0)
    directions = found[:3, :3] / np.where(spacing > 0, spacing, 1)
    shear = float(np.abs(directions.T @ directions - np.eye(3)).max())
    if not shear <= SHEAR_LIMIT:
        raise GeometryError(
            _("The directions of {name} are not at right angles (deviation {shear:.2g}).").format(
                name=volumeNode.GetName(), shear=shear
            ),
            _("The scan is sheared, as by a tilted gantry."),
            _("Resample it to a rectangular grid with the module Resample Scalar Volume."),
        )
    return found


def imageToParent(image: slicer.vtkOrientedImageData) -> Matrix:
    """Return the matrix from the voxel indices of a segment's image to millimetres below the transforms of its node."""
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)
