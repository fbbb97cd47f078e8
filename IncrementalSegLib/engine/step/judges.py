"""Scans of ``--judge``: labelled scans of older structures that judge in the gate, and train in no step."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

from IncrementalSegLib.engine.history import History, case_entry, without_forgotten
from IncrementalSegLib.engine.scores.evaluate import common_names
from IncrementalSegLib.engine.settings import StepSettings
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
    """

    cases: tuple[Case, ...] = ()
    structure_of: dict[str, StructureId] = field(default_factory=dict)

    @property
    def entries(self) -> list[Json]:
        """Their entries in the history; like scans that were held out they can be found again."""
        return [case_entry(case, self.structure_of, findable=True) for case in self.cases]

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


def find_judges(settings: StepSettings, known: StructureList, training: Sequence[Case], history: History) -> Judges:
    """Return the scans of ``--judge``; no voxel is read.

    Scans that the model was told to forget, and those that trained it, are left out with a warning.

    Args:
        settings: The data set, and what was looked for in it.
        known: The structures that the model knows.
        training: The cases of the step.
        history: The steps before.

    Raises:
        OptionError: The step is a model's first, only names are given, or a scan is in the data of the step too.
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
    prints = {case.id: fingerprint(case.images) for case in dataset.cases}
    taught, patients = {fingerprint(case.images) for case in training}, {case.patient for case in training}
    if both := [case.id for case in dataset.cases if prints[case.id] in taught or case.patient in patients]:
        raise OptionError(
            f"{_listed(both)}: in the data of the step and among the scans that are to judge, or patients of one name.",
            "A patient who trains cannot judge what is kept.",
            Hint("Leave it out of one of them: with ", OptionRef("cases"), ", or from the scans of ", option, "."),
        )
    if used := [name for name, found in prints.items() if found in history.trained]:
        log.warning("%s trained this model in an earlier step and cannot judge.", _listed(used))
    kept = tuple(case for case in dataset.cases if case.id not in used)
    if not kept:
        raise DataError(
            f"All {len(prints)} scans that are to judge trained this model in earlier steps.",
            "Their scores would be optimistic.",
            Hint("Name other scans with ", option, ", or leave it out."),
        )
    log.info("%d scans judge whether %s is kept.", len(kept), ", ".join(spec.name for spec in wanted))
    return Judges(kept, {spec.label: known.named(spec.name).id for spec in wanted})


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
