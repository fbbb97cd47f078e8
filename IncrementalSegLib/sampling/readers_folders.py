"""Open the two common folder layouts with a ``dataset.json``: nnU-Net v2 raw and Medical Segmentation Decathlon."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from IncrementalSegLib.errors import DataError
from IncrementalSegLib.names import name_key
from IncrementalSegLib.sampling.cases import IGNORE, Case, Dataset, Notes
from IncrementalSegLib.sampling.collecting import (
    Values,
    case_names,
    collected,
    named_segments,
    named_values,
    patient_of,
)
from IncrementalSegLib.types import Json
from IncrementalSegLib.volumes.io import name_of
from IncrementalSegLib.volumes.notes import Note

DATASET_FILE = "dataset.json"


def open_nnunet(root: Path, description: Json) -> Dataset:
    """Open a raw folder of nnU-Net v2: ``imagesTr/CASE_0000``, ``labelsTr/CASE``; only labelled cases count.

    Args:
        root: Folder that holds ``dataset.json``.
        description: Its content.

    Raises:
        DataError: The description lacks what the layout needs.
    """
    values = named_values(description.get("labels"), root / DATASET_FILE)
    channel_names = description.get("channel_names", {"0": ""})
    if not isinstance(channel_names, Mapping) or not channel_names:
        raise DataError(
            f"{root / DATASET_FILE} has the channel_names {channel_names!r}.", todo='Write {"0": NAME, "1": NAME, ...}.'
        )
    ending = str(description.get("file_ending", ".nii.gz"))
    listed = description.get("dataset")
    if isinstance(listed, Mapping):
        cases, unlabelled = _listed(root, listed, values)
    else:
        cases = []
        for label in sorted((root / "labelsTr").glob(f"*{ending}")):
            name = label.name.removesuffix(ending)
            images = (root / "imagesTr" / f"{name}_{channel:04d}{ending}" for channel in range(len(channel_names)))
            if not name.startswith("."):
                cases.append(_case(name, name, images, label, values))
        unlabelled = _without_label(root / "imagesTr", cases)
    names = [name for name in values if name != IGNORE]
    return collected(str(description.get("name", root.name)), root, names, cases, unlabelled)


def open_decathlon(root: Path, description: Json) -> Dataset:
    """Open a Decathlon folder: ``training`` in ``dataset.json`` lists image and label paths.

    Args:
        root: Folder that holds ``dataset.json``.
        description: Its content.

    Raises:
        DataError: The description lacks what the layout needs.
    """
    values = named_values(description.get("labels"), root / DATASET_FILE)
    rows = []
    for row in description["training"]:
        if not isinstance(row, Mapping) or not row.get("image"):
            raise DataError(
                f"{root / DATASET_FILE} lists the training case {row!r}.",
                todo='Each one needs {"image": PATH, "label": PATH}.',
            )
        listed = row["image"] if isinstance(row["image"], list) else [row["image"]]
        rows.append((row, [root / str(image) for image in listed]))
    cases: list[Case] = []
    unlabelled: Notes = {}
    for (row, images), name in zip(rows, case_names([images[0] for _, images in rows], root), strict=True):
        files = [file for image in images for file in _channels_of(image)]
        if row.get("label"):
            cases.append(_case(name, patient_of(row.get("patient"), name), files, root / str(row["label"]), values))
        else:
            unlabelled[name] = (_unlabelled(files[0]),)
    if rows and not cases:
        raise DataError(
            f"{root / DATASET_FILE} gives none of its {len(rows)} training cases a label; the first is {rows[0][0]!r}.",
            todo='Each one needs {"image": PATH, "label": PATH}.',
        )
    names = [name for name in values if name != IGNORE]
    used = {file.resolve() for _, images in rows for image in images for file in _channels_of(image)}
    unlabelled |= _without_label(root / "imagesTr", cases, used)
    return collected(str(description.get("name", root.name)), root, names, cases, unlabelled)


def _case(name: str, patient: str, images: Iterable[Path], label: Path, values: Values) -> Case:
    """Return a case; of a label that names its own segments only these were looked for."""
    names = frozenset(known for known in values if known != IGNORE)
    segments = named_segments(label)
    if not segments:
        return Case(id=name, patient=patient, images=tuple(images), looked_for=names, label=label, values=values)
    held = {name_key(segment) for segment in segments}
    found = frozenset(known for known in names if name_key(known) in held)
    return Case(
        id=name, patient=patient, images=tuple(images), looked_for=found, label=label, values=values, holds=segments
    )


def _listed(root: Path, listed: Mapping[str, object], values: Values) -> tuple[list[Case], Notes]:
    """Return the cases of a description that lists their paths, and a note on each that has no label."""
    cases: list[Case] = []
    unlabelled: Notes = {}
    for name, row in listed.items():
        if not isinstance(row, Mapping) or not isinstance(row.get("images"), list) or not row["images"]:
            raise DataError(
                f"{root / DATASET_FILE} lists the case {name!r} as {row!r}.",
                todo='Each one needs {"images": [PATH, ...], "label": PATH}.',
            )
        images = [root / str(image) for image in row["images"]]
        if row.get("label"):
            cases.append(_case(name, name, images, root / str(row["label"]), values))
        else:
            unlabelled[name] = (_unlabelled(images[0]),)
    return cases, unlabelled


def _without_label(folder: Path, cases: Iterable[Case], known: Collection[Path] = ()) -> Notes:
    """Return a note on each image of a folder that no case uses, one for each case."""
    cases = list(cases)
    used = {image.resolve() for case in cases for image in case.images} | set(known)
    labelled = {case.id for case in cases}
    found: Notes = {}
    for file in sorted(folder.iterdir()) if folder.is_dir() else ():
        if file.name.startswith(".") or file.resolve() in used:
            continue
        name = re.sub(r"_\d{4}$", "", name_of(file))
        channel = Note("unused-channel", f"the image {file.name} is none of the channels that {DATASET_FILE} names.")
        found.setdefault(name, (channel if name in labelled else _unlabelled(file),))
    return found


def _unlabelled(image: Path) -> Note:
    return Note("without-label", f"the image {image.name} has no label and is not used.")


def _channels_of(image: Path) -> tuple[Path, ...]:
    """Return the file, or where it is missing its channels ``_0000``, ``_0001``, ... as nnU-Net v1 names them."""
    if image.exists() or not image.parent.is_dir():
        return (image,)
    stem = name_of(image)
    pattern = re.compile(re.escape(stem) + r"_\d{4}" + re.escape(image.name[len(stem) :]))
    found = sorted(file for file in image.parent.iterdir() if pattern.fullmatch(file.name))
    return tuple(found) or (image,)
