"""Notes on one image and its masks: what is wrong with them and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from IncrementalSegLib.volumes.labels import Mask
from IncrementalSegLib.volumes.notes import Note
from IncrementalSegLib.volumes.volume import Volume

_EDGES_MM = (0.02, 50.0)
"""Edges of the voxels in a scan of a patient."""
_FEW_VALUES = 16
"""Distinct whole numbers up to which a scan looks like a label map."""
_GLANCE = 1000
"""Samples that are looked at first; fewer say nothing about a scan."""
_INSIDE = 0.1
"""Share of an outline that may lie outside the body where the whole fits."""
_MIRRORED = "with {} exchanged it would be inside the body, so one of the two is mirrored"
_UNITS = {"metres": 1000.0, "micrometres": 0.001}
"""Units that a header may have meant -> millimetres."""


def judge_image(volume: Volume, name: str) -> list[Note]:
    """Return what to say of the samples and the voxel size of a scan.

    Args:
        volume: The scan.
        name: Name of its file, for the message.
    """
    notes: list[Note] = []
    array = volume.array
    finite = np.isfinite(array) if array.dtype.kind == "f" else np.ones((), dtype=np.bool_)
    bad = int(array[0].size - finite.all(axis=0).sum()) if finite.ndim else 0
    if bad:
        notes.append(Note("not-finite", f"{name} has {bad} voxels that are NaN or infinite: they are ignored."))
    seen = array[finite] if bad else array
    if seen.min() == seen.max():
        notes.append(Note("constant", f"{name} has the same value everywhere: check that it is the right scan."))
    elif few := _few_values(seen):
        said = f"{name} holds only the whole numbers {', '.join(f'{value:g}' for value in few)}"
        notes.append(Note("few-values", f"{said}, like a label map: check that it is a scan."))
    return notes + _judge_size(volume, name)


def judge_masks(volume: Volume, masks: Mapping[str, Mask]) -> list[Note]:
    """Return what to say of the outlines in a scan.

    Args:
        volume: The scan.
        masks: Label name -> ``(D, H, W)`` bool on its grid, for every structure that was looked for.
    """
    notes: list[Note] = []
    empty = [name for name, mask in masks.items() if not mask.any()]
    if empty and len(empty) == len(masks):
        said = "Nothing is annotated: remove the case, unless none of its structures is in the scan."
        notes.append(Note("nothing-annotated", said))
    elif empty:
        listing = ", ".join(empty[:5]) + (f" and {len(empty) - 5} more" if len(empty) > 5 else "")
        said = f"Nothing is annotated for {listing}: right only if the scan does not show it."
        notes.append(Note("not-annotated", said))
    for name, mask in masks.items():
        if _in_the_void(mask, volume):
            axis = next((axis for axis in range(3) if not _in_the_void(np.flip(mask, axis), volume, _INSIDE)), None)
            todo = "check that both are of the same patient" if axis is None else _MIRRORED.format(_sides(volume, axis))
            notes.append(Note("in-the-void", f"Most of {name} lies where the scan shows nothing: {todo}."))
    return notes


def one_line(error: Exception) -> str:
    """Return the message of an error on one line."""
    return " ".join(str(error).split())


def _few_values(samples: NDArray[Any]) -> list[float]:
    """Return the values of samples that are few whole numbers, as in a label map; else nothing."""
    found: set[float] = set()
    if samples.size < _GLANCE:
        return []
    for part in (samples.reshape(-1)[:: samples.size // _GLANCE], *samples):
        found.update(np.unique(part).tolist())
        if len(found) > _FEW_VALUES or any(value % 1 for value in found):
            return []
    return sorted(found)


def _judge_size(volume: Volume, name: str) -> list[Note]:
    """Doubt voxels far smaller or larger than those of a patient, and name the unit that the header may have meant."""
    edges = volume.grid.spacing[: 2 if volume.grid.planar else 3]
    if all(_EDGES_MM[0] <= edge <= _EDGES_MM[1] for edge in edges):
        return []

    def listed(factor: float) -> str:
        return " x ".join(f"{edge * factor:.3g}" for edge in edges)

    likely = (
        f"{listed(factor)} mm would fit ({unit} taken for millimetres?)"
        for unit, factor in _UNITS.items()
        if all(_EDGES_MM[0] <= edge * factor <= _EDGES_MM[1] for edge in edges)
    )
    said = f"{name} has voxels of {listed(1.0)} mm, which no scan of a patient has"
    return [Note("odd-size", f"{said}: {next(likely, 'its header may be damaged')}. Correct the header.")]


def _in_the_void(mask: Mask, volume: Volume, share: float = 0.5) -> bool:
    """Return whether more than a share of a mask is on padding or the lowest value of a volume, as outside a body."""
    outlined = volume.array[0][mask]
    void = [volume.array[0].min(), *(value for value in volume.padding[:1] if value is not None)]
    return not volume.grid.planar and outlined.size > 0 and bool(np.isin(outlined, void).mean() > share)


def _sides(volume: Volume, axis: int) -> str:
    """Return the sides of the patient between which an axis of an array runs."""
    return ("left and right", "front and back", "head and feet")[int(np.abs(volume.grid.matrix[:, 2 - axis]).argmax())]
