"""Plots: Dice over the stages, and against the number of annotated volumes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any

from Testing.benchmarks.figures import MUTED, PALETTE, WIDTH, canvas, panel, png
from Testing.benchmarks.results import Outcome, Results
from Testing.benchmarks.variants import display_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_HEIGHT = 3.3
_MARGIN = 0.85  # room for the names at the ends of the curves
_COLUMNS = 4
_PANEL, _LEFT, _FOOT, _LINE, _TITLE = 1.35, 0.6, 0.55, 0.2, 0.17


@dataclass(frozen=True)
class Line:
    """A line in each panel of a plot over the stages.

    Attributes:
        label: In the legend.
        structures: Their mean Dice is drawn.
        first: Number of the stage, from 0, in which it begins.
        cases: Names of the test cases; all by default.
    """

    label: str
    structures: Sequence[str]
    first: int = 0
    cases: Collection[str] | None = None


def lines_of(results: Results) -> list[Line]:
    """Return a line for each stage's structures, or for each domain where a stage improves known structures."""
    protocol = results.protocol
    if any(stage.improve for stage in protocol.stages):
        return [Line(name, protocol.structures, cases=cases) for name, cases in results.domains.items()]
    stages = enumerate(stage.structures for stage in protocol.stages)
    return [Line(f"stage {first + 1}: {', '.join(names)}", names, first) for first, names in stages]


def curve_plot(results: Results) -> bytes | None:
    """Draw mean Dice over the stages, a panel per method; ``None`` with a single stage, or without chains."""
    if len(results.protocol.stages) < 2:
        return None
    shown = [outcome for outcome in results.outcomes.values() if not outcome.name.startswith("offline")]
    if not shown:
        return None
    head = 0.2 + _TITLE * max(1 + outcome.name.count("+") for outcome in shown)
    wide, band = (WIDTH - _LEFT - 0.2) / _COLUMNS, head + _PANEL + _FOOT
    lines = lines_of(results)
    figure = canvas(band * -(-len(shown) // _COLUMNS) + _LINE * len(lines) + 0.1)
    for index, outcome in enumerate(shown):
        left, top = _LEFT + wide * (index % _COLUMNS), head + band * (index // _COLUMNS)
        title = display_name(outcome.name).replace("+", "\n+")
        ax = panel(figure, (left, top, wide - 0.3, _PANEL), title, size=9, pad=5)
        _stages(ax, outcome, lines, labelled=index % _COLUMNS == 0)
    _legend(figure, lines)
    return png(figure)


def efficiency_plot(found: Sequence[Results]) -> bytes | None:
    """Draw Dice against the volumes of the second stage; ``None`` without at least two points."""
    curves = efficiency_curves(found)
    if not curves:
        return None
    figure = canvas(_HEIGHT)
    old, new = (stage.structures[0] for stage in found[0].protocol.stages)
    for column, (structure, title) in enumerate(((new, "new"), (old, "known before"))):
        left = 0.65 + WIDTH / 2 * column
        box = left, 0.5, WIDTH / 2 - 0.65 - _MARGIN, _HEIGHT - 1.1
        _efficiency(panel(figure, box, f"{structure}, {title}", size=10, pad=14), structure, curves)
    return png(figure)


def efficiency_curves(found: Sequence[Results]) -> dict[str, list[Outcome]]:
    """Return by method its outcomes with ever more volumes, where there are at least two."""
    curves: dict[str, list[Outcome]] = {}
    for results in sorted(found, key=lambda item: item.protocol.stages[-1].volumes):
        if results.protocol.stages[-1].scanner == results.protocol.stages[0].scanner:
            for name, outcome in results.outcomes.items():
                curves.setdefault(name, []).append(outcome)
    everywhere = max(map(len, curves.values()), default=0)
    return {
        name: outcomes
        for name, outcomes in curves.items()
        if len(outcomes) == everywhere and len({_volumes(outcome) for outcome in outcomes}) > 1
    }


def _volumes(outcome: Outcome) -> int:
    return outcome.protocol.stages[-1].volumes


def _stages(ax: Axes, outcome: Outcome, lines: Sequence[Line], *, labelled: bool) -> None:
    count = len(outcome.protocol.stages)
    ax.set_xlim(0.8, count + 0.2)
    ax.set_ylim(-0.04, 1.04)
    ax.set_xticks(range(1, count + 1))
    ax.set_yticks([0, 0.5, 1], ["0", "0.5", "1"] if labelled else ["", "", ""])
    ax.set_xlabel("stage", color=MUTED, fontsize=8.5, labelpad=2)
    if labelled:
        ax.set_ylabel("Dice", color=MUTED, fontsize=8.5)
    dots: dict[str, Any] = {"marker": "o", "markersize": 1.8, "clip_on": False}
    for number, line in enumerate(lines):
        color = PALETTE[number % len(PALETTE)]
        by_seed = [outcome.mean(line.structures, stage, line.cases) for stage in range(line.first, count)]
        places = range(line.first + 1, count + 1)
        for seed in outcome.chains:
            ax.plot(places, [stage.get(seed, 0.0) for stage in by_seed], color=color, linewidth=0.7, alpha=0.4, **dots)
        means = [fmean(stage.values()) if stage else 0.0 for stage in by_seed]
        ax.plot(places, means, color=color, linewidth=1.8, marker="o", markersize=4, clip_on=False)


def _efficiency(ax: Axes, structure: str, curves: dict[str, list[Outcome]]) -> None:
    ax.set_xscale("log")
    counts = sorted({_volumes(outcome) for outcomes in curves.values() for outcome in outcomes})
    ax.set_xticks(counts, [str(count) for count in counts])
    ax.minorticks_off()
    ax.set_xlabel("annotated volumes in the second step", color=MUTED, fontsize=8.5, labelpad=3)
    ax.set_ylabel("Dice", color=MUTED, fontsize=8.5)
    ends = []
    for index, (method, outcomes) in enumerate(curves.items()):
        color = PALETTE[index % len(PALETTE)]
        shift = 1 + 0.03 * (index - (len(curves) - 1) / 2)  # side by side, so that no interval hides another
        places = [_volumes(outcome) * shift for outcome in outcomes]
        scores = [outcome.dice([structure]) for outcome in outcomes]
        ax.plot(places, [score.points / 100 for score in scores], color=color, linewidth=1.8, marker="o", markersize=5)
        for place, score in zip(places, scores, strict=True):
            if score.low is not None and score.high is not None:
                ax.plot([place, place], [score.low / 100, score.high / 100], color=color, linewidth=1.1, alpha=0.7)
        ends.append((method, scores[-1].points / 100, color))
    _name_ends(ax, ends)


def _name_ends(ax: Axes, ends: Sequence[tuple[str, float, str]]) -> None:
    """Write the methods' names beside the last points, one line apart at least."""
    low, high = ax.get_ylim()
    line = 0.16 / (_HEIGHT - 1.1)
    height = -1.0
    for method, value, color in sorted(ends, key=lambda end: end[1]):
        height = max(height + line, (value - low) / (high - low))
        ax.text(1.03, height, method, transform=ax.transAxes, color=color, fontsize=8.5, va="center", fontweight="bold")


def _legend(figure: Figure, lines: Sequence[Line]) -> None:
    from matplotlib.lines import Line2D

    marks = [
        Line2D([], [], color=PALETTE[number % len(PALETTE)], linewidth=1.8, marker="o", markersize=4)
        for number in range(len(lines))
    ]
    figure.legend(
        marks, [line.label for line in lines], loc="lower left",
        bbox_to_anchor=(_LEFT / WIDTH, 0.1 / figure.get_figheight()), frameon=False,
        fontsize=8.5, labelcolor=MUTED, borderpad=0, borderaxespad=0,
    )  # fmt: skip
