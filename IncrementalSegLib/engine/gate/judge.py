"""Was every old structure kept?  Two versions on the scans set aside, or on a proxy where there is none."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from IncrementalSegLib.engine.gate.scans import Judges, RetentionCopies, RetentionScan, find_judges
from IncrementalSegLib.engine.history import History
from IncrementalSegLib.engine.progress import Progress, silent
from IncrementalSegLib.engine.scores.views import view
from IncrementalSegLib.errors import IncrementalSegError
from IncrementalSegLib.evaluation.content import SliceRow
from IncrementalSegLib.evaluation.metrics import CaseScore, score
from IncrementalSegLib.evaluation.retention import Basis, Limits, RetentionReport, StructureRow
from IncrementalSegLib.exemplars.memory import ExemplarMemory
from IncrementalSegLib.inference.predictor import Predictor
from IncrementalSegLib.sampling.batch import PreparedCase
from IncrementalSegLib.sampling.cases import Dataset
from IncrementalSegLib.structures import StructureList
from IncrementalSegLib.types import StructureId

log = logging.getLogger(__name__)

PHASE = "Checking old structures"

Pictures = dict[tuple[StructureId, str], SliceRow]
"""Structure and case -> a slice with the truth, the mask before and the mask after."""

Scores = list[tuple[CaseScore, CaseScore]]
"""Before and after, one pair per scan."""


@dataclass(frozen=True)
class Evidence:
    """What may judge the old structures of a model.

    Attributes:
        history: Says which scans were set aside.
        copies: Scans that the model keeps.
        exemplars: Judge by proxy where no scan can.
        others: Prepared scans on which the versions may agree where there is no exemplar either, for example those of
            the step.
        moved: A data set in which scans are looked for that lie elsewhere now.
        trained: Fingerprints of further scans that taught one of the versions, which cannot judge.
    """

    history: History
    copies: RetentionCopies = field(default_factory=RetentionCopies)
    exemplars: ExemplarMemory = field(default_factory=ExemplarMemory)
    others: Sequence[PreparedCase] = ()
    moved: Dataset | None = None
    trained: frozenset[str] = frozenset()


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
    judges = find_judges(evidence.history, structures.ids, evidence.copies, evidence.moved, trained)
    bench = _Bench(before, after, pictures, progress)
    scores, lost = bench.measure(judges)
    rows = []
    for item in structures:
        basis: Basis = "scans"
        found, note = scores.get(item.id, []), "; ".join(lost.get(item.id, ()))
        if not found:
            basis, found, means = bench.proxy(item.id, evidence)
            reason = note or "no scan was set aside for it"
            note = f"{means}, because {reason}" if means else reason
        old, new = [pair[0] for pair in found], [pair[1] for pair in found]
        rows.append(StructureRow.of(item.name, item.id, old, new, limits, rng, basis=basis, note=note))
    progress(PHASE, 1.0)
    return RetentionReport.of(rows, limits, rng)


@dataclass(frozen=True)
class _Bench:
    """Two versions side by side."""

    before: Predictor
    after: Predictor
    pictures: Pictures | None
    progress: Progress

    def measure(self, judges: Judges) -> tuple[dict[StructureId, Scores], dict[StructureId, list[str]]]:
        """Score both versions on scans that never taught the model, and say which scans cannot judge."""
        scores: dict[StructureId, Scores] = {}
        lost = {item: list(problems) for item, problems in judges.lost.items()}
        for done, scan in enumerate(judges.scans):
            self.progress(PHASE, done / len(judges.scans))
            try:
                found = self._score(scan, done / len(judges.scans))
            except IncrementalSegError as error:  # a finished training must not be lost for one scan
                log.warning("The scan %s cannot judge: %s", scan.case, error)
                found = {}
                for item in scan.structures:
                    lost.setdefault(item, []).append(f"{scan.case} cannot be used")
            for item, pair in found.items():
                scores.setdefault(item, []).append(pair)
        return scores, lost

    def proxy(self, structure: StructureId, evidence: Evidence) -> tuple[Basis, Scores, str]:
        """Judge a structure by what taught it, else by how far both versions agree; say how."""
        kept = [
            (item.case, item.patient, evidence.exemplars.scans[item.id])
            for item in evidence.exemplars
            if structure in item.present and item.id in evidence.exemplars.scans and not item.banned
        ]
        outlined = [scan for scan in kept if structure in scan[2].structures]
        others = [(case.id, case.patient, case) for case in evidence.others]
        if found := self._compare(structure, outlined, outlines=True):
            return "exemplars", found, "by exemplars that taught it"
        if found := self._compare(structure, kept, outlines=False):
            return "agreement", found, "by agreement on exemplars"
        if found := self._compare(structure, others, outlines=False):
            return "agreement", found, "by agreement on the scans of this step"
        return "nothing", [], ""

    def _score(self, scan: RetentionScan, done: float) -> dict[StructureId, tuple[CaseScore, CaseScore]]:
        volume, truth = scan.read()
        old, new = (
            side.predict(volume, scan.structures, progress=lambda fraction, phrase: self.progress(PHASE, done)).mask
            for side in (self.before, self.after)
        )
        spacing = volume.grid.spacing[::-1]
        found = {}
        for item in scan.structures:
            if self.pictures is not None and truth[item].any():
                row = view(scan.case, volume, truth[item], (old[item], new[item]), self.after.plan)
                self.pictures[item, scan.case] = row
            one, other = (
                score(mask[item], truth[item], spacing, case=scan.case, patient=scan.patient) for mask in (old, new)
            )
            found[item] = (one, other)
        return found

    def _compare(
        self, structure: StructureId, scans: Iterable[tuple[str, str, PreparedCase]], *, outlines: bool
    ) -> Scores:
        """Score both versions on the model's grid, the pieces of one case together.

        Args:
            structure: The structure.
            scans: Case, patient and prepared piece.
            outlines: The truth is the outlines that were kept; else it is the mask of the version before.
        """
        counts: defaultdict[tuple[str, str], NDArray[np.int64]] = defaultdict(lambda: np.zeros(5, dtype=np.int64))
        for case, patient, scan in scans:
            old, new = self._masks(structure, scan)
            truth = scan.mask(structure).bool() if outlines else old
            counts[case, patient] += [int(part.sum()) for part in (truth, old, truth & old, new, truth & new)]
            if outlines and self.pictures is not None and bool(truth.any()):
                image, masks = scan.image.float().numpy(), (old.numpy(), new.numpy())
                row = SliceRow.of(case, image, truth.numpy(), masks, self._spacing)
                self.pictures.setdefault((structure, case), row)
        scores: Scores = []
        for (case, patient), found in counts.items():
            true, old_size, old_both, new_size, new_both = found.tolist()
            if true:
                pairs = ((old_size, old_both), (new_size, new_both))
                one, other = (_pooled(case, patient, true, *pair, seen=outlines) for pair in pairs)
                scores.append((one, other))
        return scores

    def _masks(self, structure: StructureId, scan: PreparedCase) -> Iterator[torch.Tensor]:
        for side in (self.before, self.after):
            mask = side.masks(scan.image, [structure])[0]
            yield mask if scan.ignore is None else mask & ~scan.ignore

    @property
    def _spacing(self) -> tuple[float, ...]:
        """Millimetres along D, H, W of the model's grid, as far as it fixes them."""
        return tuple(step or 1.0 for step in self.after.plan.spacing)


def _pooled(case: str, patient: str, true: int, predicted: int, both: int, *, seen: bool) -> CaseScore:
    dice = 2 * both / (true + predicted)
    return CaseScore(case, patient, dice, None, None, true, predicted, seen_in_training=seen)
