"""Segmentations as masks, in and out: any label onto the grid of its image, masks into a label map."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from IncrementalSegLib.errors import DataError, UnknownNameError
from IncrementalSegLib.names import name_key
from IncrementalSegLib.structures import Structure
from IncrementalSegLib.types import StructureId
from IncrementalSegLib.volumes.io import image_of, name_of, write_atomically, write_image
from IncrementalSegLib.volumes.labels import LabelFile, Mask, is_seg, read_label, read_mask, values_in
from IncrementalSegLib.volumes.notes import Note
from IncrementalSegLib.volumes.seg_nrrd import mask_of
from IncrementalSegLib.volumes.volume import Grid

_MAP_ENDINGS = (".nii.gz", ".nii", ".nrrd", ".mha", ".png")

UNNAMED = "unnamed-values"
"""Kind of the note on values of a map that nobody named."""

UNWANTED = "unwanted-values"
"""The same where only the wanted values were named: worth a word where other cases lack them."""

T = TypeVar("T")


def read_masks(
    grid: Grid,
    names: Iterable[str],
    label: Path | None = None,
    values: Mapping[str, Sequence[int]] | None = None,
    masks: Mapping[str, Path] | None = None,
    notes: list[Note] | None = None,
    *,
    complete: bool = True,
    by_index: bool = False,
) -> dict[str, Mask]:
    """Read the named structures as masks on the grid of their image.

    Args:
        grid: The grid of the image; labels on another grid are resampled (nearest neighbour).
        names: Structures to read; a name with a mask file is read from it, all others from ``label``.
            A name that no segment and no mask file bears was looked for and not found: its mask is empty.
        label: Integer label map or ``.seg.nrrd``.
        values: Name -> values in the integer map.
        masks: Name -> file whose non-zero voxels are the structure.
        notes: What a person should know (another grid, values without a name) is appended here.
        complete: ``values`` names every value; else only those that are wanted (:data:`UNWANTED`).
        by_index: Take the voxels of a label of the image's size one by one, wherever its header puts them.

    Returns:
        Name -> ``(D, H, W)`` bool, in the order of ``names``.

    Raises:
        DataError: A file is unreadable or is no label.
        GeometryError: A label does not overlap its image, or has its size and another place.
        UnknownNameError: The integer map has no value for a name.
    """
    values, masks = _folded(values or {}), _folded(masks or {})
    content: LabelFile | None = None
    result: dict[str, Mask] = {}
    for name in names:
        key = name_key(name)
        if key in masks:
            result[name] = read_mask(masks[key], grid, notes, by_index)
            continue
        if label is None:
            result[name] = np.zeros(grid.shape, dtype=np.bool_)
            continue
        if content is None:
            content = read_label(label, grid, notes, by_index)
        if content.segments or is_seg(label):
            result[name] = content.segment(name)
        elif key in values:
            result[name] = np.isin(content.layers[0], list(values[key]))
        else:
            raise UnknownNameError("label value for the structure", name, values, f"{label.name} is an integer map.")
    if notes is not None and content is not None and label is not None and not content.segments:
        bare = [name for name in result if not result[name].any()]
        notes += _unnamed(content, values, label, bare, UNNAMED if complete or bare else UNWANTED)
    return result


def write_label_map(
    path: Path | str,
    masks: Mapping[str, Mask],
    grid: Grid,
    structures: Iterable[Structure],
    precedence: Sequence[StructureId] = (),
) -> list[str]:
    """Write masks as one integer map with the values 1, 2, ... in the order of the structures.

    A voxel of several structures gets the first of ``precedence``, else the last of them.  A JSON file of the same name
    says what each value means: ``{"1": {"name", "color", "terminology", "id"}}``.

    Args:
        path: File that ends in ``.nii.gz``, ``.nii``, ``.nrrd`` or ``.mha``; ``.png`` for a picture.
        masks: Structure id (or name) -> ``(D, H, W)`` mask on ``grid``.
        grid: The grid of the scan.
        structures: The structures to write, in the order of their values.
        precedence: Uuids of structures that come before all others where they overlap, the foremost first.

    Returns:
        One sentence for each pair of structures that overlapped; empty where none did.

    Raises:
        DataError: Another ending, a mask that is missing or of another size, or a disk that cannot take the file.
    """
    path, structures = Path(path), list(structures)
    check_label_map(path, grid)
    labels = np.zeros(grid.shape, dtype=np.uint8 if len(structures) < 256 else np.uint16)
    rank = {item: place for place, item in enumerate(reversed(precedence))}
    said = []
    for value, structure in sorted(enumerate(structures, start=1), key=lambda pair: rank.get(pair[1].id, -1)):
        mask = mask_of(masks, structure, grid)
        rows = zip(labels, mask, strict=True)
        counts = np.sum([np.bincount(row[inside], minlength=len(structures) + 1) for row, inside in rows], axis=0)
        for earlier in np.flatnonzero(counts[1:]) + 1:
            both = f"{structures[earlier - 1].name} and {structure.name}"
            said.append(f"{counts[earlier]} voxels are both {both}: the label map says {structure.name}.")
        labels[mask] = value
    table = {str(value): _entry(structure) for value, structure in enumerate(structures, start=1)}
    text = json.dumps(table, indent=2, ensure_ascii=False)

    def write(temporary: Path) -> None:
        temporary.write_text(text, encoding="utf-8")
        write_image(path, image_of(labels[np.newaxis], grid))  # the names of its values must not change without it

    write_atomically(value_table(path), write)
    return said


def check_label_map(path: Path, grid: Grid) -> None:
    """Refuse a label map that :func:`write_label_map` cannot write.

    Args:
        path: Its file.
        grid: The grid of the scan.

    Raises:
        DataError: The format is unknown, or cannot hold the grid.
    """
    if not path.name.lower().endswith(_MAP_ENDINGS):
        raise DataError(f"Label maps cannot be written as {path.name!r}.", todo=f"Use {', '.join(_MAP_ENDINGS)}.")
    if path.suffix.lower() == ".png" and not grid.planar:
        raise DataError(f"A PNG cannot hold the 3-D result {path.name!r}.", todo="Write .seg.nrrd or .nii.gz.")


def value_table(path: Path) -> Path:
    """Return the JSON file beside a label map that says what its values mean."""
    return path.with_name(f"{name_of(path)}.json")


def _unnamed(
    content: LabelFile, values: Mapping[str, Sequence[int]], label: Path, bare: Sequence[str], kind: str
) -> list[Note]:
    known = {0, *(value for named in values.values() for value in named)}
    found = tuple(value for value in values_in(content.layers[0]) if value not in known)
    if not found:
        return []
    listing = ", ".join(map(str, found[:10])) + (", ..." if len(found) > 10 else "")
    instead = f", and nothing of {', '.join(bare)}" if bare else ""
    said = f"{label.name} holds values without a name ({listing}){instead}"
    return [Note(kind, f"{said}: name them in the data set, or they are not used.", values=found)]


def _folded(table: Mapping[str, T]) -> dict[str, T]:
    return {name_key(name): entry for name, entry in table.items()}


def _entry(structure: Structure) -> dict[str, object]:
    entry = structure.to_json()
    return {key: entry[key] for key in ("name", "color", "terminology", "id")}
