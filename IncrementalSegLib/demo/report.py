"""The page of the demonstration: what was done, what came out, how it looks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from IncrementalSegLib.evaluation.forgetting import ScoreMatrix
from IncrementalSegLib.evaluation.metrics import StructureScore
from IncrementalSegLib.methods.base.catalogue import catalogue
from IncrementalSegLib.registry import find
from IncrementalSegLib.reports.changes import Change, verdict
from IncrementalSegLib.reports.content import ChangeTable, Curve, CurveChart, CurvePanel, MatrixChart, Report, Section
from IncrementalSegLib.reports.slices import CAPTION, SliceGrid, SliceRow

METHODS = ("finetune", "lwfseg", "aeiseg", "coriseg")
OLD, NEW = "humerus", "scapula"
SCANNERS = ("A", "B")
"""The first taught the old structure, the second the new one."""

Points = list[tuple[int, float]]
"""Optimiser steps and what was seen after them."""

Views = Mapping[tuple[str, str], SliceRow]
"""Structure and scanner -> a slice with one prediction, and its Dice in the whole scan as note."""


@dataclass(frozen=True)
class Scale:
    """Size of the demonstration.

    Attributes:
        people: People who teach a structure.
        test_people: People per scanner on whom the models are scored.
        size: Samples of a scan along D, H, W.
        steps: Optimiser steps of each step.
    """

    people: int = 8
    test_people: int = 6
    size: tuple[int, int, int] = (16, 80, 80)
    steps: int = 240


@dataclass(frozen=True)
class MethodResult:
    """Result of the second step by one method.

    Attributes:
        before: Scores before the step, by structure.
        after: Scores after it.
        change: Change of the old structure in points of Dice, while the new one was being learned.
        dice: Dice of the new structure meanwhile.
        views_before: Pictures before the step.
        views: Pictures after it.
    """

    before: Mapping[str, StructureScore]
    after: Mapping[str, StructureScore]
    change: Points
    dice: Points
    views_before: Views
    views: Views


def changes(outcomes: Mapping[str, MethodResult], rng: np.random.Generator) -> tuple[Change, ...]:
    """Return the change of each structure by each method, the old structure first."""
    return tuple(
        Change.of(structure, method, outcome.before.get(structure), outcome.after.get(structure), rng)
        for structure in (OLD, NEW)
        for method, outcome in outcomes.items()
    )


def demo_report(
    outcomes: Mapping[str, MethodResult], found: tuple[Change, ...], scale: Scale, facts: tuple[tuple[str, str], ...]
) -> Report:
    """Compose the page; every sentence on results comes from the numbers.

    Args:
        outcomes: Result of each method.
        found: The changes, from :func:`changes`.
        scale: Size of the demonstration.
        facts: Name and value of what describes the run.
    """
    first, second = SCANNERS
    return Report(
        title=f"Teach the {NEW}: is the {OLD} kept?",
        intro=(
            f"A model learned the {OLD} from {scale.people} made-up people on scanner {first}. Then it was taught the "
            f"{NEW} from {scale.people} other people on scanner {second}, in whose scans nobody had outlined the "
            f"{OLD}: four methods, the same start. Scored on {2 * scale.test_people} people whom no model has seen, "
            f"half of them from each scanner."
        ),
        verdict=verdict(found),
        sections=(
            Section("Before and after", "", (ChangeTable(found),)),
            _pictures(outcomes),
            _curves(outcomes),
            _matrices(outcomes),
            Section("The methods", " ".join(_methods()), ()),
        ),
        facts=facts,
    )


def _pictures(outcomes: Mapping[str, MethodResult]) -> Section:
    grid = SliceGrid(
        columns=("before", *outcomes),
        rows=tuple(_row(outcomes, structure, scanner) for structure in (OLD, NEW) for scanner in SCANNERS),
        caption=CAPTION,
    )
    text = "The first test person of each scanner. Nobody picked the good ones."
    return Section("See for yourself", text, (grid,))


def _row(outcomes: Mapping[str, MethodResult], structure: str, scanner: str) -> SliceRow:
    """Put the slices of all methods side by side."""
    key = structure, scanner
    before = next(iter(outcomes.values())).views_before.get(key)
    views = [before, *(outcome.views[key] for outcome in outcomes.values())]
    return replace(
        next(view for view in views if view is not None),
        title=f"{structure}, scanner {scanner}",
        predictions=tuple(None if view is None else view.predictions[0] for view in views),
        notes=tuple("" if view is None else view.notes[0] for view in views),
    )


def _curves(outcomes: Mapping[str, MethodResult]) -> Section:
    change = tuple(_curve(method, outcome.change) for method, outcome in outcomes.items())
    dice = tuple(_curve(method, outcome.dice) for method, outcome in outcomes.items())
    chart = CurveChart(
        (
            CurvePanel(f"{OLD.capitalize()}: change in points of Dice", change),
            CurvePanel(f"{NEW.capitalize()}, being taught: Dice", dice, unit_range=True),
        ),
        f"Measured while the {NEW} was being learned, on scans held out when each structure was taught.",
    )
    return Section("How forgetting happens", _rehearsal(outcomes), (chart,))


def _rehearsal(methods: Iterable[str]) -> str:
    """Say why methods that rehearse learn the new structure more slowly."""
    options = {method: find("method", method).Options() for method in methods}
    shares = {method: chosen.p_exemplar for method, chosen in options.items() if hasattr(chosen, "p_exemplar")}
    if not shares:
        return ""
    listing = ", ".join(f"{method} {100 * share:.0f}\u00a0%" for method, share in shares.items())
    return (
        f"Rehearsal has its price: exemplars of the {OLD} take part of the batches ({listing}), so in the same "
        f"number of steps these methods see less of the {NEW}."
    )


def _curve(name: str, points: Points) -> Curve:
    return Curve(name, tuple(step for step, _ in points), tuple(value for _, value in points))


def _matrices(outcomes: Mapping[str, MethodResult]) -> Section:
    panels = []
    for method, outcome in outcomes.items():
        rows = tuple(
            tuple(scores[name].dice if name in scores else None for name in (OLD, NEW))
            for scores in (outcome.before, outcome.after)
        )
        panels.append((method, ScoreMatrix((OLD, NEW), (0, 1), rows)))
    return Section("Step by step", "", (MatrixChart(tuple(panels)),))


def _methods() -> list[str]:
    summaries = {entry["name"]: entry["summary"] for entry in catalogue()["methods"]}
    return [f"{method}: {summaries[method]}" for method in METHODS]
