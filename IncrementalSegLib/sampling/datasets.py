"""Open labelled scans in any of the known layouts, choose among them, and read a case."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from IncrementalSegLib.errors import DataError, UnknownNameError
from IncrementalSegLib.names import tame
from IncrementalSegLib.sampling.cases import IGNORE, Case, Dataset
from IncrementalSegLib.sampling.readers_folders import DATASET_FILE, open_decathlon, open_nnunet, read_json
from IncrementalSegLib.sampling.readers_manifest import open_manifest
from IncrementalSegLib.structures import Request
from IncrementalSegLib.volumes.io import read_volume
from IncrementalSegLib.volumes.segmentations import read_masks
from IncrementalSegLib.volumes.volume import Volume

_MANIFESTS = ("manifest.csv", "manifest.json")
_LAYOUTS = (
    "Known layouts: (1) nnU-Net v2: dataset.json with channel_names and labels, imagesTr, labelsTr; "
    "(2) Medical Segmentation Decathlon: dataset.json with labels and training; "
    "(3) a manifest, CSV or JSON, with the columns image, patient, looked_for, label."
)


def open_data(path: Path | str) -> Dataset:
    """Open a data set; no voxel is read.

    Args:
        path: A folder with ``dataset.json`` (nnU-Net v2 raw or Medical Segmentation Decathlon), a manifest
            (CSV or JSON), or a folder with one ``manifest.csv`` or ``manifest.json``.

    Raises:
        DataError: Nothing is there, the layout is unknown, or its description is faulty.
        UnknownNameError: A row of a manifest looks for a name that no label declares.

    Example:
        >>> open_data("scans").names
        ('humerus',)
    """
    path = Path(path)
    if not path.exists():
        raise DataError(f"{path} is not there.", todo="Correct the path.")
    if path.name == DATASET_FILE:
        path = path.parent
    if path.is_file():
        if path.suffix.lower() in (".csv", ".tsv", ".txt", ".json"):
            return open_manifest(path)
        raise DataError(f"{path.name} is no data set.", _LAYOUTS, "Name a folder or a manifest.")
    if (path / DATASET_FILE).is_file():
        return _open_folder(path)
    manifests = [path / name for name in _MANIFESTS if (path / name).is_file()]
    if len(manifests) == 1:
        return open_manifest(manifests[0])
    found = "both manifest.csv and manifest.json" if manifests else "neither dataset.json nor a manifest"
    raise DataError(f"The folder {path} holds {found}.", _LAYOUTS, "Name one of them.")


def select_cases(dataset: Dataset, cases: str | Sequence[str]) -> Dataset:
    """Keep the named cases.

    Args:
        dataset: The data set.
        cases: Comma-separated case ids, or a text file with one id per line (``#`` starts a comment); as a list
            they are taken as they are.

    Raises:
        UnknownNameError: The data set has no such case.
        DataError: No case is named, or the file cannot be read.
    """
    wanted = [tame(name) for name in (_ids(cases) if isinstance(cases, str) else cases)]
    known = {case.id for case in dataset.cases}
    for case_id in wanted:
        if case_id not in known:
            raise UnknownNameError("case", case_id, known)
    if not wanted:
        raise DataError(f"{cases!r} names no case.", todo="Write case ids, separated by commas, or one per line.")
    return replace(dataset, cases=tuple(case for case in dataset.cases if case.id in set(wanted)))


def looked_for(dataset: Dataset, requests: Sequence[Request]) -> Dataset:
    """Restrict a data set to the requested labels: what else its cases hold becomes unknown.

    Each case keeps those of the labels that were looked for in it; a case with none is dropped.  The
    labels are compared without regard to case and spelled as in the requests afterwards.

    Args:
        dataset: The data set.
        requests: The structures asked for, with their labels in the data.

    Raises:
        UnknownNameError: The data set has no such label.
        DataError: The labels exist, but were looked for in no case.
    """
    known = {name.casefold() for name in dataset.names}
    spelled = {request.label.casefold(): request.label for request in requests}
    for folded, label in spelled.items():
        if folded not in known:
            raise UnknownNameError("label", label, dataset.names)
    cases = []
    for case in dataset.cases:
        kept = frozenset(spelled[name.casefold()] for name in case.looked_for if name.casefold() in spelled)
        if kept:
            values = {spelled.get(name.casefold(), name): found for name, found in case.values.items()}
            masks = {spelled.get(name.casefold(), name): file for name, file in case.masks.items()}
            cases.append(replace(case, looked_for=kept, values=values, masks=masks))
    if not cases:
        labels = ", ".join(spelled.values())
        raise DataError(
            f"{labels} was looked for in none of the {len(dataset.cases)} cases.",
            todo="Choose other cases, or say in the manifest (column looked_for) where it was.",
        )
    names = tuple(spelled.get(name.casefold(), name) for name in dataset.names)
    return replace(dataset, names=names, cases=tuple(cases))


def read_case(case: Case) -> tuple[Volume, dict[str, NDArray[np.bool_]]]:
    """Read the scan of a case and the masks of what was looked for in it.

    Args:
        case: The case.

    Returns:
        The volume, which knows where nobody looked for anything (the label :data:`~.cases.IGNORE`), and
        label name -> ``(D, H, W)`` bool mask on its grid, sorted by name.

    Raises:
        DataError: A file is missing, unreadable or does not fit; the message names the case.
    """
    try:
        volume = read_volume(case.images)
        names = sorted(case.looked_for | ({IGNORE} & case.values.keys()))
        masks = read_masks(volume.grid, names, case.label, case.values, case.masks)
        unlabelled = masks.pop(IGNORE, None)
        return replace(volume, unlabelled=unlabelled), masks
    except (DataError, UnknownNameError) as error:
        kind = type(error) if isinstance(error, DataError) else DataError
        raise kind(f"Case {case.id!r}: {error.what}", error.why, error.todo) from error


def _open_folder(root: Path) -> Dataset:
    description = read_json(root / DATASET_FILE)
    if isinstance(description, dict):
        if "channel_names" in description or ((root / "labelsTr").is_dir() and "training" not in description):
            return open_nnunet(root, description)
        if isinstance(description.get("training"), list):
            return open_decathlon(root, description)
    raise DataError(
        f"{root / DATASET_FILE} has neither channel_names nor a training list.", _LAYOUTS, "Complete the file."
    )


def _ids(text: str) -> list[str]:
    file = Path(text)
    try:
        is_file = file.is_file()
    except OSError:  # a long list of ids is no file name
        is_file = False
    if not is_file:
        return [part.strip() for part in text.split(",") if part.strip()]
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"The list of cases {file} cannot be read ({error}).", todo="Give a text file.") from error
    return [line.partition("#")[0].strip() for line in lines if line.partition("#")[0].strip()]
