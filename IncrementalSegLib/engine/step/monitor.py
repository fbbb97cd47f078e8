"""The monitor of a training: how the new structures do, and what the old ones have lost so far.

Monitoring changes nothing: it draws no random number, and networks that it runs are in eval mode.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from torch import Tensor

from IncrementalSegLib.engine.gate.scans import RetentionCopies, find_retention_scans, last_entries
from IncrementalSegLib.engine.history import History
from IncrementalSegLib.engine.scores.scoring import Validation, validate
from IncrementalSegLib.errors import IncrementalSegError
from IncrementalSegLib.exemplars.memory import ExemplarMemory
from IncrementalSegLib.inference.predictor import Predictor
from IncrementalSegLib.progress import UNTOLD, OnValidation, Share
from IncrementalSegLib.reports.pictures import outlined, write_png
from IncrementalSegLib.reports.slices import SliceRow
from IncrementalSegLib.sampling.batch import PreparedCase
from IncrementalSegLib.sampling.cases import Case
from IncrementalSegLib.sampling.prepare import prepare
from IncrementalSegLib.structures import StructureList
from IncrementalSegLib.types import StructureId

log = logging.getLogger(__name__)

T = TypeVar("T")

SHARE = 0.1
"""Share of the training time that scoring old structures may take."""

SCANS, PIECES = 2, 8
"""Scans that judge one old structure, or pieces of scans where only exemplars can."""

MOST_SCANS = 12
"""Scans read for all old structures together."""

PICTURES_EVERY = 10.0
"""Seconds between two pictures at most, so that they keep up with the scores."""

PICTURES_SHARE = 0.05
"""Share of the time that pictures may take; where they are drawn faster they come more often."""


@dataclass(frozen=True)
class OldStructures:
    """Data by which old structures are monitored.

    Attributes:
        structures: The old structures that the step does not teach.
        before: The version in use.
        history: Says which scans were held out.
        copies: Returns the scans that the model keeps.
        exemplars: Pieces of scans for structures that no scan can judge.
    """

    structures: tuple[StructureId, ...]
    before: Predictor
    history: History
    copies: Callable[[], RetentionCopies]
    exemplars: ExemplarMemory


class TrainingMonitor:
    """Monitor one training.

    Args:
        tell: Receives each validation.
        names: All structures.
        new: Uuids of those that the step teaches.
        after: The network that learns.
        past: The old structures; ``None`` at a model's first step.
        training: Cases of the step, shown where none was held out.
        folder: Where pictures go, one file per new structure; ``None``: no pictures.
        clock: Seconds.
    """

    def __init__(
        self,
        tell: OnValidation,
        names: StructureList,
        new: Sequence[StructureId],
        after: Predictor,
        past: OldStructures | None,
        training: Sequence[PreparedCase],
        folder: Path | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tell, self._new, self._after, self._past = tell, tuple(new), after, past
        self._names = {item.id: item.name for item in names}
        self._training, self._folder, self._clock = training, folder, clock
        self._began = clock()
        self._scans: list[PreparedCase] | None = None
        self._before = Validation()
        self._spent = self._cost = 0.0
        self._next_picture = -math.inf
        self._shown: dict[StructureId, tuple[PreparedCase, Tensor]] = {}

    def on_mask(self, case: PreparedCase, structure: StructureId, mask: Tensor) -> None:
        """Take note of what was found in a held-out case; the first case of each structure is shown."""
        known = self._shown.get(structure)
        if known is None or known[0].id == case.id:
            self._shown[structure] = case, mask

    def on_validation(self, validation: Validation, fraction: float, progress: Share = UNTOLD) -> None:
        """Score the old structures after a validation, and tell.

        Args:
            validation: Scores of the new structures.
            fraction: Share of the schedule done, 0..1.
            progress: Called between passes of the network; may raise.
        """
        found = {self._names[item]: validation.of(item) for item in self._new}
        dice = {name: value for name, value in found.items() if value is not None}
        self._tell(fraction, dice, self._worst(fraction, progress), self._pictures(dice, progress))

    def _worst(self, fraction: float, progress: Share) -> tuple[str, float] | None:
        """Return the old structure that lost most; ``None`` without any, or where scoring would take too long."""
        past, began = self._past, self._clock()
        if past is None:
            return None
        elapsed = began - self._began
        expected = elapsed / max(fraction, 1e-6)  # seconds of the whole training
        if self._scans is None:
            self._scans = self._read(past, SHARE * expected / 4)
            self._before = validate(past.before, self._scans, past.structures, progress)
        elif self._spent + self._cost > SHARE * max(elapsed, expected / 2):
            return None
        scoring = self._clock()
        after = validate(self._after, self._scans, past.structures, progress)
        ended = self._clock()
        self._spent, self._cost = self._spent + ended - began, ended - scoring
        changes = [
            (self._names[item], 100 * (new - old))
            for item in past.structures
            if (new := after.of(item)) is not None and (old := self._before.of(item)) is not None
        ]
        return min(changes, key=lambda change: change[1], default=None)

    def _read(self, past: OldStructures, seconds: float) -> list[PreparedCase]:
        """Return what judges the old structures, read in about ``seconds``."""
        until, plan = self._clock() + seconds, self._after.plan
        scans: list[PreparedCase] = []
        copies = past.copies()
        for key in chosen_scans(past.history, past.structures):
            if scans and self._clock() > until:
                break
            found = find_retention_scans(
                past.history, past.structures, copies, trained=past.history.trained, only={key}
            )
            for scan in found.scans:
                try:
                    volume, masks = scan.read()
                    case = Case(scan.case, scan.patient, (), frozenset())
                    scans.append(prepare(case, volume, masks, plan))
                except IncrementalSegError as error:  # the gate reports it
                    log.info("The scan %s is skipped: %s", scan.case, error)
        judged = {item for scan in scans for item in scan.structures}
        rest = [item for item in past.structures if item not in judged]
        return scans + [piece for item in rest for piece in _pieces(past.exemplars, item)]

    def _pictures(self, dice: Mapping[str, float], progress: Share) -> dict[str, tuple[str, str]]:
        """Draw each new structure in one case, unless it was done a moment ago."""
        began = self._clock()
        if self._folder is None or began < self._next_picture:
            return {}
        found = {}
        for item in self._new:
            case, mask = self._shown.get(item) or self._example(item, progress)
            name, path = self._names[item], self._folder / f"{item}.png"
            truth = case.mask(item).bool().numpy()
            row = SliceRow.of(case.id, case.image.float().numpy(), truth, [mask.numpy()], self._after.plan.spacing_mm)
            try:
                write_png(path, outlined(row))
            except IncrementalSegError as error:
                log.warning("There will be no pictures of this training: %s", error)
                self._folder = None
                break
            score = f", Dice {dice[name]:.2f}" if name in dice else ""
            found[name] = str(path), f"{name} in {case.id}{score}. Dashed: as outlined. Solid: as found so far."
        ended = self._clock()
        self._next_picture = ended + min(PICTURES_EVERY, (ended - began) / PICTURES_SHARE)
        return found

    def _example(self, structure: StructureId, progress: Share) -> tuple[PreparedCase, Tensor]:
        """Return a training case with the structure, and what is found in it."""
        holders = (case for case in self._training if structure in case.structures)
        case = next(case for case in holders if bool(case.mask(structure).any()))
        return case, self._after.masks(case.image, [structure], progress)[0]


def chosen_scans(history: History, structures: Sequence[StructureId]) -> list[str]:
    """Return fingerprints of scans that were held out: few for each structure, evenly, in the order to read them."""
    held_out: dict[StructureId, list[str]] = {item: [] for item in structures}
    for entry, items in last_entries(history, structures):
        for item in items:
            held_out[item].append(entry["sha256"])
    picked = [_evenly(keys, SCANS) for keys in held_out.values()]
    order = [keys[turn] for turn in range(SCANS) for keys in picked if turn < len(keys)]
    return list(dict.fromkeys(order))[:MOST_SCANS]


def _pieces(memory: ExemplarMemory, structure: StructureId) -> Iterator[PreparedCase]:
    """Yield a few exemplars with the outline of one structure alone."""
    usable = [memory.scans[item.id] for item in memory if not item.banned and item.id in memory.scans]
    kept = [scan for scan in usable if structure in scan.structures and bool(scan.mask(structure).any())]
    for scan in _evenly(kept, PIECES):
        yield replace(scan, structures=(structure,), masks=scan.mask(structure)[None])


def _evenly(values: Sequence[T], most: int) -> list[T]:
    count = min(most, len(values))
    return [values[(2 * row + 1) * len(values) // (2 * count)] for row in range(count)]
