"""Corrections by a simulated user on labelled cases: Dice before, and after each round."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field, InstanceOf
from pydantic.dataclasses import dataclass as pydantic_dataclass

from IncrementalSegLib.correction.regions import require_slic
from IncrementalSegLib.correction.strokes import Strokes
from IncrementalSegLib.correction.user import draw_strokes
from IncrementalSegLib.engine.propagated import revision
from IncrementalSegLib.engine.ready import ReadyModel
from IncrementalSegLib.engine.settings import MODEL, CaseChoice, VersionChoice
from IncrementalSegLib.errors import DataError
from IncrementalSegLib.evaluation.metrics import score
from IncrementalSegLib.options import CONFIG, called_with
from IncrementalSegLib.progress import UNTOLD, Phase, Share
from IncrementalSegLib.sampling.cases import Case, Dataset, naming
from IncrementalSegLib.sampling.datasets import open_cases, restrict_labels
from IncrementalSegLib.sampling.reading import CaseReader
from IncrementalSegLib.structures import StructureSpec
from IncrementalSegLib.types import Json, StructureId
from IncrementalSegLib.volumes.labels import Mask
from IncrementalSegLib.volumes.volume import Volume

Scores = dict[str, list[float | None]]
"""Structure name -> Dice before and after each round; ``None`` where truth and outline are both empty."""


@dataclass(frozen=True)
class CaseSimulation:
    """A corrected case.

    Attributes:
        case: Id of the case.
        dice: Dice before and after each round.
        strokes_only: Dice if the strokes held and nothing else changed: the rest is due to the propagation.
        voxels: Voxels under the strokes of all rounds.
    """

    case: str
    dice: Scores
    strokes_only: Scores
    voxels: int


@dataclass(frozen=True)
class Simulation:
    """Corrected cases.

    Attributes:
        spots: Largest number of strokes per round.
        rounds: Rounds per case.
        cases: The cases.
        warnings: What a person should know.
    """

    spots: int
    rounds: int
    cases: tuple[CaseSimulation, ...]
    warnings: list[str]

    def mean(self, part: Callable[[CaseSimulation], Scores]) -> Scores:
        """Return the mean over the cases of one kind of score."""
        columns = {name: [part(case)[name] for case in self.cases] for name in part(self.cases[0])}
        return {name: [_mean(column) for column in zip(*rows, strict=True)] for name, rows in columns.items()}

    def to_json(self) -> Json:
        """Return the object that ``correct --simulate --json`` prints."""
        return {
            "spots": self.spots,
            "rounds": self.rounds,
            "dice": self.mean(lambda case: case.dice),
            "strokes_only": self.mean(lambda case: case.strokes_only),
            "cases": [vars(case) for case in self.cases],
            "warnings": self.warnings,
        }


@pydantic_dataclass(frozen=True, config=CONFIG)
class SimulateCall(VersionChoice, CaseChoice):
    """The arguments of :func:`simulate`."""

    model: Annotated[str | Path, Field(description=MODEL)]
    data: Annotated[
        str | Path | InstanceOf[Dataset],
        Field(
            description="A data set whose labels are named like the structures of the model; cases in which one of "
            "them was not looked for are left out."
        ),
    ]
    _: KW_ONLY
    spots: Annotated[int, Field(ge=1, description="Largest number of strokes per round.")] = 16
    rounds: Annotated[
        int, Field(ge=1, description="Rounds per case; the outline is predicted again from the strokes of all rounds.")
    ] = 2


@called_with(SimulateCall)
def simulate(call: SimulateCall) -> Simulation:
    """Let a simulated user correct labelled cases by strokes that only propagate; nothing is written or learned.

    Returns:
        Dice before and after each round.

    Raises:
        IncrementalSegError: Something named is unknown, does not fit or cannot be read.
    """
    require_slic()
    dataset = open_cases(call.data, call.cases)
    ready = ReadyModel.open(call.model, None, call.version, call.device)
    names = ready.structures.names
    dataset = restrict_labels(dataset, [StructureSpec(name, name) for name in names])
    reader, found = CaseReader(dataset), []
    for number, case in enumerate(dataset.cases):
        if len(case.looked_for) < len(names):
            lacking = ", ".join(name for name in names if name not in case.looked_for)
            ready.warnings.append(f"{case.id} is left out: {lacking} was not looked for in it.")
            continue
        segmenting = Share.of(call.progress, Phase.SEGMENTING.of(case.id))
        share = segmenting.sub(number / len(dataset.cases), (number + 1) / len(dataset.cases))
        volume, masks = reader.read(case)
        truth = {ready.structures.named(name).id: mask for name, mask in masks.items()}
        with naming(case):
            found.append(_correct_case(case, volume, truth, ready, call.spots, call.rounds, share))
    reader.finish()
    if not found:
        raise DataError(
            f"In none of the cases all structures of the model ({', '.join(names)}) were looked for.",
            "The simulated user has to know them all.",
            "Use a data set in which every one of them is labelled.",
        )
    return Simulation(call.spots, call.rounds, tuple(found), ready.warnings)


def _correct_case(
    case: Case,
    volume: Volume,
    truth: Mapping[StructureId, Mask],
    ready: ReadyModel,
    spots: int,
    rounds: int,
    progress: Share = UNTOLD,
) -> CaseSimulation:
    first = ready.predict(volume, case.id, uncertainty=True, progress=progress.sub(0.0, 0.8))
    assert first.uncertainty is not None
    spacing, doubtful = volume.grid.steps, volume.unlabelled
    outlines, alone = [first.mask], [first.mask]
    strokes: Strokes | None = None
    for number in range(rounds):
        strokes = draw_strokes(first.uncertainty, outlines[-1], truth, spacing, spots, strokes, doubtful)
        share = progress.sub(0.8 + 0.2 * number / rounds, 0.8 + 0.2 * (number + 1) / rounds)
        revised = ready.predictor.predict(
            volume, ready.structures.ids, revise=revision(strokes, ready, volume), progress=share
        )
        outlines.append(strokes.imposed(revised.mask))
        alone.append(strokes.imposed(first.mask))
    assert strokes is not None
    return CaseSimulation(
        case=case.id,
        dice=_scores(outlines, truth, ready, spacing),
        strokes_only=_scores(alone, truth, ready, spacing),
        voxels=int(np.count_nonzero(strokes.known)),
    )


def _scores(
    outlines: Sequence[Mapping[StructureId, Mask]],
    truth: Mapping[StructureId, Mask],
    ready: ReadyModel,
    spacing: tuple[float, float, float],
) -> Scores:
    return {
        item.name: [score(masks[item.id], truth[item.id], spacing).dice for masks in outlines]
        for item in ready.structures
    }


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
