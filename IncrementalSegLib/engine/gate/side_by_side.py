"""Where a version lost most: slices of the version before and of the version itself, as pictures for a front end."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from IncrementalSegLib.engine.documents import read_document
from IncrementalSegLib.engine.gate.scans import RetentionCopies, RetentionScan, find_judges, last_entries
from IncrementalSegLib.engine.history import History
from IncrementalSegLib.engine.memories import read_exemplars
from IncrementalSegLib.engine.models import Loader, load
from IncrementalSegLib.engine.progress import Progress, silent
from IncrementalSegLib.engine.runtime import start
from IncrementalSegLib.engine.scores.views import position, view
from IncrementalSegLib.errors import OptionError
from IncrementalSegLib.evaluation.retention import RetentionReport, StructureRow
from IncrementalSegLib.inference.predictor import Predictor
from IncrementalSegLib.progress import Phase
from IncrementalSegLib.reports.pictures import outlined, write_png
from IncrementalSegLib.reports.slices import SHOWN, SliceRow
from IncrementalSegLib.store.versions import ModelFolder, open_model
from IncrementalSegLib.types import DeviceName, Json, StructureId

PHASE = Phase.DRAWING


def compare_pictures(
    model: str | Path,
    output: str | Path,
    version: int | None = None,
    *,
    cases: int = SHOWN,
    device: DeviceName = "auto",
    progress: Progress = silent,
    loader: Loader = load,
) -> Json:
    """Draw the scans on which older structures lost most in a step: the version before, and the one that it made.

    The gate judged them at the end of the step; only the scans to be shown are segmented again.

    Args:
        model: The model's folder.
        output: Folder of the pictures; they show patients.
        version: The version that the step made; by default the newest.
        cases: Scans shown of each structure.
        device: ``auto``, ``cpu`` or ``cuda``.
        progress: Receives progress.
        loader: Loads the versions.

    Returns:
        ``version``, ``against`` and ``pictures``, the most harmed structure first and of each the largest loss first:
        ``structure``, ``case``, ``basis`` (``scans`` or ``exemplars``), ``dice`` (before and after), ``position`` of
        the slice (x, y, z in mm, LPS, or null), ``images`` (paths of the scan, where it still lies there), ``before``
        and ``after`` (paths of the pictures).  What a person outlined is dashed.

    Raises:
        OptionError: The version was made by no step, or by the first.
        IncrementalSegError: There is no such model or version, or something cannot be read or written.
    """
    if cases < 1:
        raise OptionError(f"The number of cases is {cases}.", todo="Give 1 or more.")
    folder = open_model(model)
    record = folder.record(max(folder.numbers(), default=0) if version is None else version)
    if record.kind != "step" or record.parent is None:
        raise OptionError(
            f"Version {record.number} was not made by teaching a model that knew something before.",
            todo="Name a version that a later step made.",
        )
    report = read_document(folder, "retention", record.number, RetentionReport.from_json)
    chosen = [(row, case) for row in report.rows for case in _worst(row, cases)]
    runtime = start(device)
    before, after = (loader(folder, runtime, number).predictor(runtime) for number in (record.parent, record.number))
    sides = _Sides(before, after, folder, record.parent, chosen)
    shown: list[Json] = []
    for done, (row, case) in enumerate(chosen):
        progress(PHASE, done / len(chosen))
        found = sides.of_scan(row.id, case) if row.basis == "scans" else sides.of_exemplar(row.id, case)
        if found is None:  # the scan lies elsewhere now
            continue
        picture, where = found
        paths = [Path(output) / f"{row.id}-{done + 1}-{side}.png" for side in ("before", "after")]
        for column, path in enumerate(paths):
            write_png(path, outlined(picture, column))
        dice = [next(item.dice for item in side if item.case == case) for side in (row.before, row.after)]
        own = {"structure": row.structure, "case": case, "basis": row.basis, "dice": dice}
        shown.append(own | where | {"before": str(paths[0]), "after": str(paths[1])})
    progress(PHASE, 1.0)
    return {"version": record.number, "against": record.parent, "pictures": shown}


class _Sides:
    """Both versions, and what judged them at the end of the step."""

    def __init__(
        self,
        before: Predictor,
        after: Predictor,
        folder: ModelFolder,
        parent: int,
        chosen: Sequence[tuple[StructureRow, str]],
    ) -> None:
        self.before, self.after, self.plan = before, after, after.plan
        self.memory = read_exemplars(folder, parent)
        self.scans = _scans(folder, parent, {case for _, case in chosen})

    def of_scan(self, structure: StructureId, case: str) -> tuple[SliceRow, Json] | None:
        """Return the slice of a scan that shows most of a structure, and where it lies."""
        scan = self.scans.get((structure, case))
        if scan is None:
            return None
        volume, truth = scan.read()
        mask = truth[structure]
        if not mask.any():
            return None
        found = [side.predict(volume, [structure]).mask[structure] for side in (self.before, self.after)]
        where = {"position": list(position(volume, mask, self.plan)), "images": [str(path) for path in scan.images]}
        return view(case, volume, mask, found, self.plan), where

    def of_exemplar(self, structure: StructureId, case: str) -> tuple[SliceRow, Json] | None:
        """Return the piece of a case that shows most of a structure, and where it lies."""
        pieces = [item for item in self.memory if item.case == case and item.id in self.memory.scans]
        pieces = [item for item in pieces if structure in self.memory.scans[item.id].structures]
        if not pieces:
            return None
        item = max(pieces, key=lambda piece: int(self.memory.scans[piece.id].mask(structure).sum()))
        scan = self.memory.scans[item.id]
        found = [side.masks(scan.image, [structure])[0].numpy() for side in (self.before, self.after)]
        truth, spacing = scan.mask(structure).bool().numpy(), [step or 1.0 for step in self.plan.spacing]
        where = {"position": None if item.position is None else list(item.position), "images": []}
        return SliceRow.of(case, scan.image.float().numpy(), truth, found, spacing), where


def _worst(row: StructureRow, most: int) -> Sequence[str]:
    """Return the cases that lost most of a structure; agreement shows no loss."""
    if row.basis not in ("scans", "exemplars"):
        return ()
    loss = {new.case: (old.dice or 0.0) - (new.dice or 0.0) for old, new in zip(row.before, row.after, strict=True)}
    return sorted(loss, key=lambda case: -loss[case])[:most]


def _scans(folder: ModelFolder, parent: int, cases: set[str]) -> dict[tuple[StructureId, str], RetentionScan]:
    """Find scans as the gate did; the others are not read."""
    history, known = History.of(folder, parent), folder.record(parent).structures.ids
    only = {
        entry["sha256"]
        for entry, _ in last_entries(history, known)
        if any(case.startswith(entry["case"]) for case in cases)  # two of one name were told apart
    }
    judges = find_judges(history, known, RetentionCopies.of(folder, parent), trained=history.trained, only=only)
    return {(item, scan.case): scan for scan in judges.scans for item in scan.structures}
