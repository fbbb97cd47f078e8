"""Validation during training: the new structures on the held-out cases."""

from __future__ import annotations

from collections.abc import Sequence

from IncrementalSegLib.engine.parallel.group import ALONE, Group
from IncrementalSegLib.engine.scores.scoring import Validation, validate
from IncrementalSegLib.engine.step.monitor import TrainingMonitor
from IncrementalSegLib.inference.predictor import Predictor
from IncrementalSegLib.progress import UNTOLD, Phase, Progress, Share
from IncrementalSegLib.sampling.batch import PreparedCase
from IncrementalSegLib.types import StructureId


class Validator:
    """Score structures on prepared cases whenever the trainer asks.

    Args:
        predictor: The network in training.
        cases: Held-out cases.
        structures: Uuids of the structures that the step teaches.
        progress: Receives progress, so that a long validation can be stopped too; with several processes it is not.
        monitor: Receives each validation.
        group: The processes among which the cases are shared out.
    """

    def __init__(
        self,
        predictor: Predictor,
        cases: Sequence[PreparedCase],
        structures: Sequence[StructureId],
        progress: Progress,
        monitor: TrainingMonitor | None = None,
        group: Group = ALONE,
    ) -> None:
        self._predictor, self._cases, self._structures = predictor, cases, structures
        self._progress, self._monitor, self._group = progress, monitor, group

    def __call__(self, done: float) -> Validation:
        """Return the scores after the share ``done`` of the training, 0..1."""
        waiting = Share(lambda _: self._progress(Phase.TRAINING, done)) if self._group.size == 1 else UNTOLD
        monitor = self._monitor
        on_mask = None if monitor is None else monitor.on_mask
        own = [
            validate(self._predictor, [case], self._structures, waiting, on_mask).scores
            for case in self._group.own(self._cases)
        ]
        found = Validation(tuple((item, dice) for scores in self._group.collected(own) for item, dice in scores))
        self._group.agree(lambda: None if monitor is None else monitor.on_validation(found, done, waiting))
        return found
