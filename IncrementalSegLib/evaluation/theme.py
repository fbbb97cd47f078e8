"""Colours of reports, the same in pictures and page, and the canvas that pictures are drawn on.

Blue and amber of Okabe and Ito's palette can be told apart with every kind of colour vision.
"""

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
"""Width of every picture in inches, so that text has one size on the whole page."""


@dataclass(frozen=True)
class Theme:
    """Colours of one mode as ``#rrggbb``."""

    page: str
    card: str
    ink: str
    muted: str
    line: str
    blue: str
    amber: str
    low: str
    palette: tuple[str, ...]


LIGHT = Theme(
    page="#f4f6f8",
    card="#ffffff",
    ink="#1b2530",
    muted="#5f6c7a",
    line="#dfe5eb",
    blue="#0072b2",
    amber="#d98a00",
    low="#eef4f9",
    palette=("#0072b2", "#d98a00", "#009e73", "#c4467f", "#4a5560", "#56a8d9", "#8a5fbf", "#a0522d"),
)
DARK = Theme(
    page="#0d1117",
    card="#161c24",
    ink="#e8edf2",
    muted="#97a4b2",
    line="#2a333e",
    blue="#56b4e9",
    amber="#f0b23e",
    low="#1d2833",
    palette=("#56b4e9", "#f0b23e", "#2fc59a", "#ec8fbb", "#b4bfca", "#8fb4ff", "#b99be6", "#d99a6c"),
)
VIEWER = Theme(
    page="#000000",
    card="#0b0e12",
    ink="#f2f5f8",
    muted="#a7b3bf",
    line="#2a333e",
    blue="#56b4e9",
    amber="#ffb52e",
    low="#1d2833",
    palette=DARK.palette,
)
"""Slices are shown on near-black in both modes, as in a viewer."""


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
            "The report cannot be drawn, because matplotlib is not installed.",
            todo='Install it with: pip install "incrementalseg[report]"',
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
