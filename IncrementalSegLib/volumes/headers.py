"""Grid of a file by its header alone.

Front ends call it on their main thread, so it loads neither ITK nor a voxel.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from IncrementalSegLib.errors import DataError
from IncrementalSegLib.volumes import metaimage, nifti, nrrd
from IncrementalSegLib.volumes.payload import permitted
from IncrementalSegLib.volumes.volume import Grid

_READERS = {nifti.ENDINGS: nifti.read_grid, nrrd.ENDINGS: nrrd.read_grid, metaimage.ENDINGS: metaimage.read_grid}


def read_grid(path: Path) -> tuple[Grid, int]:
    """Return the grid that :func:`~IncrementalSegLib.volumes.io.read_volume` would give a file.

    Args:
        path: NIfTI, NRRD or MetaImage.

    Returns:
        The grid and the number of channels.

    Raises:
        DataError: Another format; missing, or a header that cannot be understood.
        GeometryError: The place of the voxels is unknown or sheared.
    """
    name = path.name.lower()
    reader = next((reader for endings, reader in _READERS.items() if name.endswith(endings)), None)
    if reader is None:
        raise DataError(f"{path.name} is none of NIfTI, NRRD and MetaImage.", todo="Read the whole file instead.")
    with permitted(path), np.errstate(all="ignore"):  # numbers of a damaged header
        return reader(path, [])
