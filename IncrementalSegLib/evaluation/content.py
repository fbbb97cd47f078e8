"""What a report says: plain values that the demo, ``evaluate`` and the benchmarks fill and :mod:`report` prints.

Report(title, intro, verdict, (Section("Before and after", "", (ChangeTable(changes), ChangeChart(changes))),))
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from IncrementalSegLib.errors import DataError
from IncrementalSegLib.evaluation.forgetting import ScoreMatrix
from IncrementalSegLib.evaluation.intervals import MARGIN_POINTS, Comparison, compare
from IncrementalSegLib.evaluation.metrics import Mask, StructureScore

State = Literal["new", "higher", "kept", "lower", "unclear", "unknown", "harmed", "unsure", "improved"]
Picture = NDArray[np.generic]


@dataclass(frozen=True)
class Change:
    """One structure before and after a step, by one method.

    Attributes:
        structure: Name of the structure.
        method: Name of the method or version; may be empty where there is only one.
        before: Score before the step; ``None`` for a structure that the step taught.
        after: Score after the step; ``None`` where it was not scored.
        comparison: After - before, paired by case; ``None`` where there is nothing to pair.
        judged: The state where another rule decides it, for example that of the retention gate.
        note: What a reader must know of this row; may be empty.
    """

    structure: str
    method: str
    before: StructureScore | None
    after: StructureScore | None
    comparison: Comparison | None = None
    judged: State | None = None
    note: str = ""

    @classmethod
    def of(
        cls,
        structure: str,
        method: str,
        before: StructureScore | None,
        after: StructureScore | None,
        rng: np.random.Generator,
    ) -> Change:
        """Pair the two scores by case and compare them; ``rng`` draws the bootstrap."""
        earlier, later = (
            {(item.case, 0): item.dice for item in side.scores} if side else {} for side in (before, after)
        )
        paired = any(dice is not None and earlier.get(key) is not None for key, dice in later.items())
        return cls(structure, method, before, after, compare(later, earlier, rng) if paired else None)

    @property
    def points(self) -> float | None:
        """Mean change over the paired cases in points of Dice."""
        return None if self.comparison is None else self.comparison.points

    @property
    def state(self) -> State:
        """What became of the structure.

        With an interval: ``kept`` where it lies above -2 points, ``higher`` or ``lower`` where it excludes 0, else
        ``unclear``. Without one (fewer than five cases) the mean alone decides between ``kept`` and ``lower``.
        """
        return self.judged or self._by_interval()

    def _by_interval(self) -> State:
        if self.before is None:
            return "unknown" if self.after is None else "new"
        if self.comparison is None:
            return "unknown"
        if self.comparison.low is None:
            return "kept" if self.comparison.points > -MARGIN_POINTS else "lower"
        if self.comparison.verdict == "better":
            return "higher"
        if self.comparison.not_below:
            return "kept"
        return "lower" if self.comparison.verdict == "worse" else "unclear"


@dataclass(frozen=True)
class ChangeTable:
    """A table per structure: before, after, change with its interval or the listed cases, ASSD."""

    changes: tuple[Change, ...]


@dataclass(frozen=True)
class ChangeChart:
    """A dumbbell chart of Dice before and after, one row per structure and method."""

    changes: tuple[Change, ...]
    caption: str = ""


@dataclass(frozen=True)
class Curve:
    """One line of a panel.

    Attributes:
        name: Name shown at the line's end; curves of the same name have the same colour in all panels of a chart.
        steps: Optimiser steps, ascending.
        values: One value per step; ``None`` leaves a gap.
    """

    name: str
    steps: tuple[int, ...]
    values: tuple[float | None, ...]


@dataclass(frozen=True)
class CurvePanel:
    """Curves that share their axes.

    Attributes:
        title: Title of the panel.
        curves: The lines.
        unit_range: The values lie in 0..1 and the axis shows all of it (Dice).
        logarithmic: The vertical axis is logarithmic (losses).
        marks: Optimiser step and label of what happened there, for example the start of a step.
    """

    title: str
    curves: tuple[Curve, ...]
    unit_range: bool = False
    logarithmic: bool = False
    marks: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True)
class CurveChart:
    """Panels of learning curves, two in a row."""

    panels: tuple[CurvePanel, ...]
    caption: str = ""


@dataclass(frozen=True)
class SliceRow:
    """One slice with the truth and several predictions.

    Attributes:
        title: Case, and structure where the grid shows several.
        image: Slice ``(H, W)``, any real dtype, or RGB ``(H, W, 3)`` in 0..255 or 0..1.
        truth: Mask ``(H, W)``, bool.
        predictions: One mask ``(H, W)`` per column, or ``None`` where there is none.
        notes: One short text per prediction, for example its Dice; may be empty.
        aspect: Height of a pixel divided by its width.
    """

    title: str
    image: Picture
    truth: Mask
    predictions: tuple[Mask | None, ...]
    notes: tuple[str, ...] = ()
    aspect: float = 1.0

    @classmethod
    def of(
        cls,
        title: str,
        image: Picture,
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


@dataclass(frozen=True)
class MatrixChart:
    """The matrix R[t][k] as annotated heat maps, one per method.

    Attributes:
        panels: Title and matrix.
        caption: A sentence below the picture.
    """

    panels: tuple[tuple[str, ScoreMatrix], ...]
    caption: str = "Mean Dice after every step; the frame marks the step that taught the structure."


Chart = ChangeChart | CurveChart | SliceGrid | MatrixChart
Item = ChangeTable | Chart


@dataclass(frozen=True)
class Section:
    """A heading with a paragraph and the tables and pictures below it."""

    title: str
    text: str
    items: tuple[Item, ...]


@dataclass(frozen=True)
class Report:
    """A page.

    Attributes:
        title: Title of the page.
        intro: What was done, in one or two sentences.
        verdict: What came out, one plain sentence per entry; the first one is set large.
        sections: The body.
        warnings: What a reader must know before believing the numbers.
        facts: Name and value of what describes the run: device, duration, seed, versions.
        glossary: Word and meaning; by default the words of charts and tables.
    """

    title: str
    intro: str
    verdict: tuple[str, ...]
    sections: tuple[Section, ...]
    warnings: tuple[str, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    glossary: tuple[tuple[str, str], ...] = ()
