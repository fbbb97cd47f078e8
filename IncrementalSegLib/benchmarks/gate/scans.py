"""The scans that the gate is measured on, reduced where they are large."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import SimpleITK as sitk
from filelock import FileLock

from IncrementalSegLib.files import read_json, write_json
from IncrementalSegLib.sampling.cases import Case, Dataset
from IncrementalSegLib.sampling.datasets import open_data


@dataclass(frozen=True)
class Scans:
    """A public data set and what is taught from it.

    Attributes:
        name: Name of its folder.
        old: What the first step teaches, as for ``learn``.
        new: What the next one teaches.
        judging: Patients that judge at most.
        shrink: Factors along x, y, z by which scans are made smaller first.
    """

    name: str
    old: str
    new: str
    judging: int
    shrink: tuple[int, int, int] = (1, 1, 1)


SCANS = (
    Scans("lumbar-spine-mr", "vertebrae, intervertebral discs", "spinal canal", 13, (2, 4, 4)),
    Scans("hippocampus-mr", "anterior hippocampus", "posterior hippocampus", 40),
)


def smaller_scans(scans: Scans, data: Path, store: Path) -> Dataset:
    """Return the data set, with its scans reduced into ``store`` on the first call where that is asked for."""
    source = open_data(data / scans.name)
    if scans.shrink == (1, 1, 1):
        return source
    target = store / scans.name
    store.mkdir(parents=True, exist_ok=True)
    with FileLock(store / f"{scans.name}.lock"):
        if not (target / "dataset.json").exists():
            training = [_reduce(case, target, scans.shrink) for case in source.cases]
            write_json(target / "dataset.json", read_json(source.root / "dataset.json") | {"training": training})
    return open_data(target)


def _reduce(case: Case, target: Path, factors: tuple[int, int, int]) -> dict[str, str]:
    """Write a smaller copy of a case: the image as box means, the label by its nearest voxels."""
    assert case.label is not None, "the public sets have label maps"
    image = sitk.Cast(sitk.BinShrink(sitk.ReadImage(str(case.images[0])), factors), sitk.sitkFloat32)
    label = sitk.Resample(sitk.ReadImage(str(case.label)), image, sitk.Transform(), sitk.sitkNearestNeighbor)
    found = {}
    for kind, small in (("image", image), ("label", label)):
        (target / kind).mkdir(parents=True, exist_ok=True)
        sitk.WriteImage(small, str(target / kind / f"{case.id}.nii.gz"))
        found[kind] = f"./{kind}/{case.id}.nii.gz"
    return found
