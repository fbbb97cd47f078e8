"""Validation during training: the new structures on the held-out cases."""

from __future__ import annotations

from collections.abc import Sequence

from IncrementalSegLib.engine.scores.scoring import Validation, validate
from IncrementalSegLib.engine.step.monitor import TrainingMonitor
from IncrementalSegLib.inference.predictor import Predictor
from IncrementalSegLib.progress import Phase, Progress, Share
from IncrementalSegLib.sampling.batch import PreparedCase
from IncrementalSegLib.types import StructureId


class Validator:
    """Score structures on prepared cases whenever the trainer asks.

    Args:
        predictor: The network in training.
        cases: Held-out cases.
        structures: Uuids of the structures that the step teaches.
        progress: Receives progress, so that a long validation can be stopped too.
        monitor: Receives each validation.
    """

    def __init__(
        self,
        predictor: Predictor,
        cases: Sequence[PreparedCase],
        structures: Sequence[StructureId],
        progress: Progress,
        monitor: TrainingMonitor | None = None,
    ) -> None:
        self._predictor, self._cases, self._structures = predictor, cases, structures
        self._progress, self._monitor = progress, monitor

    def __call__(self, done: float) -> Validation:
        """Return the scores after the share ``done`` of the training, 0..1."""
        waiting = Share(lambda _: self._progress(Phase.TRAINING, done))
        monitor = self._monitor
        on_mask = None if monitor is None else monitor.on_mask
        found = validate(self._predictor, self._cases, self._structures, waiting, on_mask)
        if monitor is not None:
            monitor.on_validation(found, done, waiting)
        return found
