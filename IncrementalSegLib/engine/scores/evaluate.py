"""Score a version on labelled cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field, InstanceOf, SkipValidation
from pydantic.dataclasses import dataclass as pydantic_dataclass

from IncrementalSegLib.engine.history import History
from IncrementalSegLib.engine.models import load
from IncrementalSegLib.engine.runtime import start
from IncrementalSegLib.engine.scores.scoring import Watch, score_cases
from IncrementalSegLib.engine.settings import DATA, MODEL, CaseChoice, ReadingSettings, VersionSettings
from IncrementalSegLib.errors import DataError, Hint, OptionRef
from IncrementalSegLib.evaluation.metrics import StructureScore, summarise
from IncrementalSegLib.names import name_key
from IncrementalSegLib.options import CONFIG, called_with
from IncrementalSegLib.sampling.cases import Case, Dataset, Notes
from IncrementalSegLib.sampling.datasets import open_cases, restrict_labels
from IncrementalSegLib.sampling.reading import CaseReader
from IncrementalSegLib.store.manifest import fingerprint
from IncrementalSegLib.store.versions import open_model
from IncrementalSegLib.structures import StructureList, StructureSpec, specs_of
from IncrementalSegLib.types import Json, StructureId
from IncrementalSegLib.volumes.notes import counted
from IncrementalSegLib.volumes.pictures import is_picture


@dataclass(frozen=True)
class Evaluation:
    """Scores of a version.

    Attributes:
        version: Number of the version.
        structures: Structure name -> scores.
        warnings: What a person should know of the scores, for example cases that were seen in training.
        notes: Case -> what a person should know of it.
    """

    version: int
    structures: Mapping[str, StructureScore]
    warnings: tuple[str, ...] = ()
    notes: Notes = field(default_factory=dict)

    def to_json(self) -> Json:
        """Return the object that ``evaluate --json`` prints."""
        return {
            "version": self.version,
            "structures": {name: score.to_json() for name, score in self.structures.items()},
            "warnings": list(self.warnings),
            "notes": counted(self.notes),
        }


@pydantic_dataclass(frozen=True, config=CONFIG)
class EvaluateCall(VersionSettings, ReadingSettings, CaseChoice):
    """The arguments of :func:`evaluate`."""

    model: Annotated[str | Path, Field(description=MODEL)]
    data: Annotated[str | Path | InstanceOf[Dataset], Field(description=DATA)]
    _: KW_ONLY
    structures: Annotated[
        str | Sequence[StructureSpec] | None,
        Field(description='"femur, tibia=LABEL IN DATA"; by default every structure that the data names too.'),
    ] = None
    watch: Annotated[
        SkipValidation[Watch | None],
        Field(description="Called with each case, its volume, true masks and prediction, for pictures."),
    ] = None


@called_with(EvaluateCall)
def evaluate(call: EvaluateCall) -> Evaluation:
    """Segment labelled cases and compare: Dice, ASSD and HD95 per structure.

    Returns:
        The scores.

    Raises:
        IncrementalSegError: Something named is unknown, does not fit or cannot be read.

    Example:
        >>> evaluate("shoulder", "scans").structures["humerus"].cases
        2
    """
    folder = open_model(call.model)
    record = folder.record(call.version)
    dataset = open_cases(call.data, call.cases, accept_grid=call.accept_grid)
    wanted = specs_of(call.structures) if call.structures is not None else common_names(record.structures, dataset)
    dataset = restrict_labels(dataset, wanted)
    reader = CaseReader(dataset, strict=call.strict)
    ids = {name_key(request.label): record.structures.named(request.name).id for request in wanted}
    structure_of = {
        label: ids[name_key(label)] for label in sorted({name for case in dataset.cases for name in case.looked_for})
    }
    runtime = start(call.device)
    past = _PastCases(History.of(folder, record.number))
    scores = score_cases(
        load(folder, runtime, call.version).predictor(runtime),
        dataset.cases,
        structure_of,
        largest=call.largest_component,
        seen=past.taught,
        watch=call.watch,
        reader=reader,
        progress=call.progress,
    )
    reader.finish()
    rng = np.random.default_rng(0)
    named = {record.structures.by_id(item).name: summarise(found, rng) for item, found in scores.items()}
    warnings = tuple(filter(None, (score.seen(name) for name, score in named.items())))
    held_out = (
        _held_out(name, record.structures.named(name).id, score, dataset.cases, past) for name, score in named.items()
    )
    warnings += tuple(filter(None, held_out))
    if any(is_picture(path) for case in dataset.cases for path in case.images):
        warnings += ("Pictures have no millimetres: their ASSD and HD95 are in pixels.",)
    if call.structures is None:
        warnings += tuple(
            Hint(
                f"{name} was not scored: the data has no label of this name. Name the label: ",
                OptionRef("structures", f"{name}=LABEL IN DATA"),
                ".",
            )
            for name in record.structures.names
            if name not in named
        )
    return Evaluation(record.number, named, warnings, reader.notes)


def common_names(known: StructureList, dataset: Dataset, option: str = "structures") -> list[StructureSpec]:
    """Return the structures that the data names too.

    Args:
        known: The structures of the model.
        dataset: The data.
        option: The parameter that says which label is which.

    Raises:
        DataError: It names none.
    """
    labels = {name_key(name): name for name in dataset.names}
    found = [StructureSpec(item.name, labels[name_key(item.name)]) for item in known if name_key(item.name) in labels]
    if not found:
        raise DataError(
            f"The data names none of the model's structures ({', '.join(known.names)}).",
            f"It names {', '.join(dataset.names) or 'nothing'}.",
            Hint("Say which is which: ", OptionRef(option, "NAME IN MODEL=LABEL IN DATA"), "."),
        )
    return found


class _PastCases:
    """The part that cases played in earlier steps, by the content of their images."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._prints: dict[str, str] = {}

    def taught(self, case: Case, structure: StructureId) -> bool:
        """Return whether a case is a training scan of a structure, in any step."""
        return self._print(case) in self._history.taught_by(structure)

    def held_out(self, case: Case, structure: StructureId) -> bool:
        """Return whether a case was held out in a step that taught a structure, and so chose its weights."""
        return self._print(case) in self._history.held_out_for(structure)

    def _print(self, case: Case) -> str:
        if case.id not in self._prints:
            self._prints[case.id] = fingerprint(case.images)
        return self._prints[case.id]


def _held_out(name: str, structure: StructureId, score: StructureScore, cases: Sequence[Case], past: _PastCases) -> str:
    """Say how many scored cases were held out when the structure was taught; empty where none was."""
    scored = {item.case for item in score.scores}
    count = sum(case.id in scored and past.held_out(case, structure) for case in cases)
    if not count:
        return ""
    return (
        f"{name}: {count} of {len(scored)} cases were held out in training and chose the weights, so the score is "
        "slightly optimistic."
    )
