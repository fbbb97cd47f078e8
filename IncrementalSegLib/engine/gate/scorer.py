"""Two versions side by side: scores on scans, on exemplars with outlines, and agreement with each other."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from IncrementalSegLib.engine.gate.scans import RetentionScan
from IncrementalSegLib.engine.scores.views import view
from IncrementalSegLib.errors import IncrementalSegError
from IncrementalSegLib.evaluation.metrics import CaseScore, score
from IncrementalSegLib.exemplars.memory import ExemplarMemory
from IncrementalSegLib.inference.predictor import Predictor
from IncrementalSegLib.progress import Phase, Progress, Share, silent
from IncrementalSegLib.reports.slices import SliceRow
from IncrementalSegLib.sampling.batch import PreparedCase
from IncrementalSegLib.types import StructureId

log = logging.getLogger(__name__)

Pictures = dict[tuple[StructureId, str], SliceRow]
"""Structure and case -> a slice with the truth, the mask before and the mask after."""

Scores = list[tuple[CaseScore, CaseScore]]
"""Before and after, one pair per scan."""


@dataclass(frozen=True)
class Scorer:
    """Two versions side by side.

    Attributes:
        before: The version in use.
        after: The candidate.
        pictures: Filled with slices for a report, where given.
        progress: Receives progress; what it raises ends the work.
    """

    before: Predictor
    after: Predictor
    pictures: Pictures | None = None
    progress: Progress = silent

    def measure(self, scans: Sequence[RetentionScan]) -> tuple[dict[StructureId, Scores], dict[StructureId, list[str]]]:
        """Score both versions on scans, and say per structure which of them cannot be used."""
        scores: dict[StructureId, Scores] = {}
        problems: dict[StructureId, list[str]] = {}
        for done, scan in enumerate(scans):
            self.progress(Phase.CHECKING_OLD, done / len(scans))
            try:
                found = self._score(scan, done / len(scans))
            except IncrementalSegError as error:  # a finished training must not be lost for one scan
                log.warning("The scan %s cannot judge: %s", scan.case, error)
                found = {}
                for item in scan.structures:
                    problems.setdefault(item, []).append(f"{scan.case} cannot be used")
            for item, pair in found.items():
                scores.setdefault(item, []).append(pair)
        return scores, problems

    def on_exemplars(self, structure: StructureId, memory: ExemplarMemory) -> Scores:
        """Score both versions on the exemplars in which a structure is outlined."""
        outlined = [kept for kept in _kept(structure, memory) if structure in kept[2].structures]
        return self._compare(structure, outlined, outlines=True)

    def agreement_on_exemplars(self, structure: StructureId, memory: ExemplarMemory) -> Scores:
        """Score the candidate against the version before on all exemplars that show a structure."""
        return self._compare(structure, _kept(structure, memory), outlines=False)

    def agreement(self, structure: StructureId, cases: Sequence[PreparedCase]) -> Scores:
        """Score the candidate against the version before on prepared scans, whatever is outlined there."""
        return self._compare(structure, [(case.id, case.patient, case) for case in cases], outlines=False)

    def slice_of(self, structure: StructureId, case: str, scan: PreparedCase) -> SliceRow:
        """Return the slice of a prepared piece that shows most of a structure, with the masks of both versions."""
        return self._slice(case, scan, scan.mask(structure).bool(), *self._masks(structure, scan))

    def _score(self, scan: RetentionScan, done: float) -> dict[StructureId, tuple[CaseScore, CaseScore]]:
        volume, truth = scan.read()
        waiting = Share(lambda _: self.progress(Phase.CHECKING_OLD, done))
        old, new = (side.predict(volume, scan.structures, progress=waiting).mask for side in (self.before, self.after))
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
                self.pictures.setdefault((structure, case), self._slice(case, scan, truth, old, new))
        scores: Scores = []
        for (case, patient), found in counts.items():
            true, old_size, old_both, new_size, new_both = found.tolist()
            if true:
                pairs = ((old_size, old_both), (new_size, new_both))
                one, other = (_pooled(case, patient, true, *pair, seen=outlines) for pair in pairs)
                scores.append((one, other))
        return scores

    def _masks(self, structure: StructureId, scan: PreparedCase) -> Iterator[Tensor]:
        for side in (self.before, self.after):
            mask = side.masks(scan.image, [structure])[0]
            yield mask if scan.ignore is None else mask & ~scan.ignore

    def _slice(self, case: str, scan: PreparedCase, truth: Tensor, old: Tensor, new: Tensor) -> SliceRow:
        spacing = self.after.plan.spacing_mm
        return SliceRow.of(case, scan.image.float().numpy(), truth.numpy(), (old.numpy(), new.numpy()), spacing)


def _kept(structure: StructureId, memory: ExemplarMemory) -> list[tuple[str, str, PreparedCase]]:
    """Return case, patient and piece of the exemplars that show a structure."""
    return [
        (item.case, item.patient, memory.scans[item.id])
        for item in memory
        if structure in item.present and item.id in memory.scans and not item.banned
    ]


def _pooled(case: str, patient: str, true: int, predicted: int, both: int, *, seen: bool) -> CaseScore:
    dice = 2 * both / (true + predicted)
    return CaseScore(
        case=case,
        patient=patient,
        dice=dice,
        assd_mm=None,
        hd95_mm=None,
        voxels_truth=true,
        voxels_predicted=predicted,
        seen_in_training=seen,
    )
