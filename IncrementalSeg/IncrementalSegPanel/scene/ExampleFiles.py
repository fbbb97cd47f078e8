"""Examples of the scene as a data set on the disk that the worker learns from."""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np

from IncrementalSegLib.errors import DataError
from IncrementalSegLib.structures import check_name
from IncrementalSegPanel.scene.Examples import Example, segmentationOf
from IncrementalSegPanel.scene.Exports import Pieces
from IncrementalSegPanel.scene.Files import Nrrd
from IncrementalSegPanel.scene.Geometry import ijkToWorld
from IncrementalSegPanel.scene.Pseudonyms import caseOf, patientOf
from IncrementalSegPanel.scene.ScanFiles import scanPieces, volume
from IncrementalSegPanel.scene.Segments import gridOf, labelmapOf, onGrid
from IncrementalSegPanel.Translation import _

MANIFEST = "manifest.csv"
_LABEL_BYTES = 1 << 20
"""Amount of a label resampled at once, which takes longer than writing it."""
_COLUMNS = ("case", "patient", "image", "looked_for", "label")

T = TypeVar("T")


@dataclass
class _Case:
    """One row of the manifest: a scan and the examples on it, by the name of the structure."""

    id: str
    volumeId: str
    examples: dict[str, Example] = field(default_factory=dict)


def examplePieces(examples: Sequence[Example], structureName: str, folder: Path) -> Pieces:
    """Write scans and labels, and last the manifest that makes a data set of them.

    Args:
        examples: What to write; several structures on one scan become one case.
        structureName: What examples are taught as that name no structure themselves.
        folder: A folder that is not there yet, or empty.

    Returns:
        The folder.

    Raises:
        DataError: The folder is in use, an example cannot teach, or its nodes vanished.
        OptionError: The name cannot be that of a structure.
    """
    cases = _cases(examples, structureName)
    if folder.exists() and any(folder.iterdir()):
        raise DataError(_("The folder {folder} is not empty.").format(folder=folder), todo=_("Choose another one."))
    folder.mkdir(parents=True, exist_ok=True)
    rows, complete = [], False
    try:
        for index, case in enumerate(cases):
            rows.append((yield from _part(_casePieces(case, folder), index, len(cases))))
        _writeManifest(folder, rows)
        complete = True
    finally:
        if not complete:
            shutil.rmtree(folder, ignore_errors=True)
    return folder


def _cases(examples: Sequence[Example], structureName: str) -> list[_Case]:
    """Return the rows: one per scan, or several where a structure was outlined several times on it."""
    if not examples:
        raise DataError(_("No example is chosen."), todo=_("Choose at least one."))
    cases: list[_Case] = []
    for example in examples:
        name = example.structure or structureName
        if example.obstacle:
            raise DataError(
                _("{name} cannot be used for teaching.").format(name=example.name), example.obstacle, _("Leave it out.")
            )
        check_name(name)
        same = [case for case in cases if case.volumeId == example.volumeId]
        case = next((case for case in same if name not in case.examples), None)
        if case is None:
            case = _Case(_free(caseOf(volume(example.volumeId)), cases), example.volumeId)
            cases.append(case)
        case.examples[name] = example
    return cases


def _free(known: str, cases: Sequence[_Case]) -> str:
    """Return an id that no case has yet; a scan may have several cases, and a copy of it bears the same mark."""
    taken, found, number = {case.id for case in cases}, known, 1
    while found in taken:
        number += 1
        found = f"{known}-{number}"
    return found


def _casePieces(case: _Case, folder: Path) -> Generator[float, None, dict[str, str]]:
    """Write the scan and the labels of a case.

    Returns:
        Its row of the manifest.
    """
    steps = len(case.examples) + 1
    image = yield from _part(scanPieces(case.volumeId, folder / "scans" / f"{case.id}.nrrd", copy=True), 0, steps)
    labels = {}
    for index, (name, example) in enumerate(case.examples.items(), start=1):
        path = folder / "labels" / f"{case.id}-{index}.nrrd"
        yield from _part(_labelPieces(example, path), index, steps)
        labels[name] = path
    return {
        "case": case.id,
        "patient": patientOf(volume(case.volumeId)),
        "image": image.relative_to(folder).as_posix(),
        "looked_for": ";".join(labels),
        "label": ";".join(f"{name}={path.relative_to(folder).as_posix()}" for name, path in labels.items()),
    }


def _labelPieces(example: Example, path: Path) -> Pieces:
    """Write one segment as a mask on the grid of its scan."""
    scan = volume(example.volumeId)
    mask = labelmapOf(segmentationOf(example), example.segmentId)
    yield 0.0
    size, matrix = scan.GetImageData().GetDimensions(), ijkToWorld(scan)
    thickness = max(1, _LABEL_BYTES // (size[0] * size[1]))
    with Nrrd(path, size, np.dtype(np.uint8), matrix, packed=True) as file:
        for first in range(0, size[2], thickness):
            file.writeVoxels(onGrid(mask, gridOf(volume(example.volumeId), first, first + thickness - 1)))
            yield min(1.0, (first + thickness) / size[2])
        file.complete()
    return path


def _part(pieces: Generator[float, None, T], index: int, count: int) -> Generator[float, None, T]:
    """Pass pieces on as one of ``count`` equal parts of the whole, and close them when it is closed."""
    try:
        while True:
            yield (index + next(pieces)) / count
    except StopIteration as end:
        return end.value
    finally:
        pieces.close()


def _writeManifest(folder: Path, rows: Sequence[dict[str, str]]) -> None:
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, _COLUMNS)
    table.writeheader()
    table.writerows(rows)
    temporary = folder / f".{MANIFEST}"
    temporary.write_text(text.getvalue(), encoding="utf-8", newline="")
    temporary.replace(folder / MANIFEST)
