"""One label file on the grid of its image: an integer map, a segmentation of 3D Slicer or DICOM, or one mask."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from IncrementalSegLib.errors import DataError, GeometryError, Hint, OptionRef
from IncrementalSegLib.names import name_key, tame
from IncrementalSegLib.volumes import dicom, dicom_seg, nrrd
from IncrementalSegLib.volumes.grids import difference, inside, moved, overlap, resample_nearest, same_lattice
from IncrementalSegLib.volumes.io import read_image
from IncrementalSegLib.volumes.notes import Note
from IncrementalSegLib.volumes.volume import Grid

_ALL_COUNT = "{} holds {}: as it outlines one structure, all of them count as it."
ACCEPTED = "accepted-grid"
"""Kind of the note on a label whose header was ignored on request."""

_BY_INDEX = (
    " If one slice shows that they belong together voxel by voxel, add ",
    OptionRef("accept_grid", True),
    ": it ignores the header of the label.",
)

_CROPPED = (".seg.nrrd", ".seg.nhdr")  # 3D Slicer saves them as large as what they hold

Mask = NDArray[np.bool_]
Labels = NDArray[Any]
"""Whole numbers of any width."""

Segment = tuple[str, int, int]
"""Name, layer and value."""

_SEGMENT_FIELD = re.compile(r"Segment(\d+)_(?:ID|Name|LabelValue)")


@dataclass(frozen=True)
class LabelFile:
    """The content of one label file on the grid of its image.

    Attributes:
        layers: ``(L, D, H, W)`` integers; one layer unless segments overlap.
        segments: Name, layer and value of each segment of a ``.seg.nrrd`` or DICOM file; empty for other files.
    """

    layers: Labels
    segments: tuple[Segment, ...]

    def segment(self, name: str) -> Mask:
        """Return the union of the segments of that name (:func:`name_key` compares); empty where there is none.

        Raises:
            DataError: Two segments of that name differ in letter case.
        """
        alike = [segment for segment in self.segments if name_key(segment[0]) == name_key(name)]
        spellings = list(dict.fromkeys(known for known, _, _ in alike))
        if len(spellings) > 1:
            raise DataError(
                f"Two segments are called {spellings[0]!r} and {spellings[1]!r}.",
                "Letter case does not tell names apart.",
                "Spell one structure in one way, and give two structures other names.",
            )
        mask = np.zeros(self.layers.shape[1:], dtype=np.bool_)
        for _, layer, value in alike:
            mask |= self.layers[layer] == value
        return mask


def read_label(
    path: Path,
    grid: Grid,
    notes: list[Note] | None = None,
    by_index: bool = False,
    examine: Callable[[Labels, Grid], None] = lambda layers, grid: None,
) -> LabelFile:
    """Read an integer label map, ``.seg.nrrd`` or DICOM segmentation onto the grid of its image.

    Args:
        path: The file.
        grid: The grid of the image.
        notes: Assumptions and repairs are appended here.
        by_index: Take the voxels of a label of the image's size one by one, wherever its header puts them.
        examine: Called with the layers ``(L, D, H, W)`` of the file and their grid; may refuse it.

    Raises:
        DataError: Unreadable, several channels, or values that are not whole numbers.
        GeometryError: It does not overlap the image, or has its size and another place.
    """
    if (source := dicom.segmentation(path)) is not None:
        layers, own, found = dicom_seg.read(source, [] if notes is None else notes)
        examine(layers, own)
        return LabelFile(_on_grid(layers, own, grid, path, notes, by_index, cropped=True), found)
    _refuse_lossy(path)
    raw = read_image(path, notes)
    segments = _segments(raw.metadata, len(raw.array), path)
    array = raw.array
    if not segments and len(array) > 1:
        if not (array == array[:1]).all():
            raise DataError(
                f"The label {path.name} has {len(array)} channels.",
                todo="Give a map with one whole number per voxel, a .seg.nrrd, or one mask file per structure.",
            )
        array = array[:1]
    labels = _whole_numbers(array, path)
    examine(labels, raw.grid)
    return LabelFile(_on_grid(labels, raw.grid, grid, path, notes, by_index, cropped=bool(segments)), segments)


def read_mask(path: Path, grid: Grid, notes: list[Note] | None = None, by_index: bool = False) -> Mask:
    """Read the non-zero voxels of a file onto the grid of its image as (D, H, W) bool; arguments as for a label.

    Raises:
        DataError: Unreadable, or it holds voxels that are not finite.
        GeometryError: It does not overlap the image, or has its size and another place.
    """
    if dicom.segmentation(path) is not None:
        label = read_label(path, grid, notes, by_index)
        if notes is not None and len(label.segments) > 1:
            notes.append(
                Note(
                    "mask-with-values",
                    _ALL_COUNT.format(path.name, "the segments " + _some(n for n, _, _ in label.segments)),
                )
            )
        return np.asarray(label.layers.any(axis=0))
    _refuse_lossy(path)
    raw = read_image(path, notes)
    if not np.isfinite(raw.array).all():
        raise DataError(f"The mask {path.name} holds voxels that are not finite.", todo="Export it again.")
    if notes is not None:
        notes += _several(raw.array, path)
    filled = np.asarray(raw.array.any(axis=0, keepdims=True), dtype=np.uint8)
    return np.asarray(_on_grid(filled, raw.grid, grid, path, notes, by_index)[0] > 0)


def _refuse_lossy(path: Path) -> None:
    """Refuse a JPEG, whose compression scatters wrong values around every outline."""
    if path.name.lower().endswith((".jpg", ".jpeg")):
        raise DataError(
            f"The label {path.name} is a JPEG.",
            "Its compression changes values around each outline.",
            "Export the label as PNG, or in the format of the scans.",
        )


def is_seg(path: Path) -> bool:
    """Tell whether a file names its own segments, as 3D Slicer saves them, be they none."""
    return path.name.lower().endswith(_CROPPED)


def values_in(labels: Labels) -> list[int]:
    """Return the values of a map ``(D, H, W)`` in order; slice by slice, because a sort of the whole takes memory."""
    return sorted({int(value) for plane in labels for value in np.unique(plane)})


def segment_names(path: Path) -> tuple[str, ...]:
    """Return the names of the segments in a ``.seg.nrrd`` or DICOM file without reading a voxel; empty for others.

    Raises:
        DataError: The header cannot be read.
    """
    if not path.name.lower().endswith(nrrd.ENDINGS):
        source = dicom.segmentation(path)
        return () if source is None else dicom_seg.names(source)
    header = nrrd.read_header(path)
    return tuple(dict.fromkeys(name for name, _, _ in _segments(header.pairs, nrrd.layers(header, path), path)))


def _several(array: NDArray[Any], path: Path) -> list[Note]:
    values = np.unique(array[array != 0])
    if len(values) < 2:
        return []
    listing = "the values " + _some(f"{value:g}" for value in values)
    return [Note("mask-with-values", _ALL_COUNT.format(path.name, listing))]


def _some(words: Iterable[str]) -> str:
    """Return the first five of some words as a list."""
    first = list(itertools.islice(words, 6))
    return ", ".join(first[:5]) + (", ..." if len(first) > 5 else "")


def _segments(metadata: Mapping[str, str], layers: int, path: Path) -> tuple[Segment, ...]:
    """Return the segments in the order of their numbers.

    Files of before Slicer 4.11 name no layer and no value: each segment has a layer of its own with the value 1.
    """
    numbers = sorted({int(match[1]) for key in metadata if (match := _SEGMENT_FIELD.fullmatch(key))})
    found: list[Segment] = []
    for place, number in enumerate(numbers):
        key = f"Segment{number}_"
        name = tame(metadata.get(key + "Name") or metadata.get(key + "ID") or "") or f"Segment {number}"
        layer = _whole(metadata.get(key + "Layer"), min(place, layers - 1))
        value = _whole(metadata.get(key + "LabelValue"), 1)
        if layer is None or not 0 <= layer < layers or value is None or value < 1:
            given = ", ".join(
                f"{field} {metadata[key + field]!r}" for field in ("Layer", "LabelValue") if key + field in metadata
            )
            raise DataError(
                f"The segment {name!r} of {path.name} has the {given}.",
                f"The file holds {layers} {'layer' if layers == 1 else 'layers'}, counted from 0; values count from 1.",
                "Save it again with 3D Slicer.",
            )
        twin = next((other for other, *where in found if where == [layer, value]), None)
        if twin is not None and name_key(twin) != name_key(name):
            raise DataError(
                f"The segments {twin!r} and {name!r} of {path.name} are both the value {value} of layer {layer}.",
                "Their voxels cannot be told apart.",
                "Save it again with 3D Slicer.",
            )
        found.append((name, layer, value))
    return tuple(found)


def _whole(text: str | None, default: int) -> int | None:
    """Return a whole number of a header; ``None`` where the text is none."""
    if text is None or not text.strip():
        return default
    return int(text) if re.fullmatch(r"\s*\d{1,9}\s*", text) else None


def _whole_numbers(array: NDArray[Any], path: Path) -> Labels:
    if array.dtype.kind in "iu":
        return np.asarray(array)
    rounded = np.round(array)
    if not np.isfinite(array).all() or np.abs(array - rounded).max() > 1e-3:
        raise DataError(
            f"The label {path.name} holds values that are not whole numbers.",
            todo="Give a label map, not an image or a probability map.",
        )
    return rounded.astype(np.int32)


def _on_grid(
    layers: Labels,
    source: Grid,
    target: Grid,
    path: Path,
    notes: list[Note] | None,
    by_index: bool,
    *,
    cropped: bool = False,
) -> Labels:
    """Bring labels to the grid of their image; ``cropped``: the format saves no more than what it outlines."""
    found = difference(source, target)
    if not found:
        return layers
    if source.planar or target.planar:
        lying = source.shape == (target.shape[0], target.shape[2], target.shape[1])
        raise GeometryError(
            f"The label {path.name} does not fit its picture: {found}.",
            "One of them is rotated." if lying else "",
            "Give a label of the same size.",
        )
    if by_index and source.shape == target.shape:
        if notes is not None:
            said = f"The header of {path.name} was ignored as requested ({found}): voxels are matched by index."
            notes.append(Note(ACCEPTED, said))
        return layers
    elsewhere = moved(source, target)
    same = source.shape == target.shape
    if not overlap(source, target):
        raise GeometryError(
            f"The label {path.name} and its image do not overlap in the patient: {elsewhere or found}.",
            todo=Hint(
                "Check that they belong together and that neither lost its origin.", *(_BY_INDEX if same else ())
            ),
        )
    if elsewhere:
        raise GeometryError(
            f"The label {path.name} has {'' if same else 'nearly '}the size of its image but a different position: "
            f"{elsewhere}.",
            "One of the two lost its header or was mirrored, and left may be taken for right.",
            Hint("Export it again.", *(_BY_INDEX if same else ())),
        )
    if notes is not None:
        notes += _doubts(source, target, path, found, cropped=cropped)
    return np.asarray(resample_nearest(layers, source, target))


def _doubts(source: Grid, target: Grid, path: Path, found: str, *, cropped: bool) -> list[Note]:
    """Return what to think of a label whose grid differs from that of its image."""
    if not same_lattice(source, target):
        lies = f"The label {path.name} is on a different grid from its image ({found})"
        return [Note("other-grid", f"{lies} and is resampled to it: check one slice by eye.")]
    if not inside(source, target):
        said = f"The label {path.name} reaches beyond its image ({found}): check that both are of the same patient."
        return [Note("beyond-image", said)]
    if not inside(target, source) and not (cropped or is_seg(path)):
        said = f"The label {path.name} covers a part of its image ({found}): outside of it nothing is outlined."
        return [Note("part-of-image", said)]
    return []
