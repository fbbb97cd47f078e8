"""Was every old structure kept?  Two versions on the scans set aside, or on a proxy where there is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from statistics import fmean

import numpy as np

from IncrementalSegLib.engine.gate.bench import PHASE, Bench, Pictures, Scores
from IncrementalSegLib.engine.gate.scans import RetentionCopies, find_judges
from IncrementalSegLib.engine.history import History
from IncrementalSegLib.engine.progress import Progress, silent
from IncrementalSegLib.evaluation.limits import Limits
from IncrementalSegLib.evaluation.retention import Basis, RetentionReport, StructureRow, comparable, not_in
from IncrementalSegLib.evaluation.verdicts import Witnesses
from IncrementalSegLib.exemplars.memory import ExemplarMemory
from IncrementalSegLib.inference.predictor import Predictor
from IncrementalSegLib.sampling.batch import PreparedCase
from IncrementalSegLib.sampling.cases import Dataset
from IncrementalSegLib.sampling.reading import CaseReader
from IncrementalSegLib.structures import StructureList
from IncrementalSegLib.types import StructureId

_OTHERS = 8
"""Scans of the step on which both versions are compared where few scans leave a doubt."""


@dataclass(frozen=True)
class Evidence:
    """What may judge the old structures of a model.

    Attributes:
        history: Says which scans were set aside.
        copies: Scans that the model keeps.
        exemplars: Judge by proxy where no scan can.
        others: Prepared scans on which the versions may agree, for example those of the step.
        moved: A data set in which scans are looked for that lie elsewhere now.
        trained: Fingerprints of further scans that taught one of the versions, which cannot judge.
        reader: Reads the scans, and knows afterwards what a person should know of them.
    """

    history: History
    copies: RetentionCopies = field(default_factory=RetentionCopies)
    exemplars: ExemplarMemory = field(default_factory=ExemplarMemory)
    others: Sequence[PreparedCase] = ()
    moved: Dataset | None = None
    trained: frozenset[str] = frozenset()
    reader: CaseReader = field(default_factory=CaseReader)


def judge(
    before: Predictor,
    after: Predictor,
    structures: StructureList,
    evidence: Evidence,
    *,
    limits: Limits | None = None,
    pictures: Pictures | None = None,
    progress: Progress = silent,
) -> RetentionReport:
    """Score both versions on every old structure and decide whether the new one is held back.

    Args:
        before: The version in use.
        after: The candidate.
        structures: The structures that both know.
        evidence: What may judge.
        limits: What may be lost; the default limits where ``None``.
        pictures: Filled with slices for a report, where given.
        progress: Receives progress; what it raises ends the judgement.
    """
    limits, rng = limits or Limits(), np.random.default_rng(0)
    trained = evidence.history.trained | evidence.trained
    judges = find_judges(
        evidence.history, structures.ids, evidence.copies, evidence.moved, trained, reader=evidence.reader
    )
    bench = Bench(before, after, pictures, progress)
    scores, unusable = bench.measure(judges.scans)
    rows = []
    for item in structures:
        basis: Basis = "scans"
        found = scores.get(item.id, [])
        note = "; ".join((*judges.lost.get(item.id, ()), *unusable.get(item.id, ())))
        absent: Scores = []
        if not any(comparable(*pair) for pair in found):  # only a proxy can tell what was kept
            absent = found
            reasons = [f"it is {not_in(absent)} set aside"] if absent else []
            reason = "; ".join([*reasons, *([note] if note else [])]) or "no scan was set aside for it"
            basis, found, means = _proxy(bench, item.id, evidence)
            note = f"{means}, because {reason}" if means else reason
        old, new = [pair[0] for pair in found], [pair[1] for pair in found]
        ask = partial(_witnesses, replace(bench, pictures=None), item.id, evidence)
        rows.append(
            StructureRow.of(
                item.name, item.id, old, new, limits, rng, basis=basis, note=note, absent=absent, witnesses=ask
            )
        )
    evidence.reader.tell()
    progress(PHASE, 1.0)
    return RetentionReport.of(rows, limits, rng)


def _witnesses(bench: Bench, structure: StructureId, evidence: Evidence) -> Witnesses:
    """Score both versions on what else can tell whether a structure was kept."""
    step = len(evidence.others)
    few = [evidence.others[row * step // min(step, _OTHERS)] for row in range(min(step, _OTHERS))]
    taught = bench.on_exemplars(structure, evidence.exemplars)
    agreement = bench.agreement(structure, few) or bench.agreement_on_exemplars(structure, evidence.exemplars)
    return Witnesses(_mean_drop(taught), _mean_drop(agreement))


def _mean_drop(scores: Scores) -> float | None:
    drops = [100 * (old.dice - new.dice) for old, new in scores if old.dice is not None and new.dice is not None]
    return fmean(drops) if drops else None


def _proxy(bench: Bench, structure: StructureId, evidence: Evidence) -> tuple[Basis, Scores, str]:
    """Judge a structure by what taught it, else by how far both versions agree; say how."""
    if found := bench.on_exemplars(structure, evidence.exemplars):
        return "exemplars", found, "by exemplars that taught it"
    if found := bench.agreement_on_exemplars(structure, evidence.exemplars):
        return "agreement", found, "by agreement on exemplars"
    if found := bench.agreement(structure, evidence.others):
        return "agreement", found, "by agreement on the scans of this step"
    return "nothing", [], ""
