"""Corrections by a simulated user on labelled cases: outlines and Dice before, and after each round."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field, InstanceOf
from pydantic.dataclasses import dataclass as pydantic_dataclass

from IncrementalSegLib.correction.regions import require_slic
from IncrementalSegLib.correction.strokes import Strokes
from IncrementalSegLib.correction.user import Guidance, draw_strokes
from IncrementalSegLib.engine.propagated import PlacedStrokes
from IncrementalSegLib.engine.ready import ReadyModel
from IncrementalSegLib.engine.runtime import start
from IncrementalSegLib.engine.session.learner import STEPS, Learner, LearnerSettings
from IncrementalSegLib.engine.session.rounds import Rounds
from IncrementalSegLib.engine.session.scans import Masks
from IncrementalSegLib.engine.settings import MODEL, CaseChoice, VersionChoice
from IncrementalSegLib.engine.sources import ScanSource
from IncrementalSegLib.errors import DataError
from IncrementalSegLib.evaluation.metrics import score
from IncrementalSegLib.names import name_key
from IncrementalSegLib.options import CONFIG, called_with
from IncrementalSegLib.progress import UNTOLD, Phase, Share
from IncrementalSegLib.sampling.cases import Case, Dataset, naming
from IncrementalSegLib.sampling.datasets import open_cases, restrict_labels
from IncrementalSegLib.sampling.reading import CaseReader, read_case
from IncrementalSegLib.store.versions import open_model
from IncrementalSegLib.structures import StructureSpec, specs_of
from IncrementalSegLib.types import Json
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
        start: Dice of the version in use; equal to the first of ``dice`` where nothing was learned before.
        back: Dice of the outline without strokes after the last case; empty where nothing is learned.
    """

    case: str
    dice: Scores
    strokes_only: Scores
    voxels: int
    start: Scores
    back: Scores


@dataclass(frozen=True)
class Simulation:
    """Corrected cases.

    Attributes:
        spots: Largest number of strokes per round.
        rounds: Rounds per case.
        cases: The cases, in the order in which they were corrected.
        warnings: What a person should know.
        method: How the model learned from one case for the next; ``None``: it learned nothing.
    """

    spots: int
    rounds: int
    cases: tuple[CaseSimulation, ...]
    warnings: list[str]
    method: str | None = None

    def mean(self, part: Callable[[CaseSimulation], Scores]) -> Scores:
        """Return the mean over the cases of one kind of score."""
        columns = {name: [part(case)[name] for case in self.cases] for name in part(self.cases[0])}
        return {name: [_mean(column) for column in zip(*rows, strict=True)] for name, rows in columns.items()}

    def to_json(self) -> Json:
        """Return the object that ``correct --simulate --json`` prints."""
        return {
            "spots": self.spots,
            "rounds": self.rounds,
            "method": self.method,
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
            description="A data set with labels of all structures of the model; cases in which one of them was not "
            "looked for are left out."
        ),
    ]
    _: KW_ONLY
    structures: Annotated[
        str | Sequence[StructureSpec] | None,
        Field(description='"tibia=LABEL IN DATA"; by default the labels are named like the structures.'),
    ] = None
    spots: Annotated[int, Field(ge=1, description="Largest number of strokes per round.")] = 16
    rounds: Annotated[
        int, Field(ge=1, description="Rounds per case; the outline is predicted again from the strokes of all rounds.")
    ] = 2
    method: Annotated[
        str | None,
        Field(description="How a copy of the model learns from one case for the next; by default it learns nothing."),
    ] = None
    options: Annotated[Mapping[str, Any], Field(description="Options of the method; `methods` lists them.")] = field(
        default_factory=dict
    )
    steps: Annotated[int, Field(ge=1, description="Optimiser steps of a round.")] = STEPS
    guidance: Annotated[
        Guidance,
        Field(description="Which wrong places are corrected first: the most uncertain, the largest (error), or any."),
    ] = "uncertainty"
    seed: Annotated[int, Field(ge=0, description="Decides batches, dropout and random places.")] = 0


@called_with(SimulateCall)
def simulate(call: SimulateCall) -> Simulation:
    """Let a simulated user correct labelled cases, one after the other; nothing is written.

    With a method a copy of the model learns from each round, as in a correction session, and all cases are predicted
    again after the last one.

    Returns:
        Dice before and after each round.

    Raises:
        IncrementalSegError: Something named is unknown, does not fit or cannot be read.
    """
    require_slic()
    dataset = open_cases(call.data, call.cases)
    ready = ReadyModel.open(call.model, None, call.version, call.device)
    specs = _labels(call, ready)
    dataset, labels = restrict_labels(dataset, specs), [item.label for item in specs]
    user = SimulatedUser(ready, call, CaseReader(dataset))
    found = []
    for number, case in enumerate(dataset.cases):
        if len(case.looked_for) < len(labels):
            lacking = ", ".join(label for label in labels if label not in case.looked_for)
            ready.warnings.append(f"{case.id} is left out: {lacking} was not looked for in it.")
            continue
        segmenting = Share.of(call.progress, Phase.SEGMENTING.of(case.id))
        share = segmenting.sub(number / len(dataset.cases), (number + 1) / len(dataset.cases))
        with naming(case):
            found.append(_scored(case, user.correct(case, share), ready))
    user.reader.finish()
    if not found:
        raise DataError(
            f"In none of the cases all structures of the model ({', '.join(labels)}) were looked for.",
            "The simulated user has to know them all.",
            "Use a data set in which every one of them is labelled.",
        )
    if user.session is not None:
        corrected = {case.id: case for case in dataset.cases}
        found = [replace(item, back=_looked_back(corrected[item.case], user)) for item in found]
    return Simulation(call.spots, call.rounds, tuple(found), ready.warnings, call.method)


@dataclass(frozen=True)
class Corrected:
    """Outlines of a case that the simulated user has corrected.

    Attributes:
        truth: The true outlines.
        start: By the version in use.
        outlines: Before and after each round.
        strokes_only: The same if the strokes held and nothing else changed.
        voxels: Voxels under the strokes of all rounds.
        spacing: Millimetres along D, H, W.
    """

    truth: Masks
    start: Masks
    outlines: tuple[Masks, ...]
    strokes_only: tuple[Masks, ...]
    voxels: int
    spacing: tuple[float, float, float]


class SimulatedUser:
    """Correct one case after the other, and let a copy of the model learn where the call names a method.

    Args:
        ready: The version in use.
        call: How cases are corrected; its data set is not read.
        reader: Reads the cases.

    Raises:
        IncrementalSegError: The method is unknown or does not fit.
    """

    def __init__(self, ready: ReadyModel, call: SimulateCall, reader: CaseReader) -> None:
        self.before, self.call, self.reader = ready, call, reader
        self.session: Rounds | None = None
        self.random = np.random.default_rng(call.seed)
        self._ids = {name_key(item.label): ready.structures.named(item.name).id for item in _labels(call, ready)}
        if call.method is not None:
            settings = LearnerSettings(call.method, call.options, call.seed)
            learner = Learner(open_model(call.model), settings, start(call.device), lambda *_: None, ready.loaded)
            self.session = Rounds(ready, learner)

    @property
    def ready(self) -> ReadyModel:
        """The model as it is now."""
        return self.before if self.session is None else self.session.ready

    def correct(self, case: Case, progress: Share = UNTOLD) -> Corrected:
        """Correct a case in as many rounds as asked for."""
        volume, masks = self.reader.read(case)
        truth = self._truth(masks)
        first = self.ready.predict(volume, case.id, uncertainty=True, progress=progress.sub(0.0, 0.8))
        unlearned = first if self.session is None else self.before.predictor.predict(volume, self.ready.structures.ids)
        assert first.uncertainty is not None
        spacing, rounds = volume.grid.steps, self.call.rounds
        outlines, alone = [first.mask], [first.mask]
        strokes: Strokes | None = None
        for number in range(rounds):
            strokes = draw_strokes(
                first.uncertainty, outlines[-1], truth, spacing, self.call.spots, strokes, volume.unlabelled,
                self.call.guidance, self.random,
            )  # fmt: skip
            share = progress.sub(0.8 + 0.2 * number / rounds, 0.8 + 0.2 * (number + 1) / rounds)
            outlines.append(self._round(case, volume, strokes, share))
            alone.append(strokes.imposed(first.mask))
        assert strokes is not None
        voxels = int(np.count_nonzero(strokes.known))
        return Corrected(truth, unlearned.mask, tuple(outlines), tuple(alone), voxels, spacing)

    def outline(self, case: Case) -> tuple[Masks, Masks]:
        """Return the outlines of a case without strokes, as the model is now, and the truth."""
        volume, masks = read_case(case, [])
        return self.ready.predictor.predict(volume, self.ready.structures.ids).mask, self._truth(masks)

    def _round(self, case: Case, volume: Volume, strokes: Strokes, progress: Share) -> Masks:
        """Return the outline after a round."""
        if self.session is None or not strokes.known.any():
            revise = PlacedStrokes.of(strokes, self.ready, volume).spread
            found = self.ready.predictor.predict(volume, self.ready.structures.ids, revise=revise, progress=progress)
            return strokes.imposed(found.mask)
        source = ScanSource(case.id, case.images)
        return self.session.correct(source, volume, strokes, self.call.steps, progress).mask

    def _truth(self, masks: Mapping[str, Mask]) -> Masks:
        return {self._ids[name_key(label)]: mask for label, mask in masks.items()}


def _labels(call: SimulateCall, ready: ReadyModel) -> list[StructureSpec]:
    """Return each structure of the model with its label in the data.

    Raises:
        IncrementalSegError: A structure is unknown to the model, or two have one label.
    """
    given = [] if call.structures is None else specs_of(call.structures)
    labels = {ready.structures.named(item.name).name: item.label for item in given}
    return specs_of([StructureSpec(name, labels.get(name, name)) for name in ready.structures.names])


def _scored(case: Case, found: Corrected, ready: ReadyModel) -> CaseSimulation:
    dice, strokes_only, begun = (
        _scores(outlines, found.truth, ready, found.spacing)
        for outlines in (found.outlines, found.strokes_only, [found.start])
    )
    return CaseSimulation(case.id, dice, strokes_only, found.voxels, begun, back={})


def _looked_back(case: Case, user: SimulatedUser) -> Scores:
    """Score the outline of a case without strokes, as the model is now."""
    found, truth = user.outline(case)
    return _scores([found], truth, user.ready, (1.0, 1.0, 1.0))


def _scores(
    outlines: Sequence[Masks],
    truth: Masks,
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
