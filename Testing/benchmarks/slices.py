"""The middle slices of the volumes of a data set, written once and shared by processes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from filelock import FileLock

from IncrementalSegLib.sampling.cases import Case, Dataset


def middle_slices(dataset: Dataset, store: Path) -> Dataset:
    """Return a data set in which each volume is its middle slice across the axis with the fewest samples.

    Args:
        dataset: Volumes with one image file and one label map each.
        store: Folder for the slices; several processes may share it.
    """
    folder = store / f"{dataset.root.name}-slices"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        return replace(dataset, cases=tuple(_slice(case, folder) for case in dataset.cases))


def _slice(case: Case, folder: Path) -> Case:
    (image,), label = case.images, case.label
    assert label is not None
    found = [folder / f"{case.id}-{kind}.nii.gz" for kind in ("image", "label")]
    for volume, path in zip((image, label), found, strict=True):
        if not path.is_file():
            _write_middle(volume, path)
    return replace(case, images=(found[0],), label=found[1])


def _write_middle(volume: Path, path: Path) -> None:
    whole = sitk.ReadImage(str(volume))
    size, start = list(whole.GetSize()), [0] * whole.GetDimension()
    axis = int(np.argmin(size))
    start[axis], size[axis] = size[axis] // 2, 1
    sitk.WriteImage(sitk.RegionOfInterest(whole, size, start), str(path))
