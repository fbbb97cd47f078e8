"""Pictures of the protocols: what became of each stage's structures, and slices of one test scan."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean
from typing import TYPE_CHECKING, Any

from IncrementalSegLib.benchmarks.ciss.results import Outcome, Results
from IncrementalSegLib.benchmarks.ciss.slices import SHOWN_SEED, read_slices
from IncrementalSegLib.benchmarks.figures import LIGHT, VIEWER, WIDTH, axes, canvas, png
from IncrementalSegLib.reports.pictures import outlined
from IncrementalSegLib.reports.slices import SliceGrid, SliceRow

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLUMNS = 4
_SIDE, _SPACE, _TOP, _NAME, _KEYS = 1.3, 0.07, 0.5, 0.17, 0.42
_PANEL, _LEFT, _FOOT, _LINE, _TITLE = 1.35, 0.6, 0.55, 0.2, 0.17


def curve_picture(results: Results) -> bytes | None:
    """Draw a panel per method: mean Dice of each stage's structures over the stages; ``None`` without chains."""
    shown = [outcome for outcome in results.outcomes.values() if not outcome.name.startswith("offline")]
    if not shown:
        return None
    head = 0.2 + _TITLE * max(1 + outcome.name.count("+") for outcome in shown)
    wide, band = (WIDTH - _LEFT - 0.2) / _COLUMNS, head + _PANEL + _FOOT
    figure = canvas(band * -(-len(shown) // _COLUMNS) + _LINE * len(results.stages) + 0.1, LIGHT)
    for index, outcome in enumerate(shown):
        left, top = _LEFT + wide * (index % _COLUMNS), head + band * (index // _COLUMNS)
        ax = axes(figure, (left, top, wide - 0.3, _PANEL), LIGHT)
        _panel(ax, outcome, results, labelled=index % _COLUMNS == 0)
    _legend(figure, results)
    return png(figure)


def slice_picture(results: Results) -> bytes | None:
    """Draw one test scan as offline, the best and the worst method have left it; ``None`` without slices.

    Shown is the first structure of each stage.
    """
    folder = results.folder.parent / ".slices" / results.folder.name
    there = {file.stem: file for file in folder.glob("*.safetensors")}
    ranked = sorted(
        (outcome for outcome in results.methods if SHOWN_SEED in outcome.chains and outcome.name in there),
        key=lambda outcome: -outcome.mean(results.groups["All"])[SHOWN_SEED],
    )
    if not ranked:
        return None
    columns = {"offline": "offline"} if "offline" in there else {}
    columns |= {ranked[0].name: f"best: {ranked[0].name}"}
    columns |= {ranked[-1].name: f"worst: {ranked[-1].name}"} if len(ranked) > 1 else {}
    found = [read_slices(there[name]) for name in columns]
    names = [stage[0] for stage in results.stages if stage[0] in found[0]]
    rows = [_row(name, [slices[name] for slices in found]) for name in names]
    titles = tuple(title.replace("+", "\n+") for title in columns.values())
    return png(draw_slices(SliceGrid(titles, tuple(rows))))


def draw_slices(grid: SliceGrid) -> Figure:
    """Draw the slices: the truth as a dashed amber outline, predictions as a solid blue one, the image in grey."""
    columns = ("truth", *grid.columns)
    side = min((WIDTH - _SIDE - 0.25) / len(columns) - _SPACE, 2.6)
    heights = [side * min(1.6, row.image.shape[0] * row.aspect / row.image.shape[1]) for row in grid.rows]
    top = _TOP + _NAME * max(name.count("\n") for name in columns)
    figure = canvas(top + sum(heights) + _SPACE * len(heights) + _KEYS, VIEWER)
    for index, (row, height) in enumerate(zip(grid.rows, heights, strict=True)):
        for column, name in enumerate(columns):
            ax = axes(figure, (_SIDE + column * (side + _SPACE), top, side, height), VIEWER)
            _slice(ax, row, column)
            if index == 0:
                ax.set_title(name, color=VIEWER.ink, fontsize=10, fontweight="bold", pad=7)
        lines = textwrap.wrap(row.title.replace("_", "_ "), 15, max_lines=5, placeholder="…")
        title = "\n".join(lines).replace("_ ", "_")
        y = 1 - (top + height / 2) / figure.get_figheight()
        figure.text(0.2 / WIDTH, y, title, color=VIEWER.ink, fontsize=9, va="center", linespacing=1.4)
        top += height + _SPACE
    _outlines(figure)
    return figure


def _panel(ax: Axes, outcome: Outcome, results: Results, *, labelled: bool) -> None:
    count = len(results.stages)
    ax.set_title(outcome.name.replace("+", "\n+"), loc="left", color=LIGHT.ink, fontsize=9, fontweight="bold", pad=5)
    ax.set_xlim(0.8, count + 0.2)
    ax.set_ylim(-0.04, 1.04)
    ax.set_xticks(range(1, count + 1))
    ax.set_yticks([0, 0.5, 1], ["0", "0.5", "1"] if labelled else ["", "", ""])
    ax.grid(axis="y", color=LIGHT.line, linewidth=0.8)
    ax.set_axisbelow(True)
    ax.set_xlabel("stage", color=LIGHT.muted, fontsize=8.5, labelpad=2)
    if labelled:
        ax.set_ylabel("Dice", color=LIGHT.muted, fontsize=8.5)
    dots: dict[str, Any] = {"marker": "o", "markersize": 1.8, "clip_on": False}
    for first, structures in enumerate(results.stages):
        color = LIGHT.palette[first % len(LIGHT.palette)]
        by_seed = [outcome.mean(structures, stage) for stage in range(first, count)]
        places = range(first + 1, count + 1)
        for seed in outcome.chains:
            ax.plot(places, [stage.get(seed, 0.0) for stage in by_seed], color=color, linewidth=0.7, alpha=0.4, **dots)
        means = [fmean(stage.values()) if stage else 0.0 for stage in by_seed]
        ax.plot(places, means, color=color, linewidth=1.8, marker="o", markersize=4, clip_on=False)


def _row(name: str, rows: Sequence[SliceRow]) -> SliceRow:
    """Put one structure's slices of several chains side by side; they were cut from the same place."""
    predictions = tuple(row.predictions[0] for row in rows)
    return replace(rows[0], title=name, predictions=predictions, notes=tuple(row.notes[0] for row in rows))


def _legend(figure: Figure, results: Results) -> None:
    from matplotlib.lines import Line2D

    lines, texts = [], []
    for number, structures in enumerate(results.stages):
        color = LIGHT.palette[number % len(LIGHT.palette)]
        lines.append(Line2D([], [], color=color, linewidth=1.8, marker="o", markersize=4))
        texts.append(f"stage {number + 1}: {', '.join(structures)}")
    figure.legend(
        lines, texts, loc="lower left", bbox_to_anchor=(_LEFT / WIDTH, 0.1 / figure.get_figheight()), frameon=False,
        fontsize=8.5, labelcolor=LIGHT.muted, borderpad=0, borderaxespad=0,
    )  # fmt: skip


def _slice(ax: Axes, row: SliceRow, column: int) -> None:
    ax.set_xticks([])
    ax.set_yticks([])
    ax.imshow(outlined(row, column - 1 if column else None))
    if column and row.predictions[column - 1] is None:
        ax.text(0.5, 0.5, "–", transform=ax.transAxes, color=VIEWER.muted, fontsize=14, ha="center", va="center")
    if column and row.notes and row.notes[column - 1]:
        box = {"facecolor": "black", "alpha": 0.62, "edgecolor": "none", "boxstyle": "round,pad=0.28"}
        note = row.notes[column - 1]
        ax.text(0.035, 0.04, note, transform=ax.transAxes, color=VIEWER.ink, fontsize=8, va="bottom", bbox=box)


def _outlines(figure: Figure) -> None:
    from matplotlib.lines import Line2D

    lines = [
        Line2D([], [], color=VIEWER.amber, linestyle=(0, (2.2, 1.6)), linewidth=1.6),
        Line2D([], [], color=VIEWER.blue, linewidth=1.6),
    ]
    height = figure.get_figheight()
    figure.legend(
        lines, ["truth", "prediction"], loc="lower left", bbox_to_anchor=(_SIDE / WIDTH, 0.14 / height), ncols=2,
        frameon=False, fontsize=9, labelcolor=VIEWER.ink, handlelength=2.2, columnspacing=2, borderpad=0,
        borderaxespad=0,
    )  # fmt: skip
