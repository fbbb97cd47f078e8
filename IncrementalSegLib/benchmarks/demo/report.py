"""The page of the demonstration: what was done, what came out, how it looks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from IncrementalSegLib.engine.progress import duration
from IncrementalSegLib.evaluation.content import (
    Change,
    ChangeChart,
    ChangeTable,
    Curve,
    CurveChart,
    CurvePanel,
    MatrixChart,
    Report,
    Section,
    SliceGrid,
    SliceRow,
)
from IncrementalSegLib.evaluation.forgetting import ScoreMatrix
from IncrementalSegLib.evaluation.metrics import StructureScore
from IncrementalSegLib.evaluation.report import verdict
from IncrementalSegLib.methods.base.catalogue import catalogue
from IncrementalSegLib.registry import find
from IncrementalSegLib.store.record import library_versions
from IncrementalSegLib.volumes.volume import Volume

METHODS = ("finetune", "lwfseg", "aeiseg", "coriseg")
OLD, NEW = "humerus", "scapula"
SCANNERS = ("A", "B")
"""The first taught the old structure, the second the new one."""

Curves = dict[str, list[tuple[int, float]]]
"""Structure name -> optimiser steps and the Dice seen then."""


@dataclass(frozen=True)
class View:
    """One structure of one test person, to be looked at.

    Attributes:
        case: Name of the case.
        volume: The scan.
        truth: Mask (D, H, W).
        predicted: Mask (D, H, W).
    """

    case: str
    volume: Volume
    truth: NDArray[np.bool_]
    predicted: NDArray[np.bool_]


Views = Mapping[tuple[str, str], View]
"""Structure and scanner -> what to look at."""


@dataclass(frozen=True)
class Outcome:
    """What a method made of the second step.

    Attributes:
        before: Scores before the step, by structure.
        after: Scores after it.
        curves: Dice while the new structure was being learned.
        views_before: Pictures before the step.
        views: Pictures after it.
    """

    before: Mapping[str, StructureScore]
    after: Mapping[str, StructureScore]
    curves: Curves
    views_before: Views
    views: Views


@dataclass(frozen=True)
class Facts:
    """Circumstances of the run.

    Attributes:
        people: People who taught each structure.
        test_people: People per scanner who were scored.
        steps: Optimiser steps of each step.
        seed: Seed of everything.
        device: Name of the device.
        seconds: Duration without the drawing.
    """

    people: int
    test_people: int
    steps: int
    seed: int
    device: str
    seconds: float


def changes(outcomes: Mapping[str, Outcome], rng: np.random.Generator) -> tuple[Change, ...]:
    """Return what became of each structure with each method, the old structure first."""
    return tuple(
        Change.of(structure, method, outcome.before.get(structure), outcome.after.get(structure), rng)
        for structure in (OLD, NEW)
        for method, outcome in outcomes.items()
    )


def demo_report(outcomes: Mapping[str, Outcome], found: tuple[Change, ...], facts: Facts) -> Report:
    """Compose the page; every sentence on results comes from the numbers.

    Args:
        outcomes: What each method made of the step.
        found: The changes, from :func:`changes`.
        facts: Circumstances of the run.
    """
    first, second = SCANNERS
    return Report(
        title=f"Teach the {NEW}: what becomes of the {OLD}?",
        intro=(
            f"A model learned the {OLD} from {facts.people} made-up people on scanner {first}. Then it was taught the "
            f"{NEW} from {facts.people} other people on scanner {second}, in whose scans nobody had outlined the "
            f"{OLD}: four methods, the same start. Scored on {2 * facts.test_people} people whom no model has seen, "
            f"half of them from each scanner."
        ),
        verdict=verdict(found),
        sections=(
            Section("Before and after", "", (ChangeChart(found), ChangeTable(found))),
            _pictures(outcomes),
            _curves(outcomes),
            _matrices(outcomes),
            Section("The methods", " ".join(_methods()), ()),
        ),
        facts=(
            ("Device", facts.device),
            ("Duration", duration(facts.seconds)),
            ("Optimiser steps", f"{facts.steps} per step"),
            ("Seed", str(facts.seed)),
            *((name, str(version)) for name, version in library_versions().items() if name in ("torch", "monai")),
        ),
    )


def _pictures(outcomes: Mapping[str, Outcome]) -> Section:
    rows = [_row(outcomes, structure, scanner) for structure in (OLD, NEW) for scanner in SCANNERS]
    grid = SliceGrid(
        columns=("before", *outcomes),
        rows=tuple(row for row in rows if row is not None),
        caption="The slice in which the structure is largest; the number is the Dice of the whole scan.",
    )
    text = "The first test person of each scanner. Nobody picked the good ones."
    return Section("See for yourself", text, (grid,))


def _row(outcomes: Mapping[str, Outcome], structure: str, scanner: str) -> SliceRow | None:
    key = (structure, scanner)
    last = [outcome.views[key] for outcome in outcomes.values()]
    start = next(iter(outcomes.values()))
    early = start.views_before.get(key)
    scores = [(start.before, early), *((outcome.after, outcome.views[key]) for outcome in outcomes.values())]
    x, y, z = last[0].volume.grid.spacing
    return SliceRow.of(
        f"{structure}, scanner {scanner}",
        last[0].volume.array,
        last[0].truth,
        [None if early is None else early.predicted, *(view.predicted for view in last)],
        (z, y, x),
        [_note(score, structure, view) for score, view in scores],
    )


def _note(scores: Mapping[str, StructureScore], structure: str, view: View | None) -> str:
    if view is None:
        return ""
    dice = next((item.dice for item in scores[structure].scores if item.case == view.case), None)
    return "" if dice is None else f"{dice:.2f}"


def _curves(outcomes: Mapping[str, Outcome]) -> Section:
    panels = (
        _panel(f"{OLD.capitalize()}, known before", OLD, outcomes),
        _panel(f"{NEW.capitalize()}, being taught", NEW, outcomes),
    )
    chart = CurveChart(
        panels,
        f"Mean Dice on the two people shown above while the {NEW} was being learned. "
        "Watching only: neither training nor the choice of the final weights sees these people.",
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
        f"Rehearsal has its price: remembered scans of the {OLD} take part of the batches ({listing}), so in the same "
        f"number of steps these methods see less of the {NEW}."
    )


def _panel(title: str, structure: str, outcomes: Mapping[str, Outcome]) -> CurvePanel:
    curves = (_curve(method, outcome.curves[structure]) for method, outcome in outcomes.items())
    return CurvePanel(title, tuple(curves), unit_range=True)


def _curve(name: str, points: Iterable[tuple[int, float]]) -> Curve:
    seen = list(points)
    return Curve(name, tuple(step for step, _ in seen), tuple(dice for _, dice in seen))


def _matrices(outcomes: Mapping[str, Outcome]) -> Section:
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
