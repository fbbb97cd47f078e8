"""Pictures of the benchmarks: before and after per method, and Dice against the number of annotated volumes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from IncrementalSegLib.benchmarks.ozdemir.protocols import Protocol
from IncrementalSegLib.benchmarks.ozdemir.results import Outcome, Results
from IncrementalSegLib.evaluation.content import ChangeChart
from IncrementalSegLib.evaluation.figures import draw
from IncrementalSegLib.evaluation.theme import LIGHT, WIDTH, axes, canvas, png

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_HEIGHT = 3.3
_MARGIN = 0.85  # room for the names at the ends of the curves


def change_picture(results: Results, protocol: Protocol) -> bytes | None:
    """Draw what became of both structures in the scenarios that are cases of the paper; ``None`` without chains."""
    shown = [scenario for scenario in protocol.scenarios if scenario.name.startswith("case")]
    pairs = [outcome.changes() for scenario in shown for outcome in results.of(protocol, scenario)]
    changes = [change for side in (0, 1) for change in (pair[side] for pair in pairs)]
    return draw(ChangeChart(tuple(changes)), LIGHT) if changes else None


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
