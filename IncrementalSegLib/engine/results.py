"""Files of a result: where they go, what they must not replace, and their writing."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from IncrementalSegLib.engine.sources import LONGEST_NAME, ScanSource
from IncrementalSegLib.errors import DataError, Hint, OptionError, OptionRef
from IncrementalSegLib.inference.prediction import Prediction
from IncrementalSegLib.structures import StructureList
from IncrementalSegLib.types import StructureId
from IncrementalSegLib.volumes.io import name_of, write_volume
from IncrementalSegLib.volumes.payload import is_folder, is_there
from IncrementalSegLib.volumes.seg_nrrd import write_seg_nrrd
from IncrementalSegLib.volumes.segmentations import check_label_map, value_table, write_label_map
from IncrementalSegLib.volumes.volume import Grid, Volume

Format = Literal["seg.nrrd", "nii.gz"]

UNCERTAINTY_PARTS = ("uncertainty-aleatoric", "uncertainty-epistemic")
"""Names of the maps of the two parts of the uncertainty."""

_ENDINGS = (".seg.nrrd", ".nii.gz", ".nii", ".nrrd", ".mha", ".png")


def place_results(output: Path, sources: Sequence[ScanSource], form: Format | None) -> Callable[[ScanSource], Path]:
    """Return a function from a scan to the file of its result.

    Args:
        output: A folder for several scans; a file name or folder for one.
        sources: The scans.
        form: Format; by default as the name of the output says, else ``seg.nrrd``.

    Raises:
        OptionError: One file for several scans, or a name of another format.
    """
    named = next((ending for ending in _ENDINGS if output.name.lower().endswith(ending)), None)
    if named is not None and not is_folder(output):
        if len(sources) > 1:
            raise OptionError(
                f"{len(sources)} scans cannot be written to the one file {output.name}.", todo="Name a folder."
            )
        if form is not None and not named.endswith(form):
            raise OptionError(
                f"The output {output.name} does not end in .{form}.",
                todo=Hint("Leave out ", OptionRef("format"), ", or rename the output."),
            )
        return lambda source: output
    ending = form or "seg.nrrd"
    return lambda source: output / f"{source.name}.{ending}"


def keep_files(files: Sequence[Path], scans: Sequence[Path], overwrite: bool) -> None:
    """Refuse results that would replace each other or a file that is read, or without ``overwrite`` any other file.

    Args:
        files: Files of the results.
        scans: Files that are read: scans and strokes.
        overwrite: Other files may be replaced.

    Raises:
        OptionError: A file is there already, or two results have one name.
    """
    name, count = Counter(str(path).casefold() for path in files).most_common(1)[0]
    if count > 1:
        raise OptionError(
            f"Two results would be called {Path(name).name}.",
            "One of them would overwrite the other.",
            "Ask for them one by one, in different folders.",
        )
    kept = {path.resolve() for path in scans}
    for path in files:
        if path.resolve() in kept:
            raise OptionError(
                f"The result {path} would overwrite an input file.",
                todo="Choose another folder or format.",
            )
    there = [path for path in files if is_there(path)]
    if there and not overwrite:
        already = f" and {len(there) - 1} more of the results already exist" if len(there) > 1 else " already exists"
        raise OptionError(
            f"{there[0]}{already}.",
            "It may be an outline that a person has drawn or corrected.",
            Hint("Choose another folder, or replace it with ", OptionRef("overwrite", True), "."),
        )


def check_files(path: Path, grid: Grid, maps: Sequence[str] = ()) -> None:
    """Refuse a result that cannot be written, before the work for it.

    Args:
        path: File of the outlines.
        grid: The grid of the scan.
        maps: Names of the maps.

    Raises:
        OptionError: A name is longer than a file system takes.
        DataError: The format cannot hold the grid.
    """
    for file in files_of(path, maps):
        if len(os.fsencode(file.name)) > LONGEST_NAME:
            raise OptionError(
                f"The result would be called {file.name!r}, which is longer than {LONGEST_NAME} bytes.",
                todo="Rename the scan, or segment it alone with a file name as output.",
            )
    if not path.name.lower().endswith(".seg.nrrd"):
        check_label_map(path, grid)


def files_of(path: Path, maps: Sequence[str] = ()) -> list[Path]:
    """Return all files of a result: itself, the names of its values, and its maps, called after what they show."""
    files = [path]
    if not path.name.lower().endswith(".seg.nrrd"):
        files.append(value_table(path))
    ending = ".nrrd" if "nrrd" in path.name else ".nii.gz"
    tidy = [re.sub(r"[^\w-]+", "_", name) for name in maps]
    return [*files, *(path.with_name(f"{name_of(path)}-{name}{ending}") for name in tidy)]


def similarity_map(name: str) -> str:
    """Return the name of the map that shows the cosine with a structure."""
    return f"similarity-{name}"


def write_result(
    path: Path,
    prediction: Prediction,
    grid: Grid,
    structures: StructureList,
    warnings: list[str],
    alike: StructureList | None = None,
    precedence: Sequence[StructureId] = (),
) -> list[Path]:
    """Write the outlines of a scan, and its maps of uncertainty, similarity and unknown voxels where there are some.

    Args:
        path: File of the outlines; its ending says the format.
        prediction: Masks on ``grid``.
        grid: The grid of the scan.
        structures: The structures to write.
        warnings: Overlaps that the format cannot hold are appended here.
        alike: The structures of the maps of similarity.
        precedence: Structures that come first where a label map can hold only one.

    Returns:
        The files.

    Raises:
        DataError: The folder or a file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(
            f"The folder {path.parent} cannot be made ({error.strerror}).", todo="Choose another."
        ) from error
    maps: dict[str, NDArray[np.generic]] = {}
    if prediction.uncertainty is not None:
        maps["uncertainty"] = prediction.uncertainty
    if prediction.aleatoric is not None and prediction.epistemic is not None:
        maps |= zip(UNCERTAINTY_PARTS, (prediction.aleatoric, prediction.epistemic), strict=True)
    for item in alike or ():
        maps[similarity_map(item.name)] = prediction.similarity[item.id]
    if prediction.unknown is not None:
        maps["unknown"] = prediction.unknown.astype(np.uint8)
    files = files_of(path, list(maps))
    if path.name.lower().endswith(".seg.nrrd"):
        write_seg_nrrd(path, prediction.mask, grid, structures)
    else:
        warnings += write_label_map(path, prediction.mask, grid, structures, precedence)
    for file, shown in zip(files[len(files) - len(maps) :], maps.values(), strict=True):
        write_volume(file, Volume(shown[np.newaxis], grid))
    return files


def millilitres(mask: NDArray[np.bool_], grid: Grid) -> float:
    """Return the volume of a mask in ml, as results report it."""
    return round(int(np.count_nonzero(mask)) * grid.voxel_ml, 4)
