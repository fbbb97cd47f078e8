"""Charts of a report: Dice before and after, learning curves, and the matrix R[t][k]."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from IncrementalSegLib.evaluation.content import Change, ChangeChart, CurveChart, CurvePanel, MatrixChart, State
from IncrementalSegLib.evaluation.forgetting import ScoreMatrix
from IncrementalSegLib.evaluation.intervals import signed
from IncrementalSegLib.evaluation.theme import WIDTH, Theme, axes, canvas

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ROW, _HEAD = 0.32, 0.5
_TONES: dict[State, str] = {
    "kept": "blue",
    "higher": "blue",
    "new": "blue",
    "lower": "amber",
    "unclear": "muted",
    "unknown": "muted",
    "harmed": "amber",
    "unsure": "muted",
    "improved": "blue",
}


def draw_changes(chart: ChangeChart, theme: Theme) -> Figure:
    """Draw Dice before (ring) and after (dot), one row per structure and method."""
    groups: dict[str, list[Change]] = {}
    for change in chart.changes:
        groups.setdefault(change.structure, []).append(change)
    headed = any(change.method for change in chart.changes)
    labels = [change.method if headed else change.structure for change in chart.changes]
    rows = _HEAD * (len(groups) if headed else 1) + _ROW * len(chart.changes)
    figure = canvas(rows + 0.95, theme)
    left = 0.6 + 0.085 * max([len(label) for label in labels], default=0)
    ax = _dice_axes(figure, left, rows, theme)
    y = 0.0 if headed else _HEAD
    for structure, changes in groups.items():
        if headed:
            _say(ax, 0.25 - left, y + 0.31, structure, color=theme.ink, fontsize=10.5, fontweight="bold")
            y += _HEAD
        for change in changes:
            _say(ax, 0.25 - left, y + _ROW / 2, change.method if headed else structure, color=theme.ink, fontsize=9)
            _dumbbell(ax, y + _ROW / 2, change, theme)
            y += _ROW
    _legend(figure, chart.changes, theme)
    return figure


def draw_curves(chart: CurveChart, theme: Theme) -> Figure:
    """Draw panels of curves, two in a row, each curve named at its end."""
    names = list(dict.fromkeys(curve.name for panel in chart.panels for curve in panel.curves))
    colors = {name: theme.palette[index % len(theme.palette)] for index, name in enumerate(names)}
    lines = -(-len(chart.panels) // 2)
    figure = canvas(0.1 + 3.0 * lines, theme)
    margin = 0.25 + 0.075 * max([len(name) for name in names], default=0)
    for index, panel in enumerate(chart.panels):
        left = 0.65 + WIDTH / 2 * (index % 2)
        box = (left, 0.5 + 3.0 * (index // 2), WIDTH / 2 - 0.65 - margin, 1.95)
        _curve_panel(axes(figure, box, theme), panel, colors, theme)
    return figure


def draw_matrices(chart: MatrixChart, theme: Theme) -> Figure:
    """Draw R[t][k] of each method; an amber frame marks the step that taught the structure."""
    steps = max([len(matrix.rows) for _, matrix in chart.panels], default=1)
    count = max([len(matrix.structures) for _, matrix in chart.panels], default=1)
    columns = min(len(chart.panels), 4, max(1, int((WIDTH - 0.9) / (0.62 * count + 0.35)))) or 1
    cell = min(1.05, ((WIDTH - 0.95) / columns - 0.3) / count)
    lines = max([_wrap(name, cell).count("\n") + 1 for _, each in chart.panels for name in each.structures], default=1)
    height, foot = 0.5, 0.22 + 0.15 * lines
    band = height * steps + 0.98 + foot
    figure = canvas(0.1 + band * -(-len(chart.panels) // columns), theme)
    for index, (title, matrix) in enumerate(chart.panels):
        column, row = index % columns, index // columns
        box = (0.95 + column * (cell * count + 0.3), 0.5 + row * band, cell * count, height * len(matrix.rows))
        _matrix(axes(figure, box, theme), title, matrix, theme, named=column == 0, wide=cell, foot=foot)
    return figure


def _dice_axes(figure: Figure, left: float, rows: float, theme: Theme) -> Axes:
    width = WIDTH - left - 2.15
    ax = axes(figure, (left, 0.2, width, rows), theme)
    ax.set_xlim(-0.02, 1.02)
    ax.set_ylim(rows, 0)
    ax.set_yticks([])
    ax.set_xticks(np.linspace(0, 1, 6))
    ax.grid(axis="x", color=theme.line, linewidth=0.8)
    ax.set_axisbelow(True)
    ax.set_xlabel("Dice", color=theme.muted, fontsize=8.5, labelpad=3)
    _say(ax, width + 0.15, 0.31, "before → after", theme.muted, 8)
    _say(ax, width + 1.8, 0.31, "points", theme.muted, 8, ha="right")
    return ax


def _dumbbell(ax: Axes, y: float, change: Change, theme: Theme) -> None:
    color = getattr(theme, _TONES[change.state])
    before, after = (side.dice if side else None for side in (change.before, change.after))
    if before is not None and after is not None:
        ax.plot([before, after], [y, y], color=color, linewidth=3.2, alpha=0.45, solid_capstyle="round", zorder=2)
    if change.after is not None and change.after.dice_ci is not None:
        ax.plot(change.after.dice_ci, [y, y], color=color, linewidth=1.1, zorder=3)
        ax.plot(change.after.dice_ci, [y, y], color=color, marker="|", markersize=6, linestyle="none", zorder=3)
    if before is not None:
        (ring,) = ax.plot([before], [y], marker="o", markersize=8, markeredgewidth=1.6, zorder=4)
        ring.set(markerfacecolor=theme.card, markeredgecolor=theme.muted)
    if after is not None:
        ax.plot([after], [y], marker="o", markersize=8, color=color, markeredgecolor=theme.card, zorder=5)
    right = ax.get_position().width * WIDTH
    path = " → ".join("–" if value is None else f"{value:.2f}" for value in (before, after))
    _say(ax, right + 0.15, y, f"{after:.2f}" if before is None and after is not None else path, theme.ink, 9)
    word = "new" if change.state == "new" else "" if change.points is None else signed(change.points)
    heavy = "bold" if change.state in ("lower", "harmed") else "normal"
    _say(ax, right + 1.8, y, word, color=color, fontsize=9, fontweight=heavy, ha="right")


def _say(ax: Axes, x: float, y: float, text: str, color: str, fontsize: float, **style: Any) -> None:
    """Write at x inches from the axes' left edge and y in the axes' own units (inches)."""
    width = ax.get_position().width * WIDTH
    ax.text(
        x / width, y, text, transform=ax.get_yaxis_transform(), color=color, fontsize=fontsize, va="center", **style
    )


def _legend(figure: Figure, changes: Sequence[Change], theme: Theme) -> None:
    from matplotlib.lines import Line2D

    ring = Line2D([], [], marker="o", linestyle="none", markersize=7, markerfacecolor=theme.card, markeredgewidth=1.5)
    ring.set_markeredgecolor(theme.muted)
    entries = {"before": ring}
    for tone in ("blue", "amber", "muted"):
        words = [state for state in _TONES if _TONES[state] == tone and any(each.state == state for each in changes)]
        if words:
            dot = Line2D([], [], marker="o", linestyle="none", markersize=7, color=getattr(theme, tone))
            entries[f"after: {', '.join(words)}"] = dot
    if any(change.after and change.after.dice_ci for change in changes):
        entries["95 % interval"] = Line2D([], [], marker="|", markersize=6, linewidth=1.1, color=theme.muted)
    place = (0.2 / WIDTH, 0.1 / figure.get_figheight())
    figure.legend(
        list(entries.values()), list(entries), loc="lower left", bbox_to_anchor=place, ncols=5, frameon=False,
        fontsize=8.5, labelcolor=theme.muted, handletextpad=0.4, columnspacing=1.8, borderpad=0, borderaxespad=0,
    )  # fmt: skip


def _curve_panel(ax: Axes, panel: CurvePanel, colors: dict[str, str], theme: Theme) -> None:
    from matplotlib.ticker import LogLocator

    ax.set_title(panel.title, loc="left", color=theme.ink, fontsize=10, fontweight="bold", pad=14)
    ax.grid(axis="y", color=theme.line, linewidth=0.8)
    ax.set_axisbelow(True)
    ax.set_xlabel("optimiser step", color=theme.muted, fontsize=8.5, labelpad=3)
    if panel.logarithmic:
        ax.set_yscale("log")
        ax.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        ax.minorticks_off()
    if panel.unit_range:
        ax.set_ylim(-0.02, 1.02)
        ax.set_yticks(np.linspace(0, 1, 6))
    ends: list[tuple[str, float, float]] = []
    for curve in panel.curves:
        steps = np.asarray(curve.steps, dtype=np.float64)
        values = np.asarray([np.nan if value is None else value for value in curve.values], dtype=np.float64)
        color = colors[curve.name]
        if len(values) > 60:  # a loss per step: the raw line stays visible behind its running mean
            ax.plot(steps, values, color=color, linewidth=0.7, alpha=0.28)
            values = _smooth(values, len(values) // 25)
        ax.plot(steps, values, color=color, linewidth=1.8, solid_capstyle="round")
        known = np.flatnonzero(np.isfinite(values))
        if len(known):
            ends.append((curve.name, float(steps[known[-1]]), float(values[known[-1]])))
    ax.margins(x=0.01)
    for step, label in panel.marks:
        ax.axvline(step, color=theme.muted, linewidth=0.9, linestyle=(0, (2, 3)))
        ax.text(step, 1.01, label, transform=ax.get_xaxis_transform(), color=theme.muted, fontsize=7.5, va="bottom")
    _name_ends(ax, ends, colors)


def _name_ends(ax: Axes, ends: Sequence[tuple[str, float, float]], colors: dict[str, str]) -> None:
    ax.get_ylim()  # settles the limits, which matplotlib computes late
    height = ax.get_position().height * ax.figure.get_figheight()  # type: ignore[union-attr]
    points = [ax.transAxes.inverted().transform(ax.transData.transform(end[1:])) for end in ends]
    wanted = [float(point[1]) for point in points]
    for (name, _, _), y in zip(ends, _spread(wanted, 0.155 / height), strict=True):
        ax.text(1.02, y, name, transform=ax.transAxes, color=colors[name], fontsize=8.5, va="center", fontweight="bold")


def _spread(wanted: Sequence[float], gap: float) -> list[float]:
    """Move heights apart until each lies at least ``gap`` from the next, keeping their order and staying in 0..1."""
    order = sorted(range(len(wanted)), key=lambda index: wanted[index])
    heights = [min(max(wanted[index], 0.0), 1.0) for index in order]
    for _ in range(200):
        for low, high in pairwise(range(len(heights))):
            lack = gap - (heights[high] - heights[low])
            if lack > 1e-6:
                heights[low] -= lack / 2
                heights[high] += lack / 2
    placed = dict(zip(order, heights, strict=True))
    return [placed[index] for index in range(len(wanted))]


def _smooth(values: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    half = max(1, width // 2)
    windows = [values[max(0, index - half) : index + half + 1] for index in range(len(values))]
    return np.asarray([np.nanmean(part) if np.isfinite(part).any() else np.nan for part in windows])


def _matrix(ax: Axes, title: str, matrix: ScoreMatrix, theme: Theme, *, named: bool, wide: float, foot: float) -> None:
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.patches import Rectangle

    shades = LinearSegmentedColormap.from_list("dice", [theme.low, theme.blue])
    steps, count = len(matrix.rows), len(matrix.structures)
    ax.set_xlim(0, count)
    ax.set_ylim(steps, 0)
    for row, column in np.ndindex(steps, count):
        value = matrix.rows[row][column]
        face = theme.card if value is None else shades(value)
        ax.add_patch(Rectangle((column, row), 0.96, 0.94, facecolor=face, edgecolor="none"))
        ink = theme.muted if value is None else theme.ink if _light(face) == _light(theme.card) else theme.card
        ax.text(
            column + 0.48, row + 0.47, "–" if value is None else f"{value:.2f}", ha="center", va="center", color=ink,
            fontsize=9.5 if wide > 0.55 else 8,
        )  # fmt: skip
        if matrix.learned[column] == row:
            ax.add_patch(Rectangle((column, row), 0.96, 0.94, fill=False, edgecolor=theme.amber, lw=2, clip_on=False))
    ax.set_xticks(np.arange(count) + 0.48, [_wrap(name, wide) for name in matrix.structures])
    ax.tick_params(axis="x", labelcolor=theme.ink)
    ax.set_yticks(np.arange(steps) + 0.47, [f"step {step + 1}" if named else "" for step in range(steps)])
    ax.set_title(title, loc="left", color=theme.ink, fontsize=10, fontweight="bold", pad=9)
    numbers = (("average", matrix.average()), ("forgetting", matrix.mean_forgetting()))
    said = "\n".join(f"{name} {value:.2f}".replace("-", "−") for name, value in numbers if value is not None)
    ax.text(
        0,
        -foot / (0.5 * steps),
        said,
        transform=ax.transAxes,
        color=theme.muted,
        fontsize=8.5,
        va="top",
        linespacing=1.4,
    )


def _wrap(name: str, wide: float) -> str:
    """Break a name into at most three lines that fit a cell of ``wide`` inches."""
    return "\n".join(textwrap.wrap(name, max(6, int(wide / 0.078)), max_lines=3, placeholder="…"))


def _light(color: str | Iterable[float]) -> bool:
    from matplotlib.colors import to_rgb

    red, green, blue = to_rgb(color if isinstance(color, str) else tuple(color))  # type: ignore[arg-type]
    return 0.299 * red + 0.587 * green + 0.114 * blue > 0.5
