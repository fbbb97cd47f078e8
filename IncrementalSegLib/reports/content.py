"""The content of a page, as plain values that the demo, ``evaluate`` and the gate fill.

Report(title, intro, verdict, (Section("Before and after", "", (ChangeTable(changes),)),))
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from IncrementalSegLib.evaluation.forgetting import ScoreMatrix
from IncrementalSegLib.reports.changes import Change, by_structure
from IncrementalSegLib.reports.slices import SliceGrid


@dataclass(frozen=True)
class ChangeTable:
    """A table of Dice before and after with a small chart in each row, and below it every case."""

    kind: ClassVar[str] = "changes"
    changes: tuple[Change, ...]

    @property
    def groups(self) -> dict[str, list[Change]]:
        """The changes by structure."""
        return by_structure(self.changes)


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
        unit_range: The axis shows 0..1 (Dice), whatever the values.
    """

    title: str
    curves: tuple[Curve, ...]
    unit_range: bool = False


@dataclass(frozen=True)
class CurveChart:
    """Panels of learning curves, two in a row."""

    kind: ClassVar[str] = "curves"

    panels: tuple[CurvePanel, ...]
    caption: str = ""


@dataclass(frozen=True)
class MatrixChart:
    """The matrix R[t][k] of each method, in shades.

    Attributes:
        panels: Title and matrix.
        caption: A sentence below.
    """

    kind: ClassVar[str] = "matrices"

    panels: tuple[tuple[str, ScoreMatrix], ...]
    caption: str = "Mean Dice after every step; the frame marks the step that taught the structure."


@dataclass(frozen=True)
class Section:
    """A heading with a paragraph, and tables and pictures below it."""

    title: str
    text: str
    items: tuple[ChangeTable | CurveChart | SliceGrid | MatrixChart, ...]


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
        glossary: Word and meaning, beside the common ones; that of a state appears only where the state does.
    """

    title: str
    intro: str
    verdict: tuple[str, ...]
    sections: tuple[Section, ...]
    warnings: tuple[str, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    glossary: tuple[tuple[str, str], ...] = ()
