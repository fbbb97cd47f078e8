"""Which method suits a step: how far the new scans are from what the model has seen, and what it still holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from IncrementalSegLib.engine.domain import Seen, look_at
from IncrementalSegLib.engine.memories import read_exemplars
from IncrementalSegLib.engine.progress import Progress, silent
from IncrementalSegLib.engine.step.split import FEWEST_CASES
from IncrementalSegLib.errors import DataError
from IncrementalSegLib.evaluation.domain import FAR, NEAR, Distance, Traits, word
from IncrementalSegLib.names import name_key
from IncrementalSegLib.preprocessing.pipeline import forward
from IncrementalSegLib.preprocessing.plan import Plan
from IncrementalSegLib.registry import find, names
from IncrementalSegLib.sampling.cases import Case, Dataset, Notes, naming
from IncrementalSegLib.sampling.datasets import looked_for, open_cases
from IncrementalSegLib.sampling.reading import CaseReader, sample
from IncrementalSegLib.store.versions import ModelFolder, create_or_open
from IncrementalSegLib.structures import Request, StructureList, requests_of
from IncrementalSegLib.types import Json, StructureId
from IncrementalSegLib.volumes.notes import counted

OTHER_WORLD = 3.0
"""Beyond this distance (MR against CT) a new trunk is recommended; our own choice."""

_FIRST = ("aeiseg", "lwfseg", "pcdd", "mib")
"""Where several methods fit, these come first; any other follows by name."""


@dataclass(frozen=True)
class Standing:
    """How one structure of the model stands to the new scans.

    Attributes:
        name: Of the structure.
        distance: Median over the new scans, or ``None`` where the model does not know what taught it.
        exemplars: Number of scans kept that can be rehearsed.
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
class Advice:
    """What to do, and why.

    Attributes:
        method: Registered name, or ``None``: these scans want a model of their own.
        reasons: Sentences for people.
        cautions: What a person should know before the start.
        scans: How many scans were looked at.
        standings: Of the structures that the model knows.
        notes: Case -> what a person should know of it; of many cases an evenly spread sample is read.
    """

    method: str | None
    reasons: tuple[str, ...]
    cautions: tuple[str, ...] = ()
    scans: int = 0
    standings: tuple[Standing, ...] = ()
    notes: Notes = field(default_factory=dict)

    def to_json(self) -> Json:
        """Return the object that ``advise --json`` prints."""
        return {
            "method": self.method,
            "reasons": list(self.reasons),
            "cautions": list(self.cautions),
            "scans": self.scans,
            "structures": {item.name: item.to_json() for item in self.standings},
            "notes": counted(self.notes),
        }


def advise(
    model: str | Path,
    data: str | Path | Dataset,
    structures: str | Sequence[Request] | None = None,
    *,
    cases: str | None = None,
    exemplars: Literal["keep", "none"] = "keep",
    strict: bool = False,
    accept_grid: bool = False,
    progress: Progress = silent,
) -> Advice:
    """Recommend a method for a step; nothing is written.

    Args:
        model: The model's folder; it need not exist.
        data: The step's data set.
        structures: What the step would teach, as for ``learn``; by default all cases are looked at.
        cases: Case ids, comma-separated, or a file with one id per line; all by default.
        exemplars: Whether scans of this step may be kept.
        strict: What a person should know of a case (``check`` lists it) is an error.
        accept_grid: Take labels of their image's size voxel by voxel, wherever their headers put them.
        progress: Receives progress.

    Raises:
        IncrementalSegError: Something named is unknown or cannot be read.

    Example:
        >>> advise("model-to-be", "scans").method
        'finetune'
    """
    folder = create_or_open(model)
    dataset = open_cases(data, cases, accept_grid=accept_grid)
    if structures is not None:
        dataset = looked_for(dataset, requests_of(structures))
    reader = CaseReader(dataset, strict=strict)
    if not folder.current:
        for case in _spread(dataset, strict, progress):
            reader.judge(case)
        reader.finish()
        reason = (
            "This is the model's first step: there is nothing to keep yet, and every method of a family trains alike."
        )
        return Advice(
            "finetune", (reason,), tuple(_plain_cautions(dataset, StructureList(), exemplars)), notes=reader.notes
        )
    record = folder.record()
    plan = Plan.model_validate(record.preprocessing)
    found, refusals = _look(_spread(dataset, strict, progress), plan, reader)
    reader.finish()
    cautions = _plain_cautions(dataset, record.structures, exemplars)
    if not found:
        reasons = (f"The model cannot take these scans. {refusals[0]}", "Teach them to a model of their own.")
        return Advice(None, reasons, tuple(cautions), notes=reader.notes)
    if refusals:
        scans = len(sample(dataset.cases, strict))
        cautions.insert(0, f"Of {scans} scans {len(refusals)} would be refused. {refusals[0]}")
    standings = _standings(folder, record.structures, found)
    method, why, doubts = _recommend(record.output, standings)
    return Advice(method, tuple(why), (*doubts, *cautions), len(found), standings, reader.notes)


def _spread(dataset: Dataset, strict: bool, progress: Progress) -> Iterator[Case]:
    """Yield the cases to look at."""
    cases = sample(dataset.cases, strict)
    for done, case in enumerate(cases):
        progress("Looking at the scans", done / len(cases))
        yield case
    progress("Looking at the scans", 1.0)


def _look(cases: Iterable[Case], plan: Plan, reader: CaseReader) -> tuple[list[Traits], list[str]]:
    """Return what the scans look like, and why cases cannot be used."""
    found, refusals = [], []
    for case in cases:
        volume = reader.judge(case)
        refused = [note.message for note in reader.notes.get(case.id, ()) if note.verdict == "refused"]
        if refused:
            refusals.append(f"The case {case.id!r} cannot be used: {refused[0]}")
        if volume is None:
            continue
        try:
            with naming(case):
                plan.check(volume, f"The case {case.id!r}")
                found.append(look_at(volume, forward(volume, plan)[0], plan))
        except DataError as error:
            refusals.append(error.what)
    return found, refusals


def _standings(folder: ModelFolder, structures: StructureList, scans: Sequence[Traits]) -> tuple[Standing, ...]:
    seen = Seen.of(folder)
    memory = read_exemplars(folder)
    return tuple(
        Standing(item.name, _middle(seen, scans, item.id), len(memory.take("random", [item.id]))) for item in structures
    )


def _middle(seen: Seen, scans: Sequence[Traits], structure: StructureId) -> Distance | None:
    """Return the median distance of the scans, number by number."""
    found = [nearest[0] for scan in scans if (nearest := seen.nearest(scan, structure)) is not None]
    if not found:
        return None
    return Distance(*np.median([list(vars(item).values()) for item in found], axis=0).tolist())


def _recommend(output: str, standings: Sequence[Standing]) -> tuple[str | None, list[str], list[str]]:
    """Return a method of the model's family with its reasons, and what speaks against it."""
    distances = [item.distance for item in standings if item.distance is not None]
    farthest = max((item.largest for item in distances), default=None)
    bare = [item.name for item in standings if not item.exemplars]
    rehearsing, distilling = _best(output, "exemplars"), _best(output, "teacher")
    reasons, doubts = [_comparison(standings, farthest)], []
    if any(word(item.intensity) == "far" for item in distances):
        doubts.append("The stored intensities have another range; every scan is normalised, so that alone is no harm.")
    if farthest is not None and farthest > OTHER_WORLD and output == "heads":
        reasons.append(
            "They share too little to learn from each other: a trunk of its own leaves all old ones untouched."
        )
        return "separate", reasons, doubts
    if farthest is not None and word(farthest) == "near":
        reasons.append(
            "On scans of one kind the previous model's opinion of the new scans holds what is known. "
            "No old scan is needed, and all training serves the new structure."
        )
        return distilling, reasons, doubts
    if rehearsing is not None and len(bare) < len(standings):
        reasons.append("The model keeps scans that show it what the old structures look like in theirs.")
        if bare:
            doubts.append(f"No scan of {', '.join(bare)} is kept: only the previous model's opinion holds it.")
        return rehearsing, reasons, doubts
    if rehearsing is None:
        reasons.append("No method of this model's family rehearses old scans; of them this one holds most.")
        doubts.append(
            "With scans of another kind that may not be enough. A model whose first step is taught with "
            "--method finetune can rehearse old scans, or give new structures a trunk of their own."
        )
        return distilling, reasons, doubts
    reasons.append("No old scan is kept, and of the methods that need none this one holds most.")
    doubts.append(
        "With scans of another kind and no old ones a third of the old structure's Dice was lost in the benchmark. "
        "Make exemplars from the old scans (incrementalseg exemplars MODEL remember), or take --method separate."
    )
    return distilling, reasons, doubts


def _best(output: str, need: str) -> str | None:
    """Return the first choice among the methods that need ``need`` and, unless that is it, no exemplars."""
    fitting = [
        name
        for name in names("method")
        if (kind := find("method", name)).output == output
        and need in kind.needs
        and (need == "exemplars" or "exemplars" not in kind.needs)
    ]
    return min(fitting, key=lambda name: (_FIRST.index(name) if name in _FIRST else len(_FIRST), name), default=None)


def _comparison(standings: Sequence[Standing], farthest: float | None) -> str:
    """Say how far the scans are from those that taught, and from which."""
    if farthest is None:
        return "The model does not know what the scans looked like that taught it: an older program made it."
    close = word(farthest)
    if close == "near":
        return f"The scans are like those that taught the model (distance {farthest:.1f}; up to {NEAR:g} is near)."
    which = [item.name for item in standings if item.distance is not None and word(item.distance.largest) == close]
    degree = "unlike" if close == "far" else "somewhat unlike"
    return (
        f"The scans are {degree} those that taught {', '.join(which)} "
        f"(distance {farthest:.1f}; up to {NEAR:g} is near, above {FAR:g} is far)."
    )


def _plain_cautions(dataset: Dataset, known: StructureList, exemplars: str) -> list[str]:
    """Return what is worth knowing of the data whatever the method."""
    cautions = []
    count = len(dataset.cases)
    if count < FEWEST_CASES:
        cautions.append(
            f"With {count} {'case' if count == 1 else 'cases'} none is set aside: nothing will measure the new "
            f"structure. From {FEWEST_CASES} cases on one is."
        )
    labels = {name_key(name) for case in dataset.cases for name in case.looked_for}
    absent = [name for name in known.names if name_key(name) not in labels]
    if absent:
        cautions.append(
            f"{', '.join(absent)} need not be outlined in the new scans: what was not looked for is unknown there, "
            "not background."
        )
    if exemplars == "none":
        cautions.append("With --exemplars none no scan of this step is kept: no later step can rehearse it.")
    return cautions
