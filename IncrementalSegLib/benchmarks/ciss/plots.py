"""Pictures of the protocols: what became of each stage's structures, and slices of one test scan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean
from typing import TYPE_CHECKING, Any

from IncrementalSegLib.benchmarks.ciss.results import Outcome, Results
from IncrementalSegLib.benchmarks.ciss.slices import SHOWN_SEED, read_slices
from IncrementalSegLib.evaluation.content import SliceGrid, SliceRow
from IncrementalSegLib.evaluation.figures import draw
from IncrementalSegLib.evaluation.theme import LIGHT, VIEWER, WIDTH, axes, canvas, png

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLUMNS = 4
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
    return draw(SliceGrid(titles, tuple(rows)), VIEWER)


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
