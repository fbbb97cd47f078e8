"""The history of a model, carried from version to version so that deleting an old one forgets nothing."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

from IncrementalSegLib.engine.documents import read_document
from IncrementalSegLib.errors import DataError
from IncrementalSegLib.sampling.cases import Case, Dataset
from IncrementalSegLib.store.manifest import fingerprint
from IncrementalSegLib.store.versions import ModelFolder
from IncrementalSegLib.types import Json, StructureId

DOCUMENT = "history"

FORGOTTEN = "forgotten"
"""Stands where the name of a case or patient stood."""

ADOPTED = "adopted"
"""Stands in place of the method of a step where another program trained the network."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class History:
    """The steps of a model, oldest first; cases are known by the content of their images.

    Attributes:
        steps: As :func:`step_entry` made them.
    """

    steps: tuple[Json, ...] = ()

    @classmethod
    def of(cls, folder: ModelFolder, number: int | None = None) -> History:
        """Read the history of a version, the current one by default.

        Raises:
            ModelError: It is damaged, or of another form.
        """
        return read_document(folder, DOCUMENT, number, lambda document: cls(tuple(document.get("steps", ()))))

    @property
    def number(self) -> int:
        """Number of the last step; 0 before the first."""
        return max((int(step["number"]) for step in self.steps), default=0)

    @property
    def trained(self) -> frozenset[str]:
        """Fingerprints of all cases that ever trained."""
        return self._prints("training")

    @property
    def held_out(self) -> frozenset[str]:
        """Fingerprints of all cases that were ever held out: they judge what is kept and never train."""
        return self._prints("held_out")

    @property
    def forgotten(self) -> frozenset[str]:
        """Fingerprints of all cases whose names and pixels the model was told to forget."""
        entries = [entry for step in self.steps for pool in ("training", "held_out") for entry in step[pool]]
        return frozenset(entry["sha256"] for entry in entries if entry["case"] == FORGOTTEN and "images" not in entry)

    def taught_by(self, structure: StructureId) -> frozenset[str]:
        """Return the fingerprints of the cases that trained one structure."""
        entries = [entry for step in self.steps for entry in step["training"]]
        return frozenset(entry["sha256"] for entry in entries if structure in entry["looked_for"])

    def held_out_for(self, structure: StructureId) -> frozenset[str]:
        """Return the fingerprints of the cases that were held out in the steps that taught one structure."""
        entries = [entry for step in self.steps if structure in step["taught"] for entry in step["held_out"]]
        return frozenset(entry["sha256"] for entry in entries if structure in entry["looked_for"])

    def training_steps(self, cases: Sequence[Case]) -> dict[str, int]:
        """Return which of the cases are of patients who trained in an earlier step.

        A patient is known by name and by the content of any of their scans; the names of forgotten ones are gone.

        Returns:
            Id of the case -> number of the last such step.
        """
        number: dict[str, int] = {}
        for step in self.steps:
            for entry in step["training"]:
                number |= dict.fromkeys((entry["sha256"], entry["patient"]), int(step["number"]))
        number.pop(FORGOTTEN, None)
        keys = {case.id: (case.patient, fingerprint(case.images)) for case in cases}
        found = {
            patient: number[key] for patient, sha256 in keys.values() for key in (patient, sha256) if key in number
        }
        return {case.id: found[case.patient] for case in cases if case.patient in found}

    def last_step(self, structure: StructureId) -> Json | None:
        """Return the last step that taught or improved a structure."""
        steps = [step for step in self.steps if structure in step["taught"]]
        return steps[-1] if steps else None

    def with_step(self, entry: Json) -> History:
        """Return the history with one more step."""
        return History((*self.steps, entry))

    def with_judges(self, entries: Sequence[Json]) -> History:
        """Return the history with further scans that judge what is kept, by their entries."""
        if not entries:
            return self
        return self.with_step(step_entry({"number": self.number, "taught": []}, (), entries))

    def to_json(self) -> Json:
        """Return the document of a version."""
        return {"steps": list(self.steps)}

    def _prints(self, pool: str) -> frozenset[str]:
        return frozenset(entry["sha256"] for step in self.steps for entry in step[pool])


def without_forgotten(dataset: Dataset, history: History) -> Dataset:
    """Leave out, with a warning, the cases that a model was told to forget.

    Raises:
        DataError: No other case is left.
    """
    gone = history.forgotten
    cases = [case for case in dataset.cases if gone and fingerprint(case.images) in gone]
    if not cases:
        return dataset
    names = ", ".join(case.id for case in cases)
    kept = tuple(case for case in dataset.cases if case not in cases)
    if not kept:
        raise DataError(f"This model was told to forget {names}.", todo="Choose other cases, or teach a new model.")
    log.warning("This model was told to forget %s, which is left out.", names)
    return replace(dataset, cases=kept)


def case_entry(case: Case, structure_of: dict[str, StructureId], *, findable: bool) -> Json:
    """Return what identifies a case, and what finds it again where it must judge later steps.

    Args:
        case: The case.
        structure_of: Label name -> uuid.
        findable: Keep what reads the labels too; of cases that only train no more is needed than the place of the
            images, which shows an exemplar in its scan.
    """
    entry: Json = {
        "case": case.id,
        "patient": case.patient,
        "sha256": fingerprint(case.images),
        "looked_for": {structure_of[name]: name for name in sorted(case.looked_for)},
        "images": [str(path.resolve()) for path in case.images],
    }
    if findable:
        labels = [*([case.label] if case.label is not None else []), *case.masks.values()]
        entry |= {
            "label": str(case.label.resolve()) if case.label is not None else None,
            "values": {name: list(values) for name, values in case.values.items()},
            "masks": {name: str(path.resolve()) for name, path in case.masks.items()},
            "labels_sha256": fingerprint(labels),
            "complete": case.complete,
            "by_index": case.by_index,
        }
    return entry


def step_entry(step: Json, training: Sequence[Json], held_out: Sequence[Json]) -> Json:
    """Return one step for the history.

    Args:
        step: Number, seed, method, structures taught and whatever else is worth keeping.
        training: Entries of the cases that trained.
        held_out: Entries of the held-out cases.
    """
    return {**step, "training": list(training), "held_out": list(held_out)}
