"""Segmentations as masks, in and out: any label onto the grid of its image, masks into Slicer's format or a map."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import SimpleITK as sitk

from IncrementalSegLib.errors import DataError, UnknownNameError
from IncrementalSegLib.names import name_key
from IncrementalSegLib.structures import Structure
from IncrementalSegLib.volumes.grids import place
from IncrementalSegLib.volumes.io import image_of, name_of, write_atomically, write_image
from IncrementalSegLib.volumes.labels import LabelFile, Labels, Mask, is_seg, read_label, read_mask, values_in
from IncrementalSegLib.volumes.notes import Note
from IncrementalSegLib.volumes.volume import Grid

_REPRESENTATION = "Binary labelmap"
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


def write_seg_nrrd(path: Path | str, masks: Mapping[str, Mask], grid: Grid, structures: Iterable[Structure]) -> None:
    """Write masks as a segmentation of 3D Slicer; structures that overlap go to different layers.

    Each segment carries the structure's uuid as its ID, its name, colour and terminology.

    Args:
        path: File that ends in ``.seg.nrrd``.
        masks: Structure id (or name) -> ``(D, H, W)`` mask on ``grid``.
        grid: The grid of the scan.
        structures: The structures to write, in the order in which Slicer lists them.

    Raises:
        DataError: Another ending, a mask that is missing or of another size, or a disk that cannot take the file.
    """
    path = Path(path)
    if not path.name.lower().endswith(".seg.nrrd"):
        raise DataError(f"{path.name!r} does not end in .seg.nrrd.", todo="Choose such a name, or write a label map.")
    structures = list(structures)
    layers, places = _layers([_mask_of(masks, structure, grid) for structure in structures], grid)
    image = _image_of_layers(layers, grid)
    image.SetMetaData("Segmentation_MasterRepresentation", _REPRESENTATION)
    image.SetMetaData("Segmentation_ContainedRepresentationNames", f"{_REPRESENTATION}|")
    image.SetMetaData("Segmentation_ReferenceImageExtentOffset", "0 0 0")
    image.SetMetaData("Segmentation_ConversionParameters", _reference_geometry(grid))
    for index, (structure, (layer, value, extent)) in enumerate(zip(structures, places, strict=True)):
        fields = {
            "ID": structure.id,
            "Name": " ".join(structure.name.split()),
            "NameAutoGenerated": "0",
            "Color": " ".join(f"{part / 255:.6g}" for part in structure.color),
            "ColorAutoGenerated": "0",
            "Extent": " ".join(map(str, extent)),
            "LabelValue": str(value),
            "Layer": str(layer),
            "Tags": f"TerminologyEntry:{structure.terminology}|" if structure.terminology else "",
        }
        for key, text in fields.items():
            image.SetMetaData(f"Segment{index}_{key}", text)
    write_image(path, image)


def write_label_map(
    path: Path | str, masks: Mapping[str, Mask], grid: Grid, structures: Iterable[Structure]
) -> list[str]:
    """Write masks as one integer map with the values 1, 2, ... in the order of the structures.

    A voxel of several structures gets the last of them.  A JSON file of the same name says what each
    value means: ``{"1": {"name", "color", "terminology", "id"}}``.

    Args:
        path: File that ends in ``.nii.gz``, ``.nii``, ``.nrrd`` or ``.mha``; ``.png`` for a picture.
        masks: Structure id (or name) -> ``(D, H, W)`` mask on ``grid``.
        grid: The grid of the scan.
        structures: The structures to write, in the order of their values.

    Returns:
        One sentence for each pair of structures that overlapped; empty where none did.

    Raises:
        DataError: Another ending, a mask that is missing or of another size, or a disk that cannot take the file.
    """
    path, structures = Path(path), list(structures)
    if not path.name.lower().endswith(_MAP_ENDINGS):
        raise DataError(f"Label maps cannot be written as {path.name!r}.", todo=f"Use {', '.join(_MAP_ENDINGS)}.")
    if path.suffix.lower() == ".png" and not grid.planar:
        raise DataError(f"A PNG cannot hold the 3-D result {path.name!r}.", todo="Write .seg.nrrd or .nii.gz.")
    labels = np.zeros(grid.shape, dtype=np.uint8 if len(structures) < 256 else np.uint16)
    said = []
    for value, structure in enumerate(structures, start=1):
        mask = _mask_of(masks, structure, grid)
        rows = zip(labels, mask, strict=True)
        counts = np.sum([np.bincount(row[inside], minlength=value) for row, inside in rows], axis=0)
        for earlier in np.flatnonzero(counts[1:]) + 1:
            both = f"{structures[earlier - 1].name} and {structure.name}"
            said.append(f"{counts[earlier]} voxels are both {both}: the label map says {structure.name}.")
        labels[mask] = value
    table = {str(value): _entry(structure) for value, structure in enumerate(structures, start=1)}
    text = json.dumps(table, indent=2, ensure_ascii=False)
    write_atomically(value_table(path), lambda temporary: temporary.write_text(text, encoding="utf-8"))
    write_image(path, image_of(labels[np.newaxis], grid))
    return said


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


def _mask_of(masks: Mapping[str, Mask], structure: Structure, grid: Grid) -> Mask:
    mask = masks.get(structure.id, masks.get(structure.name))
    if mask is None or tuple(mask.shape) != grid.shape:
        size = "no mask" if mask is None else f"a mask of the size {tuple(mask.shape)}"
        raise DataError(f"There is {size} for {structure.name!r} on the grid {grid.shape}.", todo="Report this.")
    return np.asarray(mask, dtype=np.bool_)


def _layers(masks: Sequence[Mask], grid: Grid) -> tuple[list[Labels], list[tuple[int, int, tuple[int, ...]]]]:
    """Put each mask into the first layer where it touches no other.

    Returns:
        The layers, each ``(D, H, W)``, and layer, value and extent (x, y, z; first and last voxel) of each mask.
    """
    dtype = np.uint8 if len(masks) < 256 else np.uint16
    layers: list[Labels] = []
    used: list[int] = []
    places: list[tuple[int, int, tuple[int, ...]]] = []
    for mask in masks:
        box, extent = _box(mask)
        inside = mask[box]
        layer = next((i for i, taken in enumerate(layers) if not taken[box][inside].any()), len(layers))
        if layer == len(layers):
            layers.append(np.zeros(grid.shape, dtype=dtype))
            used.append(0)
        used[layer] += 1
        layers[layer][box][inside] = used[layer]
        places.append((layer, used[layer], extent))
    return layers or [np.zeros(grid.shape, dtype=dtype)], places


def _image_of_layers(layers: list[Labels], grid: Grid) -> sitk.Image:
    """Return layers as the components of one image, and empty the list: a large scan has no room for both."""
    images = []
    while layers:
        images.append(sitk.GetImageFromArray(layers.pop(0)))
    image = images[0] if len(images) == 1 else sitk.Compose(images)
    # Slicer wants three spatial axes, even for a picture.
    place(image, Grid(grid.shape, grid.spacing, grid.origin, grid.direction))
    return image


def _box(mask: Mask) -> tuple[tuple[slice, ...], tuple[int, ...]]:
    """Return the box around a mask as slices (z, y, x) and as Slicer's extent (x, y, z)."""
    ends = []
    for axis in range(3):
        filled = np.flatnonzero(mask.any(axis=tuple(other for other in range(3) if other != axis)))
        ends.append((int(filled[0]), int(filled[-1])) if len(filled) else (0, -1))
    extent = tuple(end for pair in reversed(ends) for end in pair)
    return tuple(slice(first, last + 1) for first, last in ends), extent


def _reference_geometry(grid: Grid) -> str:
    """Return the scan's grid as Slicer writes it: 4x4 matrix to RAS, then the extent."""
    matrix = np.eye(4)
    matrix[:3, :3] = grid.matrix * grid.spacing
    matrix[:3, 3] = grid.origin
    matrix[:2] *= -1
    extent = [bound for size in reversed(grid.shape) for bound in (0, size - 1)]
    numbers = ";".join(f"{value + 0.0:.17g}" for value in (*matrix.ravel(), *extent))
    return f"Reference image geometry|{numbers};|Grid of the scan that was segmented.&"


def _entry(structure: Structure) -> dict[str, object]:
    entry = structure.to_json()
    return {key: entry[key] for key in ("name", "color", "terminology", "id")}
