"""The choice of a method: how far the new scans are from what the model has seen, and what it still holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from IncrementalSegLib.engine.carried import can_rehearse, read_exemplars, without_prototype
from IncrementalSegLib.engine.documents import plan_of
from IncrementalSegLib.engine.domain import TrainingDomain, scan_features
from IncrementalSegLib.engine.history import History
from IncrementalSegLib.errors import DataError
from IncrementalSegLib.evaluation.domain import FAR, NEAR, Distance, ScanFeatures, word
from IncrementalSegLib.preprocessing.pipeline import forward
from IncrementalSegLib.preprocessing.plan import Plan
from IncrementalSegLib.progress import Phase, Progress, silent
from IncrementalSegLib.registry import find, names
from IncrementalSegLib.sampling.cases import Case, naming
from IncrementalSegLib.sampling.reading import CaseReader, sample
from IncrementalSegLib.store.versions import ModelFolder
from IncrementalSegLib.structures import StructureList
from IncrementalSegLib.types import Json, StructureId

NEW_MODEL = 3.0
"""Beyond this distance (MR against CT) a new trunk is recommended; our own choice."""

_ADOPTED = (
    "The scans that taught the adopted structures are not here, so nothing could show what is kept; this method leaves "
    "them as they are, guaranteed."
)
_GUARANTEED_BEFORE = "The step before guaranteed older structures, and this method leaves them as they are, too."
_ALIEN = "They have too little in common to help each other; a network of its own leaves older structures untouched."

_FIRST = ("aeiseg", "lwfseg", "pcdd", "mib")
"""Where several methods fit, these come first, as the benchmarks say; any other follows by name, and is not praised."""


@dataclass(frozen=True)
class StructureAdvice:
    """Advice for one structure of the model: distance of the new scans, and exemplars.

    Attributes:
        name: Of the structure.
        distance: Median over the new scans, or ``None`` where its training scans are not described.
        exemplars: Number of exemplars that show it and can be rehearsed.
    """

    name: str
    distance: Distance | None
    exemplars: int

    def to_json(self) -> Json:
        """Return the numbers, each with a word."""
        found: Json = {"exemplars": self.exemplars, "features": None, "intensity": None, "spacing": None}
        if self.distance is not None:
            values = {
                "features": self.distance.features,
                "intensity": self.distance.intensity,
                "spacing": max(self.distance.spacing, self.distance.extent),
            }
            found |= {name: {"distance": round(value, 3), "word": word(value)} for name, value in values.items()}
        return found


@dataclass(frozen=True)
class Choice:
    """A method for a step, and why.

    Attributes:
        method: Registered name, or ``None``: these scans want a model of their own.
        reasons: Sentences for people.
        doubts: What speaks against it.
        scans: How many scans were looked at.
        structures: Of the structures that the model knows.
    """

    method: str | None
    reasons: tuple[str, ...]
    doubts: tuple[str, ...] = ()
    scans: int = 0
    structures: tuple[StructureAdvice, ...] = ()


def choose_method(
    folder: ModelFolder,
    cases: Sequence[Case],
    progress: Progress = silent,
    reader: CaseReader | None = None,
    *,
    strict: bool = False,
) -> Choice:
    """Choose the method of a step; the only rule, for ``learn`` without a method as for ``advise``.

    Args:
        folder: The model; it may have no version yet.
        cases: The step's cases; of many an evenly spread sample is looked at.
        progress: Receives progress.
        reader: Collects what a person should know of the cases; by default labels are not read.
        strict: The reader looks at all cases; the choice does not depend on it.

    Raises:
        ModelError: The model cannot be read.
    """
    first = not folder.current
    plan = None if first else plan_of(folder.record())
    found, refusals = ([], []) if first and reader is None else _look(cases, plan, progress, reader, strict)
    if first:
        reason = "This is the model's first step. No older structure has to be kept, so plain training is enough."
        return Choice("finetune", (reason,))
    record = folder.record()
    if not found:
        refusal = f"The model cannot take these scans. {refusals[0]}"
        return Choice(None, (refusal, "Teach them to another model."))
    unknown: list[str] = []
    structures = _structure_advice(folder, record.structures, found, unknown)
    method, reasons, doubts = _recommend(record.outputs[0], structures, _missing(folder), _guaranteeing(folder))
    doubts += unknown
    if refusals:
        doubts.append(f"Of {len(sample(cases, strict))} scans {len(refusals)} would be refused. {refusals[0]}")
    return Choice(method, tuple(reasons), tuple(doubts), len(found), structures)


def _guaranteeing(folder: ModelFolder) -> tuple[str, str] | None:
    """Return a method that guarantees older structures, and why it should, or ``None``."""
    for step in History.of(folder).steps[-1:]:
        if "origin" in step:
            return "adapter", _ADOPTED
        if folder.record().architecture.get("branches") and _guarantees(step["method"]):
            return step["method"], _GUARANTEED_BEFORE
    return None


def _guarantees(name: str) -> bool:
    return name in names("method") and find("method", name).guarantees


def _missing(folder: ModelFolder) -> frozenset[str]:
    """Return the needs of methods that the model does not fulfil."""
    absent = {"exemplars": not can_rehearse(folder), "prototypes": bool(without_prototype(folder))}
    return frozenset(need for need, missing in absent.items() if missing)


def _look(
    cases: Sequence[Case], plan: Plan | None, progress: Progress, reader: CaseReader | None, strict: bool
) -> tuple[list[ScanFeatures], list[str]]:
    """Return the features of the scans, and reasons why cases cannot be used."""
    found: list[ScanFeatures] = []
    refusals: list[str] = []
    chosen = {case.id for case in sample(cases)}
    looked = sample(cases, strict)
    own = reader or CaseReader()
    for done, case in enumerate(looked):
        progress(Phase.SURVEYING, done / len(looked))
        volume = own.judge(case, labels=reader is not None)
        refused = [note.message for note in own.notes.get(case.id, ()) if note.verdict == "refused"]
        if refused:
            refusals.append(f"The case {case.id!r} cannot be used: {refused[0]}")
        if volume is None or plan is None or case.id not in chosen:
            continue
        try:
            with naming(case):
                plan.check(volume, f"The case {case.id!r}")
                found.append(scan_features(volume, forward(volume, plan)[0], plan))
        except DataError as error:
            refusals.append(error.what)
    progress(Phase.SURVEYING, 1.0)
    return found, refusals


def _structure_advice(
    folder: ModelFolder, structures: StructureList, scans: Sequence[ScanFeatures], doubts: list[str]
) -> tuple[StructureAdvice, ...]:
    domain = TrainingDomain.of(folder, None, doubts.append)
    memory = read_exemplars(folder)
    return tuple(
        StructureAdvice(item.name, _middle(domain, scans, item.id), memory.count(item.id)) for item in structures
    )


def _middle(domain: TrainingDomain, scans: Sequence[ScanFeatures], structure: StructureId) -> Distance | None:
    """Return the median distance of the scans, number by number."""
    found = [nearest[0] for scan in scans if (nearest := domain.nearest(scan, structure)) is not None]
    if not found:
        return None
    return Distance(*np.median([list(vars(item).values()) for item in found], axis=0).tolist())


def _recommend(
    output: str,
    structures: Sequence[StructureAdvice],
    missing: frozenset[str],
    guaranteeing: tuple[str, str] | None,
) -> tuple[str | None, list[str], list[str]]:
    """Return a method of the model's family with its reasons, and what speaks against it."""
    distances = [item.distance for item in structures if item.distance is not None]
    farthest = max((item.largest for item in distances), default=None)
    without = [item.name for item in structures if not item.exemplars]
    rehearsing, distilling = _best(output, "exemplars", missing), _best(output, "teacher", missing)
    reasons, doubts = [_comparison(structures, farthest)], []
    if distances and (undescribed := [item.name for item in structures if item.distance is None]):
        doubts.append(_undescribed(undescribed))
    if any(word(item.intensity) == "unlike" for item in distances):
        doubts.append(
            "The stored intensities have a different range. Every scan is normalised, so this alone is harmless."
        )
    alien = farthest is not None and farthest > NEW_MODEL and output == "heads"
    if (apart := ("separate", _ALIEN) if alien else guaranteeing) is not None:
        return apart[0], [*reasons, apart[1]], doubts
    if farthest is not None and word(farthest) == "similar":
        if distilling in _FIRST:
            reasons.append("On similar scans, distillation from the previous model keeps the older structures.")
        else:
            reasons.append(_unmeasured(output))
        reasons[-1] += " No old scan is needed, and all training is spent on the new structure."
        return distilling, reasons, doubts
    if rehearsing is not None:
        reasons.append("The model keeps exemplars, which show it the older structures in their own scans.")
        if without:
            doubts.append(f"The model keeps no exemplar of {', '.join(without)}: only distillation preserves it.")
        return rehearsing, reasons, doubts
    if _best(output, "exemplars") is None:
        none = "No method of this model's family rehearses exemplars"
        reasons.append(f"{none}; this one keeps most." if distilling in _FIRST else f"{none}. {_unmeasured(output)}")
        if distilling is not None and find("method", distilling).draws_unlabelled:
            doubts.append(
                "Give the step unlabelled scans of the earlier kind as well, if there are some: on the new scans alone "
                "distillation says little about the old ones."
            )
        doubts.append(
            "For scans of a different kind that may not be enough. A model whose first step used "
            "the method finetune can rehearse exemplars, or give new structures a network of their own."
        )
        return distilling, reasons, doubts
    reasons.append("There are no exemplars, and among the methods that need none this one keeps most.")
    if output == "heads":
        doubts.append(
            "In the benchmark, a third of the old structure's Dice was lost on scans of a different kind. "
            "Make exemplars from the old scans, or use the method separate."
        )
    else:
        doubts.append("For scans of a different kind that may not be enough. Make exemplars from the old scans.")
    return distilling, reasons, doubts


def _best(output: str, need: str, missing: frozenset[str] = frozenset()) -> str | None:
    """Return the first choice among the methods that need ``need`` and, unless that is it, no exemplars.

    Methods are left out that need what the model does not hold, or the memory of a step of their own.
    """
    fitting = [
        name
        for name in names("method")
        if (kind := find("method", name)).output == output
        and need in kind.needs
        and not kind.needs & missing
        and not any(item.startswith("memory:") for item in kind.needs)
        and (need == "exemplars" or "exemplars" not in kind.needs)
    ]
    return min(fitting, key=lambda name: (_FIRST.index(name) if name in _FIRST else len(_FIRST), name), default=None)


def _unmeasured(output: str) -> str:
    """Say what is known of a method that distils the previous model, in a family without a first choice."""
    rivals = [name for name in names("method") if find("method", name).output == output]
    only = "It is the only method of this model's family, and" if len(rivals) == 1 else "This method"
    return f"{only} distils the previous model. How much it keeps was not compared; the gate measures it."


def _undescribed(names: Sequence[str]) -> str:
    """Say of which structures the training scans cannot be compared with new ones."""
    return (
        f"No description of the training scans of {', '.join(names)} is stored, so the new scans cannot be compared "
        "with them: the structure was adopted, or a case that taught it was forgotten."
    )


def _comparison(structures: Sequence[StructureAdvice], farthest: float | None) -> str:
    """Say how far the scans are from the training scans, and of which structures."""
    if farthest is None:
        return _undescribed([item.name for item in structures])
    close = word(farthest)
    if close == "similar":
        return f"The scans are similar to the training scans (distance {farthest:.1f}; up to {NEAR:g} is similar)."
    which = [item.name for item in structures if item.distance is not None and word(item.distance.largest) == close]
    return (
        f"The scans are {close} the training scans of {', '.join(which)} "
        f"(distance {farthest:.1f}; up to {NEAR:g} is similar, above {FAR:g} unlike)."
    )
