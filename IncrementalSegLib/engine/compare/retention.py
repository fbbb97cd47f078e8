"""Retention of older structures after the fact: the gate on any two versions, and pictures of the largest losses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from IncrementalSegLib.engine.carried import read_exemplars
from IncrementalSegLib.engine.compare.records import earlier_version
from IncrementalSegLib.engine.documents import read_document
from IncrementalSegLib.engine.gate.judge import GateInputs, judge
from IncrementalSegLib.engine.gate.scans import RetentionCopies, RetentionScan, find_retention_scans, last_entries
from IncrementalSegLib.engine.gate.scorer import Pictures, Scorer
from IncrementalSegLib.engine.history import History
from IncrementalSegLib.engine.models import Loader, load
from IncrementalSegLib.engine.runtime import start
from IncrementalSegLib.engine.scores.views import position, view
from IncrementalSegLib.engine.settings import GateCall
from IncrementalSegLib.errors import OptionError
from IncrementalSegLib.evaluation.retention import RetentionReport, StructureRow
from IncrementalSegLib.exemplars.memory import ExemplarMemory
from IncrementalSegLib.options import called_with
from IncrementalSegLib.progress import Phase, Progress, silent
from IncrementalSegLib.reports.page import check_report
from IncrementalSegLib.reports.pictures import outlined, write_png
from IncrementalSegLib.reports.retention import write_retention_page
from IncrementalSegLib.reports.slices import SHOWN, SliceRow, by_loss
from IncrementalSegLib.sampling.cases import Notes
from IncrementalSegLib.sampling.datasets import open_data
from IncrementalSegLib.sampling.reading import CaseReader
from IncrementalSegLib.store.versions import ModelFolder, VersionRecord, open_model
from IncrementalSegLib.structures import StructureList
from IncrementalSegLib.types import DeviceName, Json, StructureId
from IncrementalSegLib.volumes.notes import counted


@dataclass(frozen=True)
class Judgement:
    """The gate's judgement of a version.

    Attributes:
        version: The version judged.
        against: The version it was compared with.
        report: Scores and verdicts of the structures that both know.
        page: The page that was written, or ``None``.
        notes: Case -> what a person should know of it.
    """

    version: int
    against: int
    report: RetentionReport
    page: Path | None = None
    notes: Notes = field(default_factory=dict)

    def to_json(self) -> Json:
        """Return the object that ``gate --json`` prints."""
        written = {} if self.page is None else {"report": str(self.page)}
        return {
            "version": self.version,
            "against": self.against,
            **self.report.to_json(),
            "notes": counted(self.notes),
            **written,
        }


@called_with(GateCall)
def gate(call: GateCall) -> Judgement:
    """Judge a version against another one on the held-out scans; nothing in the model changes.

    Returns:
        Scores and verdicts of the structures that both versions know.

    Raises:
        DataError: ``strict``, and there is something to know of a scan.
        OptionError: There is no version to compare with, or both are the same.
        IncrementalSegError: Something named is unknown, or cannot be read or written.
    """
    opened = open_model(call.model)
    later = opened.record(opened.newest if call.version is None else call.version)
    earlier = earlier_version(opened, later, call.against)
    if call.report is not None:
        check_report(Path(call.report))
    inputs = GateInputs(
        History.of(opened, later.number),
        _copies(opened, later.number, earlier.number),
        read_exemplars(opened, earlier.number),
        moved=open_data(call.data) if call.data is not None else None,
        trained=History.of(opened, earlier.number).trained,
        reader=CaseReader(accept_grid=call.accept_grid),
    )
    runtime = start(call.device)
    pictures: Pictures | None = {} if call.report is not None else None
    found = judge(
        load(opened, runtime, earlier.number).predictor(runtime),
        load(opened, runtime, later.number).predictor(runtime),
        StructureList(tuple(item for item in later.structures if item.id in earlier.structures.ids)),
        inputs,
        limits=call.limits,
        pictures=pictures,
        progress=call.progress,
    )
    found = replace(found, used=later.accepted)
    if call.strict:
        inputs.reader.refuse_notes()
    page = None
    if call.report is not None and pictures is not None:
        page = write_retention_page(
            found, pictures, folder=call.report, name=opened.name, before=earlier.number, after=later.number
        )
    return Judgement(later.number, earlier.number, found, page, inputs.reader.notes)


def _copies(folder: ModelFolder, later: int, earlier: int) -> RetentionCopies:
    """Return the copies of both versions; the later one may have been stripped."""
    old, new = RetentionCopies.of(folder, earlier), RetentionCopies.of(folder, later)
    return RetentionCopies({**old.scans, **new.scans}, {**old.tensors, **new.tensors})


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
    record = folder.record(folder.newest if version is None else version)
    if record.kind != "step" or record.parent is None:
        raise OptionError(
            f"Version {record.number} was not made by teaching a model that knew something before.",
            todo="Name a version that a later step made.",
        )
    report = read_document(folder, "retention", record.number, RetentionReport.from_json)
    chosen = [(row, case) for row in report.rows for case in _worst(row, cases)]
    runtime = start(device)
    before, after = (loader(folder, runtime, number).predictor(runtime) for number in (record.parent, record.number))
    scorer = Scorer(before, after)
    exemplars = read_exemplars(folder, record.parent)
    scans = _scans(folder, record, {case for _, case in chosen})
    shown: list[Json] = []
    for done, (row, case) in enumerate(chosen):
        progress(Phase.DRAWING, done / len(chosen))
        if row.basis == "scans":
            found = _of_scan(scorer, row.id, scans.get((row.id, case)))
        else:
            found = _of_exemplar(scorer, row.id, case, exemplars)
        if found is None:  # the scan lies elsewhere now
            continue
        picture, where = found
        paths = [Path(output) / f"{row.id}-{done + 1}-{side}.png" for side in ("before", "after")]
        for column, path in enumerate(paths):
            write_png(path, outlined(picture, column))
        dice = [next(item.dice for item in side if item.case == case) for side in (row.before, row.after)]
        own = {"structure": row.structure, "case": case, "basis": row.basis, "dice": dice}
        shown.append(own | where | {"before": str(paths[0]), "after": str(paths[1])})
    progress(Phase.DRAWING, 1.0)
    return {"version": record.number, "against": record.parent, "pictures": shown}


def _of_scan(scorer: Scorer, structure: StructureId, scan: RetentionScan | None) -> tuple[SliceRow, Json] | None:
    """Return the slice of a scan that shows most of a structure, and where it lies."""
    if scan is None:
        return None
    volume, truth = scan.read()
    mask, plan = truth[structure], scorer.after.plan
    if not mask.any():
        return None
    found = [side.predict(volume, [structure]).mask[structure] for side in (scorer.before, scorer.after)]
    where = {"position": list(position(volume, mask, plan)), "images": [str(path) for path in scan.images]}
    return view(scan.case, volume, mask, found, plan), where


def _of_exemplar(
    scorer: Scorer, structure: StructureId, case: str, exemplars: ExemplarMemory
) -> tuple[SliceRow, Json] | None:
    """Return the piece of a case that shows most of a structure, and where it lies."""
    pieces = [item for item in exemplars if item.case == case and item.id in exemplars.scans]
    pieces = [item for item in pieces if structure in exemplars.scans[item.id].structures]
    if not pieces:
        return None
    item = max(pieces, key=lambda piece: int(exemplars.scans[piece.id].mask(structure).sum()))
    where = {"position": None if item.position is None else list(item.position), "images": []}
    return scorer.slice_of(structure, case, exemplars.scans[item.id]), where


def _worst(row: StructureRow, most: int) -> Sequence[str]:
    """Return the cases that lost most of a structure; agreement shows no loss."""
    if row.basis not in ("scans", "exemplars"):
        return ()
    pairs = zip((score.dice for score in row.before), row.after, strict=True)
    return [after.case for _, after in by_loss(pairs)[:most]]


def _scans(folder: ModelFolder, record: VersionRecord, cases: set[str]) -> dict[tuple[StructureId, str], RetentionScan]:
    """Find scans as the gate of a step did; the others are not read."""
    assert record.parent is not None
    history, known = History.of(folder, record.number), folder.record(record.parent).structures.ids
    only = {
        entry["sha256"]
        for entry, _ in last_entries(history, known)
        if any(case.startswith(entry["case"]) for case in cases)  # two of one name were told apart
    }
    copies = _copies(folder, record.number, record.parent)
    found = find_retention_scans(history, known, copies, trained=history.trained, only=only)
    return {(item, scan.case): scan for scan in found.scans for item in scan.structures}
