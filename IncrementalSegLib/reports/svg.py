"""Learning curves as paths of an SVG; the page's template draws the axes and writes names and numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from IncrementalSegLib.reports.content import CurveChart, CurvePanel

COLORS = 8
"""Colours of curves that the style sheet has."""

GAP = 8.0
"""Least distance of two names, in hundredths of the height."""


@dataclass(frozen=True)
class Line:
    """A curve.

    Attributes:
        name: Its name.
        color: Number of its colour; curves of one name have one colour in all panels of a chart.
        path: SVG path in a square of side 100.
        height: Place of its name, from below.
    """

    name: str
    color: int
    path: str
    height: float


@dataclass(frozen=True)
class PanelLayout:
    """A panel laid out: curves and their axes, all places in hundredths from the left or from below.

    Attributes:
        title: Title of the panel.
        steps: Place and number of some optimiser steps.
        levels: Place and value of the lines of the grid.
        lines: The curves that have a value.
    """

    title: str
    steps: list[tuple[float, float]]
    levels: list[tuple[float, float]]
    lines: list[Line]


def panels(chart: CurveChart) -> list[PanelLayout]:
    """Lay out the panels of a chart."""
    names = list(dict.fromkeys(curve.name for panel in chart.panels for curve in panel.curves))
    return [_panel(panel, names) for panel in chart.panels]


def ticks(low: float, high: float) -> list[float]:
    """Return two to seven round numbers; the first is at most ``low``, the last at least ``high``."""
    power = 10.0 ** math.floor(math.log10((high - low) / 5))
    every = next(digit * power for digit in (1, 2, 5, 10) if 5.001 * digit * power >= high - low)
    first, last = math.floor(low / every + 1e-6), math.ceil(high / every - 1e-6)
    return [round(number * every, 9) for number in range(first, last + 1)]


def spread(heights: Sequence[float], gap: float) -> list[float]:
    """Move heights apart until each lies at least ``gap`` from the next, keeping their order."""
    order = sorted(range(len(heights)), key=lambda index: heights[index])
    placed = [heights[index] for index in order]
    for _ in range(200):
        for low, high in pairwise(range(len(placed))):
            lack = gap - (placed[high] - placed[low])
            if lack > 1e-6:
                placed[low] -= lack / 2
                placed[high] += lack / 2
    return [placed[order.index(index)] for index in range(len(heights))]


def _panel(panel: CurvePanel, names: Sequence[str]) -> PanelLayout:
    known = [curve for curve in panel.curves if any(value is not None for value in curve.values)]
    values = [value for curve in known for value in curve.values if value is not None]
    levels = ticks(0, 1) if panel.unit_range or not any(values) else ticks(min(0, *values), max(0, *values))
    last = max([1, *(step for curve in known for step in curve.steps)])

    def height(value: float) -> float:
        return 100 * (value - levels[0]) / (levels[-1] - levels[0])

    ends = [height([value for value in curve.values if value is not None][-1]) for curve in known]
    lines = []
    for curve, end in zip(known, spread(ends, GAP), strict=True):
        points = [
            None if value is None else f"{100 * step / last:.4g} {100 - height(value):.4g}"
            for step, value in zip(curve.steps, curve.values, strict=True)
        ]
        lines.append(Line(curve.name, names.index(curve.name) % COLORS, _path(points), end))
    steps = [step for step in ticks(0, last) if step <= last and step == int(step)]
    return PanelLayout(
        panel.title, [(100 * step / last, step) for step in steps], [(height(level), level) for level in levels], lines
    )


def _path(points: Sequence[str | None]) -> str:
    """Join points by lines, except across gaps; a point alone becomes a dot."""
    pairs = pairwise([None, *points])
    return "".join(f"L{point}" if before else f"M{point}h0" for before, point in pairs if point is not None)
