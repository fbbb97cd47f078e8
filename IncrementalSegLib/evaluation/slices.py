"""Slices of a report with the outlines of truth and prediction."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from IncrementalSegLib.evaluation.content import Picture, SliceGrid, SliceRow
from IncrementalSegLib.evaluation.metrics import Mask
from IncrementalSegLib.evaluation.theme import VIEWER, WIDTH, axes, canvas

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SIDE, _GAP, _TOP, _LINE, _FOOT = 1.3, 0.07, 0.5, 0.17, 0.42
_DASHES = (0, (2.2, 1.6))


def draw_slices(grid: SliceGrid) -> Figure:
    """Draw the slices: the truth as a dashed amber outline, predictions as a solid blue one, the image in grey."""
    columns = ("truth", *grid.columns)
    side = min((WIDTH - _SIDE - 0.25) / len(columns) - _GAP, 2.6)
    heights = [side * min(1.6, row.image.shape[0] * row.aspect / row.image.shape[1]) for row in grid.rows]
    top = _TOP + _LINE * max(name.count("\n") for name in columns)
    figure = canvas(top + sum(heights) + _GAP * len(heights) + _FOOT, VIEWER)
    for index, (row, height) in enumerate(zip(grid.rows, heights, strict=True)):
        for column, name in enumerate(columns):
            ax = axes(figure, (_SIDE + column * (side + _GAP), top, side, height), VIEWER)
            _picture(ax, row, column)
            if index == 0:
                ax.set_title(name, color=VIEWER.ink, fontsize=10, fontweight="bold", pad=7)
        lines = textwrap.wrap(row.title.replace("_", "_ "), 15, max_lines=5, placeholder="…")
        title = "\n".join(lines).replace("_ ", "_")
        y = 1 - (top + height / 2) / figure.get_figheight()
        figure.text(0.2 / WIDTH, y, title, color=VIEWER.ink, fontsize=9, va="center", linespacing=1.4)
        top += height + _GAP
    _legend(figure)
    return figure


def grey(image: Picture) -> NDArray[np.float64]:
    """Return a slice in 0..1: RGB as it is, else between its 0.5th and its 99.5th percentile."""
    values = np.nan_to_num(np.asarray(image, dtype=np.float64))
    if values.ndim == 3:
        return np.asarray(np.clip(values / 255 if values.max(initial=0) > 1 else values, 0, 1))
    low, high = np.percentile(values, [0.5, 99.5])
    return np.asarray(np.clip((values - low) / max(high - low, 1e-12), 0, 1))


def _picture(ax: Axes, row: SliceRow, column: int) -> None:
    ax.set_xticks([])
    ax.set_yticks([])
    ax.imshow(grey(row.image), cmap="gray", aspect=row.aspect, interpolation="bilinear", vmin=0, vmax=1)
    _outline(ax, row.truth, VIEWER.amber, _DASHES)
    if column == 0:
        return
    prediction = row.predictions[column - 1]
    if prediction is None:
        ax.text(0.5, 0.5, "–", transform=ax.transAxes, color=VIEWER.muted, fontsize=14, ha="center", va="center")
    else:
        _outline(ax, prediction, VIEWER.blue, "solid")
    if row.notes and row.notes[column - 1]:
        box = {"facecolor": "black", "alpha": 0.62, "edgecolor": "none", "boxstyle": "round,pad=0.28"}
        note = row.notes[column - 1]
        ax.text(0.035, 0.04, note, transform=ax.transAxes, color=VIEWER.ink, fontsize=8, va="bottom", bbox=box)


def _outline(ax: Axes, mask: Mask, color: str, style: str | tuple[int, tuple[float, ...]]) -> None:
    if not mask.any():
        return
    framed = np.pad(mask, 1).astype(np.float64)  # so that an outline at the border of the image closes
    x, y = np.arange(-1, mask.shape[1] + 1), np.arange(-1, mask.shape[0] + 1)
    ax.contour(x, y, framed, levels=[0.5], colors=[color], linewidths=1.5, linestyles=[style])
    ax.set_xlim(-0.5, mask.shape[1] - 0.5)
    ax.set_ylim(mask.shape[0] - 0.5, -0.5)


def _legend(figure: Figure) -> None:
    from matplotlib.lines import Line2D

    lines = [
        Line2D([], [], color=VIEWER.amber, linestyle=_DASHES, linewidth=1.6),
        Line2D([], [], color=VIEWER.blue, linewidth=1.6),
    ]
    height = figure.get_figheight()
    figure.legend(
        lines, ["truth", "prediction"], loc="lower left", bbox_to_anchor=(_SIDE / WIDTH, 0.14 / height), ncols=2,
        frameon=False, fontsize=9, labelcolor=VIEWER.ink, handlelength=2.2, columnspacing=2, borderpad=0,
        borderaxespad=0,
    )  # fmt: skip
