"""The result of a step."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path

from IncrementalSegLib.engine.documents import read_document
from IncrementalSegLib.engine.quality import hardly_learned
from IncrementalSegLib.engine.step.saving import RETENTION
from IncrementalSegLib.engine.step.state import TrainingCurve
from IncrementalSegLib.evaluation.retention import RetentionReport
from IncrementalSegLib.sampling.cases import Notes
from IncrementalSegLib.store.versions import ModelFolder, VersionRecord
from IncrementalSegLib.types import Json
from IncrementalSegLib.volumes.notes import counted


@dataclass(frozen=True)
class StepResult:
    """The result of a step.

    Attributes:
        record: Record of the new version.
        curve: What happened while training.
        report: Scores and verdicts of the older structures.
        page: The page about it, where one was asked for.
        notes: Case -> what a person should know of it; empty of a step that was finished before.
    """

    record: VersionRecord
    curve: TrainingCurve
    report: RetentionReport
    page: Path | None = None
    notes: Notes = field(default_factory=dict)

    @classmethod
    def of(cls, folder: ModelFolder, number: int) -> StepResult:
        """Read the result of a finished step from the version that it wrote."""
        report = read_document(folder, RETENTION, number, RetentionReport.from_json)
        curve = read_document(folder, "curve", number, lambda document: TrainingCurve(**document))
        return cls(folder.record(number), curve, report)

    def to_json(self) -> Json:
        """Return the object that ``learn --json`` prints."""
        return {
            "version": self.record.number,
            "parent": self.record.parent,
            "accepted": self.record.accepted,
            "held_back_by": list(self.record.held_back_by),
            "retention": self.report.to_json(),
            "curve": asdict(self.curve),
            "unjudged": [
                item.name for item in self.record.structures if item.id in self.record.step.get("unjudged", ())
            ],
            "hardly_learned": hardly_learned(self.record),
            "nothing_learned": self.curve.nothing_learned,
            "structures": list(self.record.structures.names),
            "seconds": self.record.seconds,
            "method": self.record.step["method"],
            "why": self.record.step.get("why", []),
            "devices": self.record.step.get("devices"),
            "batch": self.record.step.get("batch"),
            "validation": {
                self.record.structures.by_id(item).name: score for item, score in self.record.scores.items()
            },
            "notes": counted(self.notes),
        } | ({} if self.page is None else {"report": str(self.page)})
