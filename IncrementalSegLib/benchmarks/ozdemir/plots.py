"""Pictures of the benchmarks: before and after per method, and Dice against the number of annotated volumes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from IncrementalSegLib.benchmarks.figures import LIGHT, WIDTH, Theme, axes, canvas, png
from IncrementalSegLib.benchmarks.ozdemir.protocols import Protocol
from IncrementalSegLib.benchmarks.ozdemir.results import Outcome, Results
from IncrementalSegLib.evaluation.intervals import signed
from IncrementalSegLib.reports.changes import Change, State, by_structure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_HEIGHT = 3.3
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
_MARGIN = 0.85  # room for the names at the ends of the curves


def change_picture(results: Results, protocol: Protocol) -> bytes | None:
    """Draw what became of both structures in the scenarios that are cases of the paper; ``None`` without chains."""
    shown = [scenario for scenario in protocol.scenarios if scenario.name.startswith("case")]
    pairs = [outcome.changes() for scenario in shown for outcome in results.of(protocol, scenario)]
    changes = [change for side in (0, 1) for change in (pair[side] for pair in pairs)]
    return png(draw_changes(changes, LIGHT)) if changes else None


def draw_changes(changes: Sequence[Change], theme: Theme) -> Figure:
    """Draw Dice before (ring) and after (dot), one row per structure and method."""
    groups = by_structure(changes)
    headed = any(change.method for change in changes)
    labels = [change.method if headed else change.structure for change in changes]
    rows = _HEAD * (len(groups) if headed else 1) + _ROW * len(changes)
    figure = canvas(rows + 0.95, theme)
    left = 0.6 + 0.085 * max([len(label) for label in labels], default=0)
    ax = _dice_axes(figure, left, rows, theme)
    y = 0.0 if headed else _HEAD
    for structure, group in groups.items():
        if headed:
            _say(ax, 0.25 - left, y + 0.31, structure, color=theme.ink, fontsize=10.5, fontweight="bold")
            y += _HEAD
        for change in group:
            _say(ax, 0.25 - left, y + _ROW / 2, change.method if headed else structure, color=theme.ink, fontsize=9)
            _dumbbell(ax, y + _ROW / 2, change, theme)
            y += _ROW
    _legend(figure, changes, theme)
    return figure


def efficiency_picture(results: Results, protocol: Protocol) -> bytes | None:
    """Draw Dice of both structures against the volumes of the second step; ``None`` without at least two points."""
    curves = efficiency_curves(results, protocol)
    if not curves:
        return None
    figure = canvas(_HEIGHT, LIGHT)
    for column, (structure, title) in enumerate(((protocol.new, "new"), (protocol.old, "known before"))):
        left = 0.65 + WIDTH / 2 * column
        ax = axes(figure, (left, 0.5, WIDTH / 2 - 0.65 - _MARGIN, _HEIGHT - 1.1), LIGHT)
        _panel(ax, structure, f"{structure}, {title}", curves)
    return png(figure)


def efficiency_curves(results: Results, protocol: Protocol) -> dict[str, list[Outcome]]:
    """Return by method its outcomes with ever more volumes, where there are at least two."""
    curves: dict[str, list[Outcome]] = {}
    for scenario in sorted(protocol.scenarios, key=lambda item: item.volumes):
        if scenario.scanner == "A":
            for outcome in results.of(protocol, scenario):
                curves.setdefault(outcome.method, []).append(outcome)
    everywhere = max(map(len, curves.values()), default=0)
    return {
        method: points
        for method, points in curves.items()
        if len(points) == everywhere and len({outcome.scenario.volumes for outcome in points}) > 1
    }


def _panel(ax: Axes, structure: str, title: str, curves: dict[str, list[Outcome]]) -> None:
    ax.set_title(title, loc="left", color=LIGHT.ink, fontsize=10, fontweight="bold", pad=14)
    ax.set_xscale("log")
    counts = sorted({outcome.scenario.volumes for outcomes in curves.values() for outcome in outcomes})
    ax.set_xticks(counts, [str(count) for count in counts])
    ax.minorticks_off()
    ax.grid(axis="y", color=LIGHT.line, linewidth=0.8)
    ax.set_axisbelow(True)
    ax.set_xlabel("annotated volumes in the second step", color=LIGHT.muted, fontsize=8.5, labelpad=3)
    ax.set_ylabel("Dice", color=LIGHT.muted, fontsize=8.5)
    ends = []
    for index, (method, outcomes) in enumerate(curves.items()):
        color = LIGHT.palette[index % len(LIGHT.palette)]
        shift = 1 + 0.03 * (index - (len(curves) - 1) / 2)  # side by side, so that no interval hides another
        places = [outcome.scenario.volumes * shift for outcome in outcomes]
        scores = [outcome.score("after", structure) for outcome in outcomes]
        ax.plot(places, [score.dice or 0.0 for score in scores], color=color, linewidth=1.8, marker="o", markersize=5)
        for place, score in zip(places, scores, strict=True):
            if score.dice_ci is not None:
                ax.plot([place, place], score.dice_ci, color=color, linewidth=1.1, alpha=0.7)
        ends.append((method, scores[-1].dice or 0.0, color))
    _name_ends(ax, ends)


def _name_ends(ax: Axes, ends: Sequence[tuple[str, float, str]]) -> None:
    """Write the methods' names beside the last points, one line apart at least."""
    low, high = ax.get_ylim()
    line = 0.16 / (_HEIGHT - 1.1)
    height = -1.0
    for method, value, color in sorted(ends, key=lambda end: end[1]):
        height = max(height + line, (value - low) / (high - low))
        ax.text(1.03, height, method, transform=ax.transAxes, color=color, fontsize=8.5, va="center", fontweight="bold")


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
