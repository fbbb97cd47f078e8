"""Slices that a page shows, and the choice of those in which most was lost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from IncrementalSegLib.errors import DataError
from IncrementalSegLib.evaluation.metrics import CaseScore, Mask
from IncrementalSegLib.reports.changes import Change
from IncrementalSegLib.types import StructureId

CAPTION = "The slice in which the structure is largest; the number is the Dice of the whole scan."
SHOWN = 3
"""Cases shown of each structure."""


@dataclass(frozen=True)
class SliceRow:
    """One slice with the truth and several predictions.

    Attributes:
        title: Case, and structure where the grid shows several.
        image: Slice ``(H, W)``, any real dtype, or RGB ``(H, W, 3)`` in 0..255 or 0..1.
        truth: Mask ``(H, W)``, bool.
        predictions: One mask ``(H, W)`` per column, or ``None`` where there is none.
        notes: One short text per prediction, for example :func:`whole_scan`; may be empty.
        aspect: Height of a pixel divided by its width.
    """

    title: str
    image: NDArray[np.generic]
    truth: Mask
    predictions: tuple[Mask | None, ...]
    notes: tuple[str, ...] = ()
    aspect: float = 1.0

    @classmethod
    def of(
        cls,
        title: str,
        image: NDArray[np.generic],
        truth: Mask,
        predictions: Sequence[Mask | None],
        spacing_dhw_mm: Sequence[float],
        notes: Sequence[str] = (),
    ) -> SliceRow:
        """Take the slice along D in which the truth is largest.

        Args:
            title: Case, and structure where the grid shows several.
            image: Image ``(D, H, W)`` or one with its channels ``(C, D, H, W)``; one channel or RGB is shown.
            truth: Mask ``(D, H, W)``, bool.
            predictions: Masks ``(D, H, W)``, bool, or ``None``.
            spacing_dhw_mm: Millimetres along D, H, W.
            notes: One short text per prediction.

        Returns:
            The row, turned so that the first row of the array lies on top.
        """
        index = int(truth.sum(axis=(1, 2)).argmax())
        planes = [None if mask is None else mask[index].copy() for mask in predictions]  # not a view of the volume
        channels = image if image.ndim == 4 else image[None]
        plane = np.moveaxis(channels[:3, index], 0, -1) if len(channels) >= 3 else channels[0, index]
        aspect = spacing_dhw_mm[1] / spacing_dhw_mm[2]
        return cls(title, plane.copy(), truth[index].copy(), tuple(planes), tuple(notes), aspect)


@dataclass(frozen=True)
class SliceGrid:
    """Slices with contours: rows are cases, columns the truth and the predictions.

    Attributes:
        columns: Titles of the predictions' columns, for example ``("before", "after")`` or the methods; long ones
            with line breaks.
        rows: The cases.
        caption: A sentence below the picture.

    Raises:
        DataError: A row has not one prediction per column, or a mask does not fit its image.
    """

    kind: ClassVar[str] = "slices"
    columns: tuple[str, ...]
    rows: tuple[SliceRow, ...]
    caption: str = ""

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row.predictions) != len(self.columns):
                raise DataError(
                    f"The row {row.title!r} has {len(row.predictions)} predictions for {len(self.columns)} columns.",
                    todo="Give one mask, or None, per column.",
                )
            shapes = {mask.shape for mask in (row.truth, *row.predictions) if mask is not None}
            if shapes != {row.image.shape[:2]}:
                raise DataError(
                    f"The row {row.title!r} has an image of {row.image.shape[:2]} and masks of {sorted(shapes)}.",
                    todo="Cut image and masks from the same slice of the same grid.",
                )


def whole_scan(dice: float | None) -> str:
    """Return the note of a slice with the Dice of its whole scan, which is not that of the slice."""
    return "" if dice is None else f"whole scan: {dice:.2f}"


def by_loss(cases: Iterable[tuple[float | None, CaseScore]]) -> list[tuple[float | None, CaseScore]]:
    """Sort cases, given by the Dice before and the score after: the largest loss first."""
    return sorted(cases, key=lambda pair: (pair[1].dice or 0.0) - (pair[0] or 0.0))


def worst_slices(
    changes: Sequence[Change], ids: Mapping[str, StructureId], rows: Mapping[tuple[StructureId, str], SliceRow]
) -> SliceGrid:
    """Choose of each structure the cases that lost most, in the order of the changes.

    Args:
        changes: Structures with their scores.
        ids: Structure name -> uuid.
        rows: Structure and case -> slice with the mask before and the mask after.
    """
    shown = []
    for change in changes:
        for before, after in by_loss(change.cases)[:SHOWN]:
            row = rows.get((ids[change.structure], after.case))
            if row is not None:
                notes = tuple(map(whole_scan, (before, after.dice)))
                shown.append(replace(row, title=f"{change.structure}, {after.case}", notes=notes))
    return SliceGrid(("before", "after"), tuple(shown), CAPTION if shown else "")
