"""Advice on the method of a step: how far the new scans are from the training scans, and what is still kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from IncrementalSegLib.engine.choice import StructureAdvice, choose_method
from IncrementalSegLib.engine.history import History, without_forgotten
from IncrementalSegLib.engine.settings import AdviseCall
from IncrementalSegLib.engine.step.split import FEWEST_CASES
from IncrementalSegLib.names import name_key
from IncrementalSegLib.options import called_with
from IncrementalSegLib.sampling.cases import Case, Dataset, Notes
from IncrementalSegLib.sampling.datasets import open_cases, restrict_labels
from IncrementalSegLib.sampling.reading import CaseReader, sample
from IncrementalSegLib.store.manifest import fingerprint
from IncrementalSegLib.store.versions import create_or_open
from IncrementalSegLib.structures import StructureList, specs_of
from IncrementalSegLib.types import Json
from IncrementalSegLib.volumes.notes import counted


@dataclass(frozen=True)
class Advice:
    """A recommended method with its reasons.

    Attributes:
        method: Registered name, or ``None``: these scans want a model of their own.
        reasons: Sentences for people.
        cautions: What a person should know before the start.
        scans: How many scans were looked at.
        structures: Of the structures that the model knows.
        known: Names among those asked for that the model knows already, and would improve.
        new: The other names asked for.
        notes: Case -> what a person should know of it; of many cases an evenly spread sample is read.
    """

    method: str | None
    reasons: tuple[str, ...]
    cautions: tuple[str, ...] = ()
    scans: int = 0
    structures: tuple[StructureAdvice, ...] = ()
    known: tuple[str, ...] = ()
    new: tuple[str, ...] = ()
    notes: Notes = field(default_factory=dict)

    def to_json(self) -> Json:
        """Return the object that ``advise --json`` prints."""
        return {
            "method": self.method,
            "reasons": list(self.reasons),
            "cautions": list(self.cautions),
            "scans": self.scans,
            "structures": {item.name: item.to_json() for item in self.structures},
            "improves": list(self.known),
            "notes": counted(self.notes),
        }


@called_with(AdviseCall)
def advise(call: AdviseCall) -> Advice:
    """Recommend a method for a step; nothing is written.

    Returns:
        The method with reasons and cautions.

    Raises:
        IncrementalSegError: Something named is unknown or cannot be read.

    Example:
        >>> advise("model-to-be", "scans").method
        'finetune'
    """
    folder = create_or_open(call.model)
    dataset = open_cases(call.data, call.cases, accept_grid=call.accept_grid)
    wanted = specs_of(call.structures) if call.structures is not None else []
    if wanted:
        dataset = restrict_labels(dataset, wanted)
    history = History.of(folder) if folder.current else History()
    dataset = without_forgotten(dataset, history)
    reader = CaseReader(dataset, strict=call.strict)
    choice = choose_method(folder, dataset.cases, call.progress, reader, strict=call.strict)
    reader.finish()
    known = folder.record().structures if folder.current else StructureList()
    improved = tuple(item.name for item in wanted if item.name in known)
    new = tuple(item.name for item in wanted if item.name not in known)
    cautions = [
        *choice.doubts,
        *_already_used(sample(dataset.cases), history),
        *_plain_cautions(dataset, known, call.exemplars),
    ]
    if improved and new:
        cautions.append(
            f"The model knows {', '.join(improved)} already, and not {', '.join(new)}: improve the one and teach the "
            "other in two steps."
        )
    return Advice(
        method=choice.method,
        reasons=choice.reasons,
        cautions=tuple(cautions),
        scans=choice.scans,
        structures=choice.structures,
        known=improved,
        new=new,
        notes=reader.notes,
    )


def _already_used(cases: Sequence[Case], history: History) -> list[str]:
    """Say how many of the scans earlier steps used, so that their distance is too small."""
    used = history.trained | history.held_out
    count = sum(fingerprint(case.images) in used for case in cases) if used else 0
    if not count:
        return []
    which = "is a training or held-out scan" if count == 1 else "are training or held-out scans"
    return [f"{count} of {len(cases)} scans {which} of this model already: their distance says nothing about new ones."]


def _plain_cautions(dataset: Dataset, known: StructureList, exemplars: str) -> list[str]:
    """Return what is worth knowing of the data whatever the method."""
    cautions = []
    count = len(dataset.cases)
    if count < FEWEST_CASES:
        cautions.append(
            f"With {count} {'case' if count == 1 else 'cases'} none is held out, so the new structure cannot be "
            f"measured. From {FEWEST_CASES} cases on, one is."
        )
    labels = {name_key(name) for case in dataset.cases for name in case.looked_for}
    absent = [name for name in known.names if name_key(name) not in labels]
    if absent:
        cautions.append(
            f"{', '.join(absent)} need not be outlined in the new scans: what was not looked for is unknown there, "
            "not background."
        )
    if exemplars == "none":
        cautions.append("No exemplars of this step are kept: no later step can rehearse its scans.")
    return cautions
