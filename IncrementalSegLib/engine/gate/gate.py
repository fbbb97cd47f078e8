"""Judge any two versions of a model after the fact, as the gate judges a candidate at the end of its step."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from IncrementalSegLib.engine.gate.bench import Pictures
from IncrementalSegLib.engine.gate.judge import Evidence, judge
from IncrementalSegLib.engine.gate.scans import RetentionCopies
from IncrementalSegLib.engine.history import History
from IncrementalSegLib.engine.memories import read_exemplars
from IncrementalSegLib.engine.models import load
from IncrementalSegLib.engine.runtime import start
from IncrementalSegLib.engine.settings import GateCall
from IncrementalSegLib.errors import Hint, OptionError, Set
from IncrementalSegLib.evaluation.retention import RetentionReport
from IncrementalSegLib.options import called_with
from IncrementalSegLib.reports.page import check_report, write_report
from IncrementalSegLib.reports.retention import retention_page
from IncrementalSegLib.sampling.cases import Notes
from IncrementalSegLib.sampling.datasets import open_data
from IncrementalSegLib.sampling.reading import CaseReader
from IncrementalSegLib.store.versions import ModelFolder, open_model
from IncrementalSegLib.structures import StructureList
from IncrementalSegLib.types import Json
from IncrementalSegLib.volumes.notes import counted


@dataclass(frozen=True)
class Judgement:
    """What the gate said of a version.

    Attributes:
        version: The version judged.
        against: The version it was compared with.
        report: What became of the structures that both know.
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
    """Judge a version against another one on the scans set aside; nothing in the model changes.

    Returns:
        What became of the structures that both versions know.

    Raises:
        DataError: ``strict``, and there is something to know of a scan.
        OptionError: There is no version to compare with, or both are the same.
        IncrementalSegError: Something named is unknown, or cannot be read or written.
    """
    opened = open_model(call.model)
    later = opened.record(max(opened.numbers(), default=0) if call.version is None else call.version)
    number = call.against if call.against is not None else later.parent
    if number is None or number == later.number:
        raise OptionError(
            f"Version {later.number} cannot be judged against {'itself' if number else 'nothing'}.",
            todo=Hint("Name another version with ", Set("against"), "."),
        )
    earlier = opened.record(number)
    if call.report is not None:
        check_report(Path(call.report))
    evidence = Evidence(
        History.of(opened, later.number),
        _copies(opened, later.number, number),
        read_exemplars(opened, number),
        moved=open_data(call.data) if call.data is not None else None,
        trained=History.of(opened, number).trained,
        reader=CaseReader(accept_grid=call.accept_grid),
    )
    runtime = start(call.device)
    pictures: Pictures | None = {} if call.report is not None else None
    found = judge(
        load(opened, runtime, number).predictor(runtime),
        load(opened, runtime, later.number).predictor(runtime),
        StructureList(tuple(item for item in later.structures if item.id in earlier.structures.ids)),
        evidence,
        limits=call.limits,
        pictures=pictures,
        progress=call.progress,
    )
    if call.strict:
        evidence.reader.refuse_notes()
    page = None
    if call.report is not None and pictures is not None:
        page = write_gate_page(found, pictures, call.report, opened.name, number, later.number)
    return Judgement(later.number, number, found, page, evidence.reader.notes)


def write_gate_page(
    report: RetentionReport, pictures: Pictures, folder: str | Path, name: str, before: int, after: int
) -> Path:
    """Write the page of a judgement and return it.

    Args:
        report: What the gate found.
        pictures: What :func:`retention.judge` filled.
        folder: Where to write.
        name: Name of the model.
        before: Number of the version in use.
        after: Number of the version judged.

    Raises:
        IncrementalSegError: A page of another origin is there, or the folder cannot be written.
    """
    title = f"{name}: was everything kept in version {after}?"
    intro = f"Version {before} and version {after} on the scans that were set aside when each structure was taught."
    return write_report(retention_page(report, pictures, title, intro), Path(folder))


def _copies(folder: ModelFolder, later: int, earlier: int) -> RetentionCopies:
    """Return the copies of both versions; the later one may have been stripped."""
    old, new = RetentionCopies.of(folder, earlier), RetentionCopies.of(folder, later)
    return RetentionCopies({**old.scans, **new.scans}, {**old.tensors, **new.tensors})
