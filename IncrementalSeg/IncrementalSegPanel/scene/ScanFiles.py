"""A scan of the scene as a file that the worker reads: the one it came from, or one written slab by slab."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import slicer
from numpy.typing import NDArray

from IncrementalSegLib.errors import DataError, IncrementalSegError
from IncrementalSegLib.volumes.headers import read_grid
from IncrementalSegPanel.scene.Exports import Pieces
from IncrementalSegPanel.scene.Files import Nrrd, Whole
from IncrementalSegPanel.scene.Geometry import Matrix, ijkToWorld
from IncrementalSegPanel.Translation import _

SLAB_BYTES = 2 << 20
"""Amount written at once: about 5 ms, and less than 50 ms also where other programs take most of the processor."""

STARTED = time.time()
"""When Slicer started, which imports its modules before it loads a scan; seconds."""

_READABLE = (".nii.gz", ".nii", ".nrrd", ".mha")


def scanPieces(nodeId: str, target: Path, copy: bool = False) -> Pieces:
    """Write a scan as NRRD without compression, unless the file that it came from will do.

    Args:
        nodeId: Id of the volume node, which may vanish at any time.
        target: File to be written; ends in ``.nrrd``.
        copy: Whether that file is to be copied beside the target rather than read where it lies.

    Returns:
        The file to be read.

    Raises:
        DataError: The scan vanished, changed or has no voxel; or it lies on no rectangular grid.
    """
    node = volume(nodeId)
    matrix = ijkToWorld(node)
    source = sourceFile(node, matrix)
    if source is not None:
        return (yield from _copyPieces(source, target)) if copy else source
    image, time = node.GetImageData(), node.GetImageData().GetMTime()
    array = slicer.util.arrayFromVolume(node)
    components = image.GetNumberOfScalarComponents()
    slabs = _slabs(array)
    with Nrrd(target, image.GetDimensions(), array.dtype, matrix, components) as file:
        for index, slab in enumerate(slabs):
            now = volume(nodeId).GetImageData()
            if now is not image or now.GetMTime() != time:
                raise DataError(
                    _("The scan changed while it was read."), _("Nothing was done with it."), _("Start again.")
                )
            file.writeVoxels(slab)
            yield (index + 1) / len(slabs)
        file.complete()
    return target


def volume(nodeId: str) -> slicer.vtkMRMLScalarVolumeNode:
    """Return the scan with that id.

    Raises:
        DataError: It is not in the scene any more, or holds no voxel.
    """
    node = slicer.mrmlScene.GetNodeByID(nodeId) if nodeId else None
    if node is None:
        raise DataError(_("The scan is not in the scene any more."), todo=_("Load it again and start again."))
    if node.GetImageData() is None or node.GetImageData().GetNumberOfPoints() == 0:
        raise DataError(_("{name} holds no image.").format(name=node.GetName()), todo=_("Choose another scan."))
    if node.GetImageData().GetPointData().GetScalars() is None:
        raise DataError(_("{name} is not an image of numbers.").format(name=node.GetName()),
                        todo=_("Choose a scalar volume."))  # fmt: skip
    return node


def sourceFile(node: slicer.vtkMRMLScalarVolumeNode, matrix: Matrix) -> Path | None:
    """Return the file that a scan was loaded from, if reading it gives what the scene shows.

    Args:
        node: The scan.
        matrix: Where its voxels lie in the world.
    """
    storage = node.GetStorageNode()
    if storage is None or node.GetModifiedSinceRead() or node.GetParentTransformNode() or storage.GetURI():
        return None
    if storage.GetNumberOfFileNames() > 1:
        return None
    path = Path(storage.GetFullNameFromFileName() or "")
    if not path.name.lower().endswith(_READABLE) or ";" in str(path) or not path.is_file():
        return None  # the worker takes ; for the border between two channels
    if _writtenSince(path, STARTED):
        return None  # perhaps after it was loaded; the scene does not know when that was
    return path if _fits(path, node.GetImageData(), matrix) else None


def _writtenSince(path: Path, moment: float) -> bool:
    """Tell whether a file was written, replaced or renamed since a moment, also by a copy that keeps the older time."""
    status = path.stat()
    return max(status.st_mtime, status.st_ctime) >= moment


def _fits(path: Path, image: Any, matrix: Matrix) -> bool:
    """Tell whether the worker, which reads a file as the library does, gives it the place that it has in the scene."""
    try:
        grid, channels = read_grid(path)
    except (IncrementalSegError, OSError):  # the scene has the scan, whatever became of the file
        return False
    if grid.planar or grid.shape[::-1] != image.GetDimensions() or channels != image.GetNumberOfScalarComponents():
        return False
    found = np.eye(4)
    found[:3, :3] = grid.matrix * grid.spacing
    found[:3, 3] = grid.origin
    found[:2] *= -1  # a grid is in LPS
    last = np.array([*np.subtract(image.GetDimensions(), 1), 1.0])
    tolerance = 1e-3 * np.linalg.norm(matrix[:3, :3], axis=0).min()
    corners = np.stack([np.array([0, 0, 0, 1.0]), last, last * [1, 0, 0, 1], last * [0, 1, 0, 1]], axis=1)
    return bool(np.abs((found - matrix) @ corners).max() <= tolerance)


def _copyPieces(source: Path, target: Path) -> Pieces:
    ending = next(ending for ending in _READABLE if source.name.lower().endswith(ending))
    target = target.with_name(target.stem + ending)
    size, there = source.stat().st_size, 0
    with source.open("rb") as original, Whole(target) as file:
        while block := original.read(SLAB_BYTES):
            file.write(block)
            there += len(block)
            yield min(1.0, there / size)
        file.complete()
    return target


def _slabs(array: NDArray[Any]) -> list[NDArray[Any]]:
    """Cut an array along its first axis into views of about :data:`SLAB_BYTES`."""
    thickness = max(1, SLAB_BYTES // max(1, array[0].nbytes))
    return [array[start : start + thickness] for start in range(0, len(array), thickness)]
