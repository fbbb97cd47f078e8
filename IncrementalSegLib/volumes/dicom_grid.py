"""The regular grid on which the slices of a DICOM series lie, or what speaks against it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from IncrementalSegLib.errors import DataError, GeometryError
from IncrementalSegLib.volumes.dicom_frames import PHASES, Frame, Vector, place_of
from IncrementalSegLib.volumes.notes import Note
from IncrementalSegLib.volumes.raw import grid_of
from IncrementalSegLib.volumes.volume import Grid

SLICE_TOLERANCE = 0.05
"""Largest distance of a slice from its place on the regular grid, as a share of the slice distance."""
_SAME = 1e-3
"""Difference of direction cosines, and relative difference of spacings, that is rounding."""


def arrange(frames: Sequence[Frame], name: str, notes: list[Note]) -> tuple[list[Frame], Grid]:
    """Order slices by their positions and return the grid on which they lie.

    Args:
        frames: Slices in any order.
        name: Name of the file or folder, for messages.
        notes: Assumptions are appended here.

    Returns:
        The slices from the first to the last, and their grid.

    Raises:
        DataError: Several images of one place (phases, time points), or slices of different sizes.
        GeometryError: The slices do not form one regular grid, or do not say where they lie.
    """
    agree(frames)
    if frames[0].position is None:
        return _without_positions(list(frames), name, notes)
    first = frames[0]
    along = np.array([place_of(frame) @ first.normal for frame in frames])
    order = np.argsort(along, kind="stable")
    ordered, along = [frames[index] for index in order], along[order]
    _refuse_phases(ordered, along, name)
    step = _step(ordered, along, name, notes)
    return ordered, grid_of_slices(ordered[0], len(ordered), step, name, notes)


def agree(frames: Sequence[Frame]) -> None:
    """Name the slice whose patient, size, pixels or orientation differ from the others.

    Raises:
        GeometryError: There is one.
    """
    _name_odd(frames, lambda frame: frame.patient, lambda frame: f"the PatientID {frame.patient!r}")
    _name_odd(
        frames,
        lambda frame: frame.frame_of_reference,
        lambda frame: f"the FrameOfReferenceUID {frame.frame_of_reference!r}",
    )
    _name_odd(frames, lambda frame: frame.rescaled, lambda frame: f"{'a' if frame.rescaled else 'no'} rescale slope")
    _name_odd(frames, lambda frame: (frame.columns, frame.rows), lambda frame: f"{frame.columns} x {frame.rows} pixels")
    _name_odd(frames, lambda frame: frame.samples, lambda frame: f"{frame.samples} numbers per pixel")
    _name_odd(
        frames,
        lambda frame: frame.position is not None,
        lambda frame: f"{'no' if frame.position is None else 'a'} position in the patient",
    )
    _name_odd(frames, lambda frame: _rounded(frame.row, frame.column), _axes_text, _turned)
    _name_odd(frames, lambda frame: _rounded(frame.spacing), _spacing_text, _resized)
    first = frames[0]
    if first.position is not None and (first.row is None or first.spacing is None):
        missing = "ImageOrientationPatient" if first.row is None else "PixelSpacing"
        raise GeometryError(
            f"{first.name} has no {missing}.", "Its size in the patient is unknown.", "Export it again."
        )


def grid_of_slices(first: Frame, count: int, step: float, name: str, notes: list[Note]) -> Grid:
    """Return the grid of ``count`` slices, ``step`` mm apart, that begin with ``first``."""
    assert first.row is not None
    assert first.column is not None
    direction = np.stack([first.row, first.column, first.normal], axis=1)
    spacing = (*(first.spacing or (1.0, 1.0)), step)
    return grid_of(name, (count, first.rows, first.columns), spacing, place_of(first).tolist(), direction, notes)


def _name_odd(
    frames: Sequence[Frame],
    key: Callable[[Frame], Hashable],
    text: Callable[[Frame], str],
    differs: Callable[[Frame, Frame], bool] | None = None,
) -> None:
    """Refuse slices of which one differs from the most; ``differs`` tells real differences from rounding."""
    most = Counter(key(frame) for frame in frames).most_common(1)[0][0]
    usual = next(frame for frame in frames if key(frame) == most)
    odd = [frame for frame in frames if (differs(frame, usual) if differs else key(frame) != most)]
    if odd:
        more = f" and {len(odd) - 1} more" if len(odd) > 1 else ""
        raise GeometryError(
            f"{odd[0].name}{more} has {text(odd[0])}, the other slices of the series {text(usual)}.",
            "They are not slices of one scan.",
            "Move it out of the folder, or export the series again.",
        )


def _turned(first: Frame, second: Frame) -> bool:
    if first.row is None or second.row is None or first.column is None or second.column is None:
        return (first.row is None) != (second.row is None)
    turn = np.abs([first.row - second.row, first.column - second.column]).max()
    return not turn <= _SAME


def _resized(first: Frame, second: Frame) -> bool:
    if first.spacing is None or second.spacing is None:
        return first.spacing != second.spacing
    return not np.allclose(first.spacing, second.spacing, rtol=_SAME, atol=0)


def _rounded(*values: Any) -> Hashable:
    return tuple(None if value is None else tuple(np.round(value, 2).tolist()) for value in values)


def _axes_text(frame: Frame) -> str:
    if frame.row is None or frame.column is None:
        return "no orientation"
    row, column = ("\\".join(f"{part:.3g}" for part in axis) for axis in (frame.row, frame.column))
    return f"the orientation {row}\\{column}"


def _spacing_text(frame: Frame) -> str:
    return "no pixel spacing" if frame.spacing is None else "pixels of {:.4g} x {:.4g} mm".format(*frame.spacing)


def _refuse_phases(ordered: Sequence[Frame], along: Vector, name: str) -> None:
    """Refuse several images of one place, and say what tells them apart."""
    gaps = np.diff(along)
    extent = along[-1] - along[0]
    same = gaps <= 0.01 * extent / max(1, len(gaps)) if extent > 0 else np.ones(len(gaps), dtype=np.bool_)
    if not same.any():
        return
    again = int(np.flatnonzero(same)[0])
    pair = ordered[again : again + 2]
    places = 1 + int((~same).sum())
    differing = [key for key in PHASES if pair[0].phases.get(key) != pair[1].phases.get(key)]
    values = list(dict.fromkeys(frame.phases.get(key, "none") for frame in ordered for key in differing[:1]))
    seen = (
        f"{differing[0]} {', '.join(values[:4])}{', ...' if len(values) > 4 else ''}" if differing else "no attribute"
    )
    raise DataError(
        f"{name} holds {len(ordered)} images of {places} places: {pair[0].name} and {pair[1].name} differ in {seen}.",
        "They are several phases, time frames or echoes.",
        "Export each as a series of its own and name one.",
    )


def _step(ordered: Sequence[Frame], along: Vector, name: str, notes: list[Note]) -> float:
    """Return the distance of the slices; refuse those that do not lie on a regular grid."""
    first, count = ordered[0], len(ordered)
    said = first.distance or first.thickness
    if count == 1:
        if not said:
            notes.append(Note("no-thickness", f"{name} is one slice without a thickness: 1 mm is assumed."))
        return abs(said) if said else 1.0
    step = float(along[-1] - along[0]) / (count - 1)
    grid = place_of(first) + np.arange(count)[:, np.newaxis] * step * first.normal
    off = np.array([place_of(frame) for frame in ordered]) - grid
    if np.abs(off @ first.normal).max() > SLICE_TOLERANCE * step:
        _refuse_gap(ordered, np.diff(along), float(np.median(np.diff(along))), always=True)
    if np.abs(off).max() > SLICE_TOLERANCE * step:
        raise GeometryError(
            f"The slices of {name} are up to {np.abs(off).max():.2f} mm out of line.",
            "The scan is sheared, as by a tilted gantry.",
            "Resample it to a rectangular grid, for example in 3D Slicer.",
        )
    if first.distance and abs(abs(first.distance) - step) > SLICE_TOLERANCE * step:
        told = f"{name} has slices {step:.4g} mm apart and says {abs(first.distance):.4g} (SpacingBetweenSlices)"
        notes.append(Note("slice-distance", f"{told}: the positions count; look whether slices are missing."))
    return step


def _without_positions(frames: list[Frame], name: str, notes: list[Note]) -> tuple[list[Frame], Grid]:
    """Order slices that do not say where they lie by what is left, and say so."""
    first = frames[0]
    if len(frames) == 1:
        spacing = first.spacing or (1.0, 1.0)
        size = f"{spacing[0]:.4g} x {spacing[1]:.4g} mm" if first.spacing else "unknown size"
        notes.append(Note("no-position", f"{name} has no position: it is read as a picture with pixels of {size}."))
        shape = (first.rows, first.columns)
        flat = grid_of(name, shape, spacing, (0.0, 0.0), np.eye(2), notes)
        return frames, flat
    located = all(frame.location is not None for frame in frames) and len({f.location for f in frames}) == len(frames)
    numbered = len({frame.number for frame in frames}) == len(frames)
    ordered = sorted(frames, key=lambda frame: (frame.location or 0.0) if located else frame.number)
    step, source = _assumed_step(ordered, located)
    if first.spacing is None or step is None or not (located or numbered) or first.index != frames[-1].index:
        raise GeometryError(
            f"{name} does not say where its {len(frames)} slices are (ImagePositionPatient).",
            "Without positions, their order, distance and side are unknown.",
            "Export the series again from the scanner or archive.",
        )
    if first.row is None:
        ordered = [_turned_to(frame) for frame in ordered]
    by = "SliceLocation" if located else "InstanceNumber"
    said = f"{name} has no positions: slices are ordered by {by} and {step:.4g} mm apart ({source})"
    notes.append(Note("no-position", f"{said}, so that its place is unknown and it may be upside down: look at it."))
    placed = replace(ordered[0], position=np.zeros(3))
    return ordered, grid_of_slices(placed, len(ordered), step, name, notes)


def _assumed_step(ordered: Sequence[Frame], located: bool) -> tuple[float | None, str]:
    """Return the distance of slices without positions, and the attribute that it comes from."""
    first = ordered[0]
    if located:
        gaps = np.diff([frame.location or 0.0 for frame in ordered])
        step = float(np.median(gaps))
        _refuse_gap(ordered, gaps, step)
        return step, "SliceLocation"
    if first.distance:
        return abs(first.distance), "SpacingBetweenSlices"
    return (abs(first.thickness), "SliceThickness") if first.thickness else (None, "")


def _refuse_gap(ordered: Sequence[Frame], gaps: Vector, usual: float, *, always: bool = False) -> None:
    """Refuse slices of which two lie at another distance than the others."""
    worst = int(np.abs(gaps - usual).argmax())
    if always or abs(gaps[worst] - usual) > SLICE_TOLERANCE * usual:
        raise GeometryError(
            f"{ordered[worst].name} and {ordered[worst + 1].name} lie {gaps[worst]:.4g} mm apart, the other slices "
            f"{usual:.4g} mm.",
            "A slice is missing, or the slices are not equally spaced.",
            "Export the whole series again, or resample it to a regular grid first.",
        )


def _turned_to(frame: Frame) -> Frame:
    """Return a slice without an orientation as an axial one."""
    return replace(frame, row=np.array([1.0, 0.0, 0.0]), column=np.array([0.0, 1.0, 0.0]))
