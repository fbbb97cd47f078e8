"""Scores of two versions of a model on the same cases, as numbers and as a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, fields, replace
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from pydantic.dataclasses import dataclass

from IncrementalSegLib.engine.compare.records import earlier_version
from IncrementalSegLib.engine.documents import plan_of
from IncrementalSegLib.engine.scores.evaluate import EvaluateCall, Evaluation, evaluate
from IncrementalSegLib.engine.scores.scoring import Watch
from IncrementalSegLib.engine.scores.views import view
from IncrementalSegLib.inference.prediction import Prediction
from IncrementalSegLib.names import name_key
from IncrementalSegLib.options import CONFIG, called_with
from IncrementalSegLib.preprocessing.plan import Plan
from IncrementalSegLib.reports.changes import Change, verdict
from IncrementalSegLib.reports.content import ChangeTable, Report, Section
from IncrementalSegLib.reports.page import check_report, write_report
from IncrementalSegLib.reports.slices import SHOWN, SliceRow, worst_slices
from IncrementalSegLib.sampling.cases import Case, Dataset
from IncrementalSegLib.sampling.datasets import open_cases
from IncrementalSegLib.store.versions import ModelFolder, open_model
from IncrementalSegLib.structures import StructureSpec, specs_of
from IncrementalSegLib.types import Json, StructureId
from IncrementalSegLib.volumes.volume import Volume

Rows = dict[tuple[StructureId, str], SliceRow]
"""Structure and case -> a slice with the truth and the masks that were found."""


@dataclass(frozen=True, config=CONFIG)
class CompareCall(EvaluateCall):
    """The arguments of :func:`compare_versions`."""

    folder: Annotated[str | Path, Field(description="Folder of the page.")]
    _: KW_ONLY
    before: Annotated[int | None, Field(description="Version to compare with; by default the parent.")] = None


@called_with(CompareCall)
def compare_versions(call: CompareCall) -> tuple[Evaluation | None, Evaluation, Path]:
    """Evaluate a version and the one before it on the same cases, and write a report of what changed.

    Returns:
        The scores of ``before``, ``None`` where it knows none of the structures; those of ``version``; and the page.

    Raises:
        OptionError: There is no version to compare with.
        IncrementalSegError: Something named is unknown, does not fit or cannot be read.
    """
    check_report(Path(call.folder))
    opened = open_model(call.model)
    record = opened.record(call.version)
    parent = earlier_version(opened, record, call.before).number
    dataset = open_cases(call.data, accept_grid=call.accept_grid)
    asked: Json = {item.name: getattr(call, item.name) for item in fields(EvaluateCall)} | {"data": dataset}
    plan = plan_of(record)
    sides: list[tuple[Evaluation | None, Rows]] = []
    for number in (parent, record.number):
        rows: Rows = {}
        structures: str | Sequence[StructureSpec] | None = _known(opened, number, call.structures, dataset)
        if number == record.number and (call.structures is None or not structures):
            structures = call.structures  # evaluate says which structures are not scored, and what is wrong with names
        elif not structures:
            sides.append((None, rows))
            continue
        own = {"structures": structures, "version": number, "watch": _collect(rows, plan)}
        sides.append((evaluate(**asked | own), rows))
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
    return earlier, later, write_report(report, Path(call.folder))


def _known(
    opened: ModelFolder, number: int, asked: str | Sequence[StructureSpec] | None, dataset: Dataset
) -> list[StructureSpec]:
    """Return which of the structures asked for, or else named by the data, a version knew, by today's names."""
    older = opened.record(number).structures
    today = {name_key(item.name): item.id for item in opened.record().structures}
    if asked is None:
        labels = {name_key(name): name for name in dataset.names}
        return [StructureSpec(item.name, labels[key]) for item in older if (key := name_key(item.name)) in labels]
    known: list[StructureSpec] = []
    for request in specs_of(asked):
        uuid = today.get(name_key(request.name))
        same = [item for item in older if item.id == uuid or name_key(item.name) == name_key(request.name)]
        known += [StructureSpec(same[0].name, request.label)] if same else []
    return known


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
