"""Scores of two versions of a model on the same cases, as numbers and as a page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from IncrementalSegLib.engine.compare.records import earlier_version
from IncrementalSegLib.engine.documents import plan_of
from IncrementalSegLib.engine.scores.evaluate import Evaluation, evaluate
from IncrementalSegLib.engine.scores.scoring import Watch
from IncrementalSegLib.engine.scores.views import view
from IncrementalSegLib.inference.prediction import Prediction
from IncrementalSegLib.names import name_key
from IncrementalSegLib.preprocessing.plan import Plan
from IncrementalSegLib.progress import Progress, silent
from IncrementalSegLib.reports.changes import Change, verdict
from IncrementalSegLib.reports.content import ChangeTable, Report, Section
from IncrementalSegLib.reports.page import check_report, write_report
from IncrementalSegLib.reports.slices import SHOWN, SliceRow, worst_slices
from IncrementalSegLib.sampling.cases import Case, Dataset
from IncrementalSegLib.sampling.datasets import open_cases
from IncrementalSegLib.store.versions import ModelFolder, open_model
from IncrementalSegLib.structures import StructureSpec, parse_names, write_names
from IncrementalSegLib.types import DeviceName, StructureId
from IncrementalSegLib.volumes.volume import Volume

Rows = dict[tuple[StructureId, str], SliceRow]
"""Structure and case -> a slice with the truth and the masks that were found."""


def compare_versions(
    model: str | Path,
    data: str | Path | Dataset,
    folder: str | Path,
    *,
    cases: str | None = None,
    structures: str | None = None,
    before: int | None = None,
    version: int | None = None,
    largest_component: bool = False,
    strict: bool = False,
    accept_grid: bool = False,
    device: DeviceName = "auto",
    progress: Progress = silent,
) -> tuple[Evaluation | None, Evaluation, Path]:
    """Evaluate a version and the one before it on the same cases, and write a report of what changed.

    Args:
        model: The model's folder.
        data: A data set.
        folder: Folder of the page.
        cases: Case ids, comma-separated, or a file with one id per line; all by default.
        structures: ``"femur, tibia=LABEL IN DATA"``; by default every structure that the data names too.
        before: Version to compare with; by default the parent.
        version: Version to evaluate; the current one by default.
        largest_component: Keep only the largest component of each structure.
        strict: What a person should know of a case (``check`` lists it) is an error.
        accept_grid: Match a label of the size of its image voxel by voxel, ignoring its header.
        device: ``auto``, ``cpu`` or ``cuda``.
        progress: Receives progress.

    Returns:
        The scores of ``before``, ``None`` where it knows none of the structures; those of ``version``; and the page.

    Raises:
        OptionError: There is no version to compare with.
        IncrementalSegError: Something named is unknown, does not fit or cannot be read.
    """
    check_report(Path(folder))
    opened = open_model(model)
    record = opened.record(version)
    parent = earlier_version(opened, record, before).number
    dataset = open_cases(data, accept_grid=accept_grid)
    plan = plan_of(record)
    sides: list[tuple[Evaluation | None, Rows]] = []
    for number in (parent, record.number):
        rows: Rows = {}
        asked = _known(opened, number, structures, dataset)
        found = None
        if number == record.number and asked == "":
            asked = structures  # evaluate says what is wrong with the names
        if asked != "":
            found = evaluate(
                model,
                dataset,
                cases=cases,
                structures=asked,
                version=number,
                largest_component=largest_component,
                strict=strict,
                device=device,
                watch=_collect(rows, plan),
                progress=progress,
            )
        sides.append((found, rows))
    (earlier, old_rows), (later, new_rows) = sides
    assert later is not None, "a version knows its own structures"
    changes = _changes(opened, earlier, later)
    ids = {item.name: item.id for item in record.structures}
    report = Report(
        title=f"{opened.name}: version {parent} and version {record.number}",
        intro=f"Both versions segmented the same cases of {dataset.name}; truth is what was outlined there.",
        verdict=verdict(changes),
        sections=(
            Section(
                "Before and after",
                "Dice of both versions, paired by case.",
                (ChangeTable(changes),),
            ),
            Section(
                "Where it changed most",
                f"Of each structure the {SHOWN} cases that lost most.",
                (worst_slices(changes, ids, _joined(old_rows, new_rows)),),
            ),
        ),
        warnings=later.warnings,
    )
    return earlier, later, write_report(report, Path(folder))


def _known(opened: ModelFolder, number: int, text: str | None, dataset: Dataset) -> str | None:
    """Return which of the structures asked for a version knew, by today's names; empty where it knew none."""
    older = opened.record(number).structures
    today = {name_key(item.name): item.id for item in opened.record().structures}
    if text is None:
        labels = {name_key(name) for name in dataset.names}
        return None if any(name_key(item.name) in labels for item in older) else ""
    asked: list[StructureSpec] = []
    for request in parse_names(text):
        uuid = today.get(name_key(request.name))
        same = [item for item in older if item.id == uuid or name_key(item.name) == name_key(request.name)]
        asked += [StructureSpec(same[0].name, request.label)] if same else []
    return write_names(asked)


def _collect(rows: Rows, plan: Plan) -> Watch:
    """Keep of each case and structure the one slice that a person would look at, in the model's orientation."""

    def watch(case: Case, volume: Volume, truth: Mapping[StructureId, NDArray[np.bool_]], found: Prediction) -> None:
        for item, mask in truth.items():
            if mask.any():
                rows[item, case.id] = view(case.id, volume, mask, [found.mask[item]], plan)

    return watch


def _changes(opened: ModelFolder, earlier: Evaluation | None, later: Evaluation) -> tuple[Change, ...]:
    """Pair the scores by the identity of the structures, whatever they are called in either version."""
    names = {} if earlier is None else {item.id: item.name for item in opened.record(earlier.version).structures}
    known = opened.record(later.version).structures
    rng = np.random.default_rng(0)
    changes = []
    for name, score in later.structures.items():
        old = names.get(known.named(name).id)
        before = earlier.structures.get(old) if earlier is not None and old is not None else None
        changes.append(Change.of(name, "", before, score, rng))
    return tuple(changes)


def _joined(old_rows: Rows, new_rows: Rows) -> Rows:
    """Return each slice with the mask before, where there was one, and the mask after."""
    rows = {}
    for key, row in new_rows.items():
        before = old_rows[key].predictions[0] if key in old_rows else None
        rows[key] = replace(row, predictions=(before, row.predictions[0]))
    return rows
