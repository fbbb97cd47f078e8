"""Scans of ``--judge``: labelled scans of older structures that judge in the gate, and train in no step."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from IncrementalSegLib.engine.gate.scans import by_content, locate
from IncrementalSegLib.engine.history import History, case_entry, without_forgotten
from IncrementalSegLib.engine.scores.evaluate import common_names
from IncrementalSegLib.engine.settings import StepSettings
from IncrementalSegLib.engine.step.unlabelled import of_patients
from IncrementalSegLib.errors import DataError, Hint, ModelError, OptionError, OptionRef
from IncrementalSegLib.names import name_key
from IncrementalSegLib.preprocessing.plan import Plan
from IncrementalSegLib.progress import Phase, Progress
from IncrementalSegLib.sampling.cases import Case, Dataset
from IncrementalSegLib.sampling.datasets import open_cases, restrict_labels
from IncrementalSegLib.sampling.reading import CaseReader
from IncrementalSegLib.store.manifest import fingerprint
from IncrementalSegLib.structures import StructureList, StructureSpec, specs_of
from IncrementalSegLib.types import Json, StructureId

log = logging.getLogger(__name__)

_NAMED = 10
"""Most scans that a message names."""


@dataclass(frozen=True)
class Judges:
    """Scans that judge older structures in the gate of a step, and of every later one.

    Attributes:
        cases: The cases, each restricted to older structures.
        structure_of: Label name in the data -> uuid.
        entries: Their entries in the history, with the contents that they had before the training; like scans that
            were held out they can be found again.
    """

    cases: tuple[Case, ...] = ()
    structure_of: dict[str, StructureId] = field(default_factory=dict)
    entries: tuple[Json, ...] = ()

    @classmethod
    def of(cls, cases: Sequence[Case], structure_of: dict[str, StructureId]) -> Judges:
        """Return the scans of ``cases``, which are read for their fingerprints."""
        entries = tuple(case_entry(case, structure_of, findable=True) for case in cases)
        return cls(tuple(cases), structure_of, entries)

    def read(self, plan: Plan, progress: Progress, *, strict: bool) -> None:
        """Read each once, so that a scan which cannot judge is refused before the training.

        Raises:
            DataError: A scan cannot be read or does not fit the model, or with ``strict`` has a note.
        """
        reader, shown = CaseReader(strict=strict), set[str]()
        for done, case in enumerate(self.cases):
            progress(Phase.READING, done / len(self.cases))
            try:
                volume, masks = reader.read(case)
                plan.check(volume, f"The case {case.id!r}")
            except DataError as error:
                raise type(error)(
                    f"A scan that is to judge cannot be used. {error.what}",
                    error.why,
                    Hint("Take it out of the scans of ", OptionRef("judge"), "."),
                ) from error
            shown |= {name_key(label) for label, mask in masks.items() if mask.any()}
        if unseen := [label for label in self.structure_of if name_key(label) not in shown]:
            log.warning("No scan that is to judge shows %s: that it is kept is not measured on them.", _listed(unseen))
        reader.finish()


def find_judges(
    settings: StepSettings,
    known: StructureList,
    training: Sequence[Case],
    history: History,
    *,
    guaranteed: bool = False,
) -> Judges:
    """Return the scans of ``--judge``; no voxel is read.

    Scans that the model was told to forget, and those of patients who trained it, are left out with a warning.

    Args:
        settings: The data set, and what was looked for in it.
        known: The structures that the model knows.
        training: The cases of the step.
        history: The steps before.
        guaranteed: The method leaves older structures as they are, so that this step has nothing to judge.

    Raises:
        OptionError: The step is a model's first, only names are given, or a patient is in the data of the step too.
        ModelError: The model does not know a structure that is named.
        UnknownNameError: The data set has no such label.
        DataError: No scan is left, or none shows an older structure.
    """
    option = OptionRef("judge")
    if settings.judge is None:
        if settings.judge_structures is not None:
            raise OptionError(
                f"{settings.judge_structures!r} would be looked for, but no scan is to judge.",
                todo=Hint("Name the scans with ", option, "."),
            )
        return Judges()
    if not history.number:
        raise OptionError(
            "A model's first step has no older structure that a scan could judge.", todo=Hint("Leave out ", option, ".")
        )
    dataset = open_cases(settings.judge, accept_grid=settings.accept_grid)
    wanted = _wanted(dataset, settings.judge_structures, known)
    dataset = without_forgotten(restrict_labels(dataset, wanted), history)
    taught, patients = {fingerprint(case.images) for case in training}, {case.patient for case in training}
    if both := [case.id for case in of_patients(dataset.cases, taught, patients)]:
        raise OptionError(
            f"{_listed(both)}: in the data of the step and among the scans that are to judge, or patients of one name.",
            "A patient who trains cannot judge what is kept.",
            Hint("Leave it out of one of them: with ", OptionRef("cases"), ", or from the scans of ", option, "."),
        )
    used = history.training_steps(dataset.cases)
    listed = _listed([f"{name} (step {number})" for name, number in used.items()])
    if used:
        log.warning("Scans of patients who trained this model in an earlier step cannot judge: %s.", listed)
    kept = [case for case in dataset.cases if case.id not in used]
    if not kept:
        raise DataError(
            f"All {len(used)} scans that are to judge are of patients who trained this model: {listed}.",
            "Their scores would be optimistic.",
            Hint("Name other scans with ", option, ", rename those of other patients, or leave it out."),
        )
    names = ", ".join(spec.name for spec in wanted)
    if guaranteed:
        log.info("This step leaves %s as it is; %d scans judge in later steps whether it is kept.", names, len(kept))
    else:
        log.info("%d scans judge whether %s is kept.", len(kept), names)
    return Judges.of(kept, {spec.label: known.named(spec.name).id for spec in wanted})


def find_again(entries: Sequence[Json], moved: str | Path | None) -> Judges:
    """Return the scans that were to judge when a step began.

    Args:
        entries: Their entries.
        moved: A data set that may contain those that were moved.

    Raises:
        ModelError: One was moved elsewhere or has changed.
        DataError: ``moved`` is no data set.
        OptionError: ``moved`` is given, and no scan was to judge.
    """
    if moved is not None and not entries:
        raise OptionError(
            "The step began without scans that judge.",
            "A resumed step keeps its scans.",
            Hint("Leave ", OptionRef("judge"), " out, or start the step again with ", OptionRef("restart", True), "."),
        )
    elsewhere = by_content(open_cases(moved)) if moved is not None else {}
    found = [(entry, *locate(entry, elsewhere.get(entry["sha256"]))) for entry in entries]
    if problems := [f"{entry['case']} {problem}" for entry, case, problem in found if case is None]:
        judge, restart = OptionRef("judge"), OptionRef("restart", True)
        raise ModelError(
            f"The step cannot be resumed: of the scans that are to judge {_listed(problems)}.",
            "Other scans could give another verdict.",
            Hint("Restore them, name their new place with ", judge, ", or start the step again with ", restart, "."),
        )
    structure_of = {label: item for entry in entries for item, label in entry["looked_for"].items()}
    cases = [replace(case, id=entry["case"], patient=entry["patient"]) for entry, case, _ in found if case is not None]
    return Judges.of(cases, structure_of)


def _wanted(dataset: Dataset, names: str | None, known: StructureList) -> list[StructureSpec]:
    """Return the older structures that a data set shows, with their labels in it."""
    if names is None:
        return common_names(known, dataset, "judge_structures")
    wanted = specs_of(names)
    if unknown := [spec.name for spec in wanted if spec.name not in known]:
        raise ModelError(
            f"The model does not know {', '.join(unknown)}.",
            "Scans can judge only what is kept of structures that it knows.",
            f"It knows {', '.join(known.names)}.",
        )
    return wanted


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMED]) + (", ..." if len(names) > _NAMED else "")
