"""Score a network on cases: on the model's grid while training, on the scan's own grid afterwards."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from IncrementalSegLib.evaluation.metrics import CaseScore, score
from IncrementalSegLib.evaluation.verdicts import HARDLY_LEARNED
from IncrementalSegLib.inference.prediction import Prediction
from IncrementalSegLib.inference.predictor import Predictor
from IncrementalSegLib.progress import UNTOLD, Phase, Progress, Share
from IncrementalSegLib.sampling.batch import PreparedCase
from IncrementalSegLib.sampling.cases import Case
from IncrementalSegLib.sampling.reading import CaseReader
from IncrementalSegLib.types import StructureId
from IncrementalSegLib.volumes.volume import Volume

Watch = Callable[[Case, Volume, dict[StructureId, NDArray[np.bool_]], Prediction], None]
"""Receives a case, its volume, the true masks and the prediction."""

OnMask = Callable[[PreparedCase, StructureId, Tensor], None]
"""Receives a prepared case, a structure and the mask ``(D, H, W)`` that was found."""


@dataclass(frozen=True)
class Validation:
    """Dice of structures on prepared cases.

    Attributes:
        scores: Uuid and Dice 0..1, case by case, where a structure was outlined in a case.
    """

    scores: tuple[tuple[StructureId, float], ...] = ()

    @property
    def mean(self) -> float | None:
        """Mean over all; ``None`` where nothing counts."""
        return _mean([dice for _, dice in self.scores])

    @property
    def unlearned(self) -> tuple[StructureId, ...]:
        """Structures that some case shows and that are hardly found."""
        shown = dict.fromkeys(item for item, _ in self.scores)
        return tuple(item for item in shown if (self.of(item) or 0.0) < HARDLY_LEARNED)

    def of(self, structure: StructureId) -> float | None:
        """Return the mean of one structure; ``None`` where no case shows it."""
        return _mean([dice for item, dice in self.scores if item == structure])


def validate(
    predictor: Predictor,
    cases: Sequence[PreparedCase],
    structures: Sequence[StructureId],
    progress: Share = UNTOLD,
    on_mask: OnMask | None = None,
) -> Validation:
    """Score ``structures`` on prepared cases, on the model's grid; the network sees each case once.

    Args:
        predictor: The model.
        cases: Cases; those without a voxel of a structure do not count for it.
        structures: Uuids.
        progress: Called between the passes of the network; may raise.
        on_mask: Called with what was found, for pictures.
    """
    scores: list[tuple[StructureId, float]] = []
    for case in cases:
        wanted = [item for item in structures if item in case.structures and bool(case.mask(item).any())]
        if not wanted:
            continue
        predicted = predictor.masks(case.image, wanted, progress)
        if case.ignore is not None:
            predicted &= ~case.ignore
        for row, item in enumerate(wanted):
            truth = case.mask(item).bool()
            overlap = int(torch.logical_and(predicted[row], truth).sum())
            scores.append((item, 2 * overlap / (int(predicted[row].sum()) + int(truth.sum()))))
            if on_mask is not None:
                on_mask(case, item, predicted[row])
    return Validation(tuple(scores))


def score_cases(
    predictor: Predictor,
    cases: Sequence[Case],
    structure_of: dict[str, StructureId],
    *,
    largest: bool = False,
    seen: Callable[[Case, StructureId], bool] = lambda case, structure: False,
    watch: Watch | None = None,
    reader: CaseReader | None = None,
    progress: Progress,
) -> dict[StructureId, list[CaseScore]]:
    """Segment cases and compare with their labels, on each scan's own grid.

    Args:
        predictor: The model.
        cases: Cases; a structure is scored where it was looked for.
        structure_of: Label name -> uuid.
        largest: Keep only the largest component.
        seen: Whether a case is a training scan of a structure.
        watch: Called with each case, its volume, true masks and prediction, for pictures.
        reader: Reads the cases, and knows afterwards what a person should know of them.
        progress: Receives progress.
    """
    reader = reader or CaseReader()
    scores: dict[StructureId, list[CaseScore]] = {item: [] for item in structure_of.values()}
    checking = Share.of(progress, Phase.CHECKING)
    for done, case in enumerate(cases):
        checking(done / len(cases))
        volume, masks = reader.read(case)
        truth = {structure_of[name]: masks[name] for name in case.looked_for if name in structure_of}
        predictor.plan.check(volume, f"The case {case.id!r}")
        prediction = predictor.predict(
            volume,
            tuple(truth),
            largest=largest,
            progress=checking.sub(done / len(cases), (done + 1) / len(cases)),
        )
        spacing = (volume.grid.spacing[2], volume.grid.spacing[1], volume.grid.spacing[0])
        for item, mask in truth.items():
            scores[item].append(
                score(
                    prediction.mask[item],
                    mask,
                    spacing,
                    case=case.id,
                    patient=case.patient,
                    seen_in_training=seen(case, item),
                )
            )
        if watch is not None:
            watch(case, volume, truth, prediction)
    checking(1.0)
    return scores


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
