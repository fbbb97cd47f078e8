"""The canvas of the benchmarks' pictures, and its colours."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from IncrementalSegLib.errors import IncrementalSegError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DOTS_PER_INCH = 200
WIDTH = 9.6
"""Width of every picture in inches, so that text has one size in all of them."""


@dataclass(frozen=True)
class Theme:
    """Colours as ``#rrggbb``."""

    card: str
    ink: str
    muted: str
    line: str
    blue: str
    amber: str
    palette: tuple[str, ...]


LIGHT = Theme(
    card="#ffffff",
    ink="#1b2530",
    muted="#5f6c7a",
    line="#dfe5eb",
    blue="#0072b2",
    amber="#d98a00",
    palette=("#0072b2", "#d98a00", "#009e73", "#c4467f", "#4a5560", "#56a8d9", "#8a5fbf", "#a0522d"),
)
VIEWER = Theme(
    card="#0b0e12",
    ink="#f2f5f8",
    muted="#a7b3bf",
    line="#2a333e",
    blue="#56b4e9",
    amber="#ffb52e",
    palette=(),
)
"""Slices are shown on near-black, as in a viewer."""


def canvas(height: float, theme: Theme) -> Figure:
    """Make an empty picture that no global state of matplotlib knows.

    Args:
        height: Height in inches.
        theme: Its background is filled with ``theme.card``.

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
    figure = Figure(figsize=(WIDTH, height), dpi=DOTS_PER_INCH, facecolor=theme.card)
    FigureCanvasAgg(figure)
    return figure


def axes(figure: Figure, box: tuple[float, float, float, float], theme: Theme) -> Axes:
    """Add quiet axes to a picture.

    Args:
        figure: The picture.
        box: Left, top, width and height in inches, from the upper left corner.
        theme: Colours of the ticks.
    """
    left, top, width, height = box
    total = figure.get_figheight()
    ax = figure.add_axes((left / WIDTH, 1 - (top + height) / total, width / WIDTH, height / total))
    ax.set_facecolor(theme.card)
    ax.tick_params(length=0, labelsize=8.5, labelcolor=theme.muted, pad=5)
    for side in ax.spines.values():
        side.set_visible(False)
    return ax


def png(figure: Figure) -> bytes:
    """Return the picture as the bytes of a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(
        buffer, format="png", dpi=DOTS_PER_INCH, facecolor=figure.get_facecolor(), metadata={"Software": None}
    )
    return buffer.getvalue()
