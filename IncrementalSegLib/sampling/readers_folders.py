"""Open the two common folder layouts with a ``dataset.json``: nnU-Net v2 raw and Medical Segmentation Decathlon."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from IncrementalSegLib.errors import DataError
from IncrementalSegLib.sampling.cases import IGNORE, Case, Dataset
from IncrementalSegLib.types import Json
from IncrementalSegLib.volumes.io import name_of

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
    names = [name for name in values if name != IGNORE]
    channel_names = description.get("channel_names", {"0": ""})
    if not isinstance(channel_names, Mapping) or not channel_names:
        raise DataError(
            f"{root / DATASET_FILE} has the channel_names {channel_names!r}.", todo='Write {"0": NAME, "1": NAME, ...}.'
        )
    ending = str(description.get("file_ending", ".nii.gz"))
    cases = []
    for case_id, images, label in _nnunet_files(root, description, ending, len(channel_names)):
        cases.append(Case(case_id, case_id, images, frozenset(names), label, values))
    return collected(str(description.get("name", root.name)), root, names, cases)


def open_decathlon(root: Path, description: Json) -> Dataset:
    """Open a Decathlon folder: ``training`` in ``dataset.json`` lists image and label paths.

    Args:
        root: Folder that holds ``dataset.json``.
        description: Its content.

    Raises:
        DataError: The description lacks what the layout needs.
    """
    values = named_values(description.get("labels"), root / DATASET_FILE)
    names = [name for name in values if name != IGNORE]
    cases = []
    for row in description["training"]:
        if not isinstance(row, Mapping) or "image" not in row or "label" not in row:
            raise DataError(
                f"{root / DATASET_FILE} lists the training case {row!r}.",
                todo='Each one needs {"image": PATH, "label": PATH}.',
            )
        listed = row["image"] if isinstance(row["image"], list) else [row["image"]]
        label = root / str(row["label"])
        images = tuple(file for image in listed for file in _channels_of(root / str(image)))
        case_id = name_of(Path(str(listed[0])))
        cases.append(Case(case_id, str(row.get("patient", case_id)), images, frozenset(names), label, values))
    return collected(str(description.get("name", root.name)), root, names, cases)


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        DataError: It cannot be read or is no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path} cannot be read as JSON ({error}).", todo="Correct the file.") from error


def named_values(labels: object, source: Path) -> dict[str, tuple[int, ...]]:
    """Read a table of label names in either direction: name -> value(s), or value -> name.

    Args:
        labels: The table; the value 0 is the background and no structure.
        source: The file it stands in, for the message.

    Returns:
        Name -> values, in the order of the values.

    Raises:
        DataError: It is no such table.
    """
    if not isinstance(labels, Mapping) or not labels:
        raise DataError(
            f"{source} has no table of labels.", todo='Add "labels", for example {"liver": 1, "spleen": 2}.'
        )
    values: dict[str, tuple[int, ...]] = {}
    for key, entry in labels.items():
        is_value = isinstance(key, int) or (isinstance(key, str) and key.strip().isdigit() and isinstance(entry, str))
        name, numbers = (entry, key) if is_value else (key, entry)
        numbers = list(numbers) if isinstance(numbers, (list, tuple)) else [numbers]
        try:
            found = tuple(int(number) for number in numbers)
        except (TypeError, ValueError) as error:
            raise DataError(
                f"{source} gives the label {name!r} the value {entry!r}.", todo="Values are whole numbers."
            ) from error
        name = str(name).strip()
        if found and any(found):
            values[IGNORE if name.casefold() == IGNORE else name] = found
    return dict(sorted(values.items(), key=lambda item: (min(item[1]), len(item[1]))))


def collected(name: str, root: Path, names: Iterable[str], cases: Iterable[Case]) -> Dataset:
    """Return the cases as a data set, sorted by id.

    Raises:
        DataError: No case, or two of one name.
    """
    ordered = tuple(sorted(cases, key=lambda case: case.id))
    if not ordered:
        raise DataError(f"{root} holds no case with an image and a label.", todo="Add cases, or name another folder.")
    for first, second in itertools.pairwise(ordered):
        if first.id == second.id:
            raise DataError(f"Two cases in {root} are called {first.id!r}.", todo="Give each case its own name.")
    return Dataset(name, root, tuple(names), ordered)


def _nnunet_files(
    root: Path, description: Json, ending: str, channels: int
) -> Iterable[tuple[str, tuple[Path, ...], Path]]:
    """Yield case, images and label; ``dataset`` in the description lists paths explicitly."""
    listed = description.get("dataset")
    if isinstance(listed, Mapping):
        for case_id, row in listed.items():
            if not isinstance(row, Mapping) or not isinstance(row.get("images"), list):
                raise DataError(
                    f"{root / DATASET_FILE} lists the case {case_id!r} as {row!r}.",
                    todo='Each one needs {"images": [PATH, ...], "label": PATH}.',
                )
            if row.get("label"):
                yield str(case_id), tuple(root / str(image) for image in row["images"]), root / str(row["label"])
        return
    labels = sorted((root / "labelsTr").glob(f"*{ending}"))
    for label in labels:
        case_id = label.name.removesuffix(ending)
        if not case_id.startswith("."):
            images = (root / "imagesTr" / f"{case_id}_{channel:04d}{ending}" for channel in range(channels))
            yield case_id, tuple(images), label


def _channels_of(image: Path) -> tuple[Path, ...]:
    """Return the file, or where it is missing its channels ``_0000``, ``_0001``, ... as nnU-Net v1 names them."""
    if image.exists() or not image.parent.is_dir():
        return (image,)
    stem = name_of(image)
    pattern = re.compile(re.escape(stem) + r"_\d{4}" + re.escape(image.name[len(stem) :]))
    found = sorted(file for file in image.parent.iterdir() if pattern.fullmatch(file.name))
    return tuple(found) or (image,)
