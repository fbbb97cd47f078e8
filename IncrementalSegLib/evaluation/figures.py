"""Draw any chart of a report as a PNG."""

from __future__ import annotations

from IncrementalSegLib.evaluation.charts import draw_changes, draw_curves, draw_matrices
from IncrementalSegLib.evaluation.content import ChangeChart, Chart, CurveChart, SliceGrid
from IncrementalSegLib.evaluation.slices import draw_slices
from IncrementalSegLib.evaluation.theme import Theme, png


def draw(chart: Chart, theme: Theme) -> bytes:
    """Draw a chart.

    Args:
        chart: What to draw.
        theme: Colours; slices always have those of a viewer.

    Returns:
        The bytes of a PNG file.

    Raises:
        IncrementalSegError: matplotlib is not installed.
    """
    if isinstance(chart, SliceGrid):
        return png(draw_slices(chart))
    if isinstance(chart, ChangeChart):
        return png(draw_changes(chart, theme))
    if isinstance(chart, CurveChart):
        return png(draw_curves(chart, theme))
    return png(draw_matrices(chart, theme))
