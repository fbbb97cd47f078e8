"""Was every old structure kept?  Two versions on the held-out scans, or on a proxy where there is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from statistics import fmean

import numpy as np

from IncrementalSegLib.engine.gate.scans import RetentionCopies, find_retention_scans
from IncrementalSegLib.engine.gate.scorer import Pictures, Scorer, Scores
from IncrementalSegLib.engine.history import History
from IncrementalSegLib.evaluation.limits import Limits
from IncrementalSegLib.evaluation.retention import EvidenceKind, RetentionReport, StructureRow, comparable, not_in
from IncrementalSegLib.evaluation.verdicts import Witnesses, count_of_scans
from IncrementalSegLib.exemplars.memory import ExemplarMemory
from IncrementalSegLib.inference.predictor import Predictor
from IncrementalSegLib.networks.segmenter import Segmenter
from IncrementalSegLib.networks.sharing import fingerprints
from IncrementalSegLib.progress import Phase, Progress, silent
from IncrementalSegLib.sampling.batch import PreparedCase
from IncrementalSegLib.sampling.cases import Dataset
from IncrementalSegLib.sampling.reading import CaseReader
from IncrementalSegLib.structures import StructureList
from IncrementalSegLib.types import StructureId

_OTHERS = 8
"""Scans of the step on which both versions are compared where few scans leave a doubt."""


@dataclass(frozen=True)
class GateInputs:
    """Scans that may judge the old structures of a model.

    Attributes:
        history: Says which scans were held out.
        copies: Scans that the model keeps.
        exemplars: Judge by proxy where no scan can.
        others: Prepared scans on which the versions may agree, for example those of the step.
        moved: A data set in which scans are looked for that lie elsewhere now.
        trained: Fingerprints of further training scans of one of the versions, which cannot judge.
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
    inputs: GateInputs,
    *,
    limits: Limits,
    pictures: Pictures | None = None,
    progress: Progress = silent,
) -> RetentionReport:
    """Score both versions on every old structure and decide whether the new one is held back.

    A structure is guaranteed, and not scored, where every weight is the same that its prediction depends on.

    Args:
        before: The version in use.
        after: The candidate.
        structures: The structures that both know.
        inputs: What may judge.
        limits: What may be lost.
        pictures: Filled with slices for a report, where given.
        progress: Receives progress; what it raises ends the judgement.
    """
    rng = np.random.default_rng(0)
    trained = inputs.history.trained | inputs.trained
    held = _unchanged(before.model, after.model)
    doubtful = [item.id for item in structures if item.id not in held]
    found_scans = find_retention_scans(
        inputs.history, doubtful, inputs.copies, inputs.moved, trained, reader=inputs.reader
    )
    scorer = Scorer(before, after, pictures, progress)
    scores, unusable = scorer.measure(found_scans.scans)
    rows = []
    for item in structures:
        if item.id in held:
            rows.append(StructureRow.guaranteed(item.name, item.id, held[item.id]))
            continue
        basis: EvidenceKind = "scans"
        found = scores.get(item.id, [])
        note = "; ".join((*found_scans.missing.get(item.id, ()), *unusable.get(item.id, ())))
        absent: Scores = []
        if not any(comparable(*pair) for pair in found):  # only a proxy can tell what was kept
            absent = found
            reasons = [f"no held-out scan shows it ({not_in(absent)})"] if absent else []
            reason = "; ".join([*reasons, *([note] if note else [])]) or "no scan was held out for it"
            basis, found, means = _proxy(scorer, item.id, inputs)
            note = f"{means}, because {reason}" if means else reason
        old, new = [pair[0] for pair in found], [pair[1] for pair in found]
        ask = partial(_witnesses, replace(scorer, pictures=None), item.id, inputs)
        rows.append(
            StructureRow.of(
                item.name,
                item.id,
                before=old,
                after=new,
                limits=limits,
                rng=rng,
                basis=basis,
                note=note,
                absent=absent,
                witnesses=ask,
            )
        )
    inputs.reader.tell()
    progress(Phase.CHECKING_OLD, 1.0)
    return RetentionReport.of(rows, limits, rng)


def _unchanged(before: Segmenter, after: Segmenter) -> dict[StructureId, str]:
    """Return the structures that both versions predict with the same weights, and the fingerprint of these."""
    old = fingerprints(before)
    return {item: found for item, found in fingerprints(after).items() if old.get(item) == found}


def _witnesses(scorer: Scorer, structure: StructureId, inputs: GateInputs) -> Witnesses:
    """Score both versions on what else can tell whether a structure was kept."""
    step = len(inputs.others)
    few = [inputs.others[row * step // min(step, _OTHERS)] for row in range(min(step, _OTHERS))]
    taught = scorer.on_exemplars(structure, inputs.exemplars)
    if agreement := scorer.agreement(structure, few):
        return Witnesses(_mean_drop(taught), _mean_drop(agreement), f"{count_of_scans(len(few))} of this step")
    agreement = scorer.agreement_on_exemplars(structure, inputs.exemplars)
    return Witnesses(_mean_drop(taught), _mean_drop(agreement), "the exemplars")


def _mean_drop(scores: Scores) -> float | None:
    drops = [100 * (old.dice - new.dice) for old, new in scores if old.dice is not None and new.dice is not None]
    return fmean(drops) if drops else None


def _proxy(scorer: Scorer, structure: StructureId, inputs: GateInputs) -> tuple[EvidenceKind, Scores, str]:
    """Judge a structure by its exemplars, else by the agreement of both versions; say how."""
    if found := scorer.on_exemplars(structure, inputs.exemplars):
        return "exemplars", found, "by exemplars it was trained on"
    if found := scorer.agreement_on_exemplars(structure, inputs.exemplars):
        return "agreement", found, "by agreement on exemplars"
    if found := scorer.agreement(structure, inputs.others):
        return "agreement", found, "by agreement on the scans of this step"
    return "nothing", [], ""
