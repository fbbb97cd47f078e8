"""The canvas of the plots, and its colours."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from IncrementalSegLib.errors import IncrementalSegError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 9.6
"""Width of every plot in inches, so that text has one size in all of them."""

CARD, INK, MUTED, LINE = "#ffffff", "#1b2530", "#5f6c7a", "#dfe5eb"
PALETTE = ("#0072b2", "#d98a00", "#009e73", "#c4467f", "#4a5560", "#56a8d9", "#8a5fbf", "#a0522d")

_DOTS_PER_INCH = 200


def canvas(height: float) -> Figure:
    """Make an empty plot of a height in inches that no global state of matplotlib knows.

    Raises:
        IncrementalSegError: matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise IncrementalSegError(
            "The plots cannot be drawn, because matplotlib is not installed.",
            todo='Install it with: pip install "incrementalseg[benchmarks]"',
        ) from error
    figure = Figure(figsize=(WIDTH, height), dpi=_DOTS_PER_INCH, facecolor=CARD)
    FigureCanvasAgg(figure)
    return figure


def panel(figure: Figure, box: tuple[float, float, float, float], title: str, size: float, pad: float) -> Axes:
    """Add axes with a horizontal grid to a plot.

    Args:
        figure: The plot.
        box: Left, top, width and height in inches, from the upper left corner.
        title: Title above.
        size: Font size of the title.
        pad: Distance of the title in points.
    """
    left, top, width, height = box
    total = figure.get_figheight()
    ax = figure.add_axes((left / WIDTH, 1 - (top + height) / total, width / WIDTH, height / total))
    ax.set_facecolor(CARD)
    ax.tick_params(length=0, labelsize=8.5, labelcolor=MUTED, pad=5)
    for side in ax.spines.values():
        side.set_visible(False)
    ax.set_title(title, loc="left", color=INK, fontsize=size, fontweight="bold", pad=pad)
    ax.grid(axis="y", color=LINE, linewidth=0.8)
    ax.set_axisbelow(True)
    return ax


def png(figure: Figure) -> bytes:
    """Return the plot as the bytes of a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(
        buffer, format="png", dpi=_DOTS_PER_INCH, facecolor=figure.get_facecolor(), metadata={"Software": None}
    )
    return buffer.getvalue()
