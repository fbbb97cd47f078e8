"""The rounds of a session, in memory: predict, learn from the strokes, predict again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from IncrementalSegLib.correction.propagation import Painted
from IncrementalSegLib.correction.strokes import Strokes
from IncrementalSegLib.engine.propagated import PlacedStrokes, predict_with
from IncrementalSegLib.engine.ready import ReadyModel
from IncrementalSegLib.engine.session.counterweight import counterweight, one_sided
from IncrementalSegLib.engine.session.learner import STEPS, Learner
from IncrementalSegLib.engine.session.scans import Box, CorrectedScan, boxes_around, cut_pieces
from IncrementalSegLib.engine.sources import ScanSource
from IncrementalSegLib.engine.step.tasks import begin_scan_task
from IncrementalSegLib.inference.prediction import Prediction
from IncrementalSegLib.progress import UNTOLD, Share
from IncrementalSegLib.sampling.prepare import prepare
from IncrementalSegLib.store.manifest import fingerprint
from IncrementalSegLib.volumes.volume import Volume


class Rounds:
    """Corrections of one scan after another, from which a learner learns.

    Voxels under strokes teach, and a :func:`~.counterweight.counterweight` where they are one-sided.  Propagated
    voxels do not: on skin photographs the first outlines of later scans gained less with them (docs/correct.md).

    Args:
        ready: The version that the session began from.
        learner: Its copy, which learns; ``ready`` predicts with it from here on.
        scans: Scans that were corrected before, from the oldest.

    Attributes:
        ready: Reads and predicts scans with what was learned so far.
        learner: The learner.
        scans: Fingerprint -> corrected scan, from the oldest.
    """

    def __init__(self, ready: ReadyModel, learner: Learner, scans: Iterable[CorrectedScan] = ()) -> None:
        loaded = replace(ready.loaded, segmenter=learner.ctx.model)
        self.ready = replace(ready, loaded=loaded, predictor=learner.predictor)
        self.learner, self._before = learner, ready.predictor
        self.scans = {scan.sha256: scan for scan in scans}

    def correct(
        self, source: ScanSource, volume: Volume, strokes: Strokes, steps: int = STEPS, progress: Share = UNTOLD
    ) -> Prediction:
        """Do a round: learn from strokes and return the scan predicted again, in which they hold.

        Args:
            source: The scan.
            volume: The same, read.
            strokes: Of this round; those of earlier rounds stay where these do not contradict them.
            steps: Optimiser steps.
            progress: Receives the share of the predictions done.
        """
        ready, key = self.ready, fingerprint(source.paths)
        known = self.scans.get(key)
        if known is None:
            first = ready.predict(volume, source.name, progress=progress.sub(0.0, 0.5)).mask
            known = CorrectedScan(source, key, 0, strokes, first, first, ())
        scan = known.with_strokes(strokes)
        placed = PlacedStrokes.of(scan.strokes, ready, volume)
        boxes = boxes_around(torch.from_numpy(placed.known), ready.loaded.plan.patch)
        labels, taught = (torch.from_numpy(found) for found in self._both_sides(placed, volume, boxes))
        whole = prepare(scan.case, volume, {}, ready.loaded.plan)
        unseen = whole.ignore if whole.ignore is not None else torch.zeros_like(taught)
        case = replace(
            whole,
            structures=placed.structures,
            masks=labels.to(torch.uint8),
            ignore=unseen | ~taught,
            group=("", "now"),
        )
        pieces = cut_pieces(case, boxes)
        earlier = [
            replace(piece, group=("", "earlier"))
            for other in self.scans.values()
            if other.sha256 != key
            for piece in other.pieces
        ]
        self.learner.begin(pieces)
        before = next(reversed(self.scans.values()), None)
        if before is not None and before.sha256 != key:
            self.learner.next_scan(before.pieces)
        if before is None or before.sha256 != key:
            begin_scan_task(self.learner.ctx, key, whole.image)
        self.learner.learn([*pieces, *earlier], replace(whole, ignore=unseen | taught), steps)
        after = predict_with(scan.strokes, ready, volume, source.name, progress.sub(0.5, 1.0))
        self.scans.pop(key, None)  # the scan of the last round comes last
        self.scans[key] = replace(scan, rounds=scan.rounds + 1, last=after.mask, pieces=pieces)
        return after

    def _both_sides(self, placed: PlacedStrokes, volume: Volume, boxes: Sequence[Box]) -> tuple[Painted, Painted]:
        """Return the labels ``(K, D, H, W)`` of a scan, and which of its voxels teach, ``(D, H, W)``."""
        known, near, seen = placed.known, np.zeros_like(placed.known), list[Tensor]()
        if not one_sided(placed.painted, known):
            return placed.painted, known
        for box in boxes:
            near[box] = True

        def note(_image: Tensor, maps: Tensor) -> Tensor:
            seen.append(maps)
            return maps

        self._before.predict(volume, self.ready.structures.ids, revise=note)
        chosen, there = counterweight(seen[0].numpy(), placed.painted, known, near, placed.spacing)
        return placed.painted | there, known | chosen
