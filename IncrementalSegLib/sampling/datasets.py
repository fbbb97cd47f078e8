"""Open labelled scans in any of the known layouts, and choose among them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from IncrementalSegLib.errors import DataError, UnknownNameError
from IncrementalSegLib.names import name_key
from IncrementalSegLib.sampling.cases import Case, Dataset
from IncrementalSegLib.sampling.collecting import read_json, read_text, respelled
from IncrementalSegLib.sampling.modality import modality_of_channels
from IncrementalSegLib.sampling.readers_folders import DATASET_FILE, open_decathlon, open_nnunet
from IncrementalSegLib.sampling.readers_manifest import open_manifest
from IncrementalSegLib.structures import StructureSpec, split_names
from IncrementalSegLib.volumes.notes import Note
from IncrementalSegLib.volumes.payload import is_there

_MANIFESTS = ("manifest.csv", "manifest.json")
_TABLES = (".csv", ".tsv", ".txt", ".json")
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
    if not is_there(path):
        raise DataError(f"{path} is not there.", todo="Correct the path.")
    if path.name == DATASET_FILE:
        path = path.parent
    if path.is_file():
        if path.suffix.lower() in _TABLES:
            return open_manifest(path)
        raise DataError(f"{path.name} is not a data set.", _LAYOUTS, "Name a folder or a manifest.")
    if (path / DATASET_FILE).is_file():
        return _open_folder(path)
    manifests = [path / name for name in _MANIFESTS if (path / name).is_file()]
    if len(manifests) == 1:
        return open_manifest(manifests[0])
    found = "both manifest.csv and manifest.json" if manifests else "neither dataset.json nor a manifest"
    raise DataError(f"The folder {path} holds {found}.", _LAYOUTS, "Name one of them.")


def is_data(path: Path) -> bool:
    """Return whether :func:`open_data` would try to read a path: it is a data set rather than scans alone."""
    if path.is_file():
        return path.suffix.lower() in _TABLES
    return any((path / name).is_file() for name in (DATASET_FILE, *_MANIFESTS))


def open_cases(
    data: Path | str | Dataset, cases: str | Sequence[str] | None = None, *, accept_grid: bool = False
) -> Dataset:
    """Return a data set that may be open already, with the named cases.

    Args:
        data: The data set, or its path.
        cases: As for :func:`select_cases`; ``None`` keeps all.
        accept_grid: Match a label of the size of its image voxel by voxel, ignoring its header.

    Raises:
        IncrementalSegError: As for :func:`open_data` and :func:`select_cases`.
    """
    dataset = data if isinstance(data, Dataset) else open_data(data)
    if accept_grid:
        dataset = replace(dataset, cases=tuple(replace(case, by_index=True) for case in dataset.cases))
    return dataset if cases is None else select_cases(dataset, cases)


def select_cases(dataset: Dataset, cases: str | Sequence[str]) -> Dataset:
    """Keep the named cases.

    Args:
        dataset: The data set.
        cases: Comma-separated case ids, in double quotes where they hold a comma, or a text file with one id per line
            (``#`` starts a comment); as a list they are taken as they are.

    Raises:
        UnknownNameError: The data set has no such case.
        DataError: No case is named, or the file cannot be read.
    """
    wanted = _ids(cases) if isinstance(cases, str) else cases
    by_key: dict[str, list[str]] = {}
    for case in dataset.cases:
        by_key.setdefault(name_key(case.id), []).append(case.id)
    chosen = set()
    for case_id in wanted:
        alike = by_key.get(name_key(case_id), [])
        if case_id not in alike and len(alike) != 1:  # two may differ in nothing but case
            raise UnknownNameError("case", case_id, {case.id for case in dataset.cases})
        chosen.add(case_id if case_id in alike else alike[0])
    if not wanted:
        raise DataError(f"{cases!r} names no case.", todo="Write case ids, separated by commas, or one per line.")
    return replace(dataset, cases=tuple(case for case in dataset.cases if case.id in chosen))


def restrict_labels(dataset: Dataset, requests: Sequence[StructureSpec]) -> Dataset:
    """Restrict a data set to the requested labels: what else its cases hold becomes unknown.

    Each case keeps those of the labels that were looked for in it; a case with none is dropped, and where the files
    alone say what was looked for, that is noted.  The labels are spelled as in the requests afterwards.

    Args:
        dataset: The data set.
        requests: The structures asked for, with their labels in the data.

    Raises:
        UnknownNameError: The data set has no such label.
        DataError: The labels exist, but were looked for in no case.
    """
    known = {name_key(name) for name in dataset.names}
    spelled = {name_key(request.label): request.label for request in requests}
    for key, label in spelled.items():
        if key not in known:
            raise UnknownNameError("label", label, dataset.names, f"The data set {dataset.name!r} does not name it.")
    cases = []
    notes = dict(dataset.notes)
    for case in dataset.cases:
        kept = frozenset(name for name in case.looked_for if name_key(name) in spelled)
        if kept:
            cases.append(respelled(replace(case, looked_for=kept), spelled))
        missing = spelled.keys() - {name_key(name) for name in kept}
        if missing and (found := _unknown(case, [spelled[key] for key in spelled if key in missing], bool(kept))):
            notes[case.id] = (*notes.get(case.id, ()), found)
    if not cases:
        labels = ", ".join(spelled.values())
        raise DataError(
            f"{labels} was looked for in none of the {len(dataset.cases)} cases.",
            todo="Choose other cases, or say in the manifest (column looked_for) where it was.",
        )
    names = tuple(spelled.get(name_key(name), name) for name in dataset.names)
    return replace(dataset, names=names, cases=tuple(cases), notes=notes)


def _unknown(case: Case, missing: Sequence[str], used: bool) -> Note | None:
    """Return what to say of labels that a case lacks where no person said what was looked for in it."""
    label = next(iter([case.label] if case.label is not None else case.masks.values()), None)
    if label is None and not case.looked_for:
        return Note("without-label", f"the image {case.images[0].name} has no label and is not used.")
    if not case.holds or label is None:
        return None
    listing = ", ".join(case.holds[:10]) + (", ..." if len(case.holds) > 10 else "")
    source = label.name if case.label is not None else "its masks"
    said = f"{source} names {listing}, but not {', '.join(missing)}: unknown there"
    end = "." if used else ", so the case is not used."
    return Note("unknown-there", f"{said}{end} If it was looked for and is absent, say so in the column looked_for.")


def _open_folder(root: Path) -> Dataset:
    description = read_json(root / DATASET_FILE)
    if isinstance(description, dict):
        stated = (modality_of_channels(description.get(key)) for key in ("channel_names", "modality"))
        modality = next(filter(None, stated), "")
        if "channel_names" in description or ((root / "labelsTr").is_dir() and "training" not in description):
            return _stated(open_nnunet(root, description), modality)
        if isinstance(description.get("training"), list):
            return _stated(open_decathlon(root, description), modality)
    raise DataError(
        f"{root / DATASET_FILE} has neither channel_names nor a training list.", _LAYOUTS, "Complete the file."
    )


def _stated(data: Dataset, modality: str) -> Dataset:
    """Return a data set whose cases have the modality that its description states."""
    return replace(data, cases=tuple(replace(case, modality=modality) for case in data.cases))


def _ids(text: str) -> list[str]:
    file = Path(text)
    try:
        is_file = file.is_file()
    except OSError:  # a long list of ids is no file name
        is_file = False
    if not is_file:
        parts = (name if not value else f"{name}={value}" for name, value in split_names(text, ","))
        return [part for part in parts if part]
    lines = read_text(file).split("\n")
    return [line.partition("#")[0].strip() for line in lines if line.partition("#")[0].strip()]
