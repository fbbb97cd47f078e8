"""The scans of a step: read, brought to the model's grid, looked at, and split."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

from IncrementalSegLib.engine.documents import plan_of
from IncrementalSegLib.engine.domain import TrainingDomain, scan_features
from IncrementalSegLib.engine.history import case_entry
from IncrementalSegLib.engine.settings import NormalisationChoice, StepSettings
from IncrementalSegLib.engine.step.copies import contradictions, grouped_copies, united_copies
from IncrementalSegLib.engine.step.fitted import is_fitted, plan_fitted
from IncrementalSegLib.engine.step.presets import Preset
from IncrementalSegLib.engine.step.request import StepRequest
from IncrementalSegLib.engine.step.split import FEWEST_CASES, Present, split
from IncrementalSegLib.engine.step.unlabelled import without_held_out
from IncrementalSegLib.errors import DataError, Hint, ModelError, OptionRef
from IncrementalSegLib.evaluation.domain import ScanFeatures
from IncrementalSegLib.preprocessing.fitted_plan import ScanExtent
from IncrementalSegLib.preprocessing.intensity import Normalisation, is_hounsfield
from IncrementalSegLib.preprocessing.plan import Plan, plan_for
from IncrementalSegLib.progress import Phase, Progress
from IncrementalSegLib.registry import find
from IncrementalSegLib.sampling.batch import PreparedCase
from IncrementalSegLib.sampling.cases import Case, naming
from IncrementalSegLib.sampling.prepare import prepare, require_apart, require_voxels
from IncrementalSegLib.sampling.reading import CaseReader
from IncrementalSegLib.types import Json, StructureId
from IncrementalSegLib.volumes.volume import Grid

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Subset:
    """One side of the split.

    Attributes:
        cases: The cases.
        prepared: The same, on the model's grid.
        entries: Their entries in the history (:func:`history.case_entry`), taken when they were read.
    """

    cases: Sequence[Case]
    prepared: Sequence[PreparedCase]
    entries: Sequence[Json] = ()

    @property
    def fingerprints(self) -> list[str]:
        """Fingerprint of the images of each case."""
        return [entry["sha256"] for entry in self.entries]


@dataclass(frozen=True, kw_only=True)
class StepData:
    """Data of a step.

    Attributes:
        plan: How scans become what the network sees.
        train: Training cases.
        held_out: Held-out cases.
        unlabelled: Cases of earlier domains, of which only the scans are read.
        domain: The training domain of the model after this step.
        unjudged: Structures of the step that no held-out scan shows.
    """

    plan: Plan
    train: Subset
    held_out: Subset
    domain: TrainingDomain
    unlabelled: Subset = Subset((), ())
    unjudged: tuple[StructureId, ...] = ()


def read_step_data(
    request: StepRequest,
    preset: Preset,
    settings: StepSettings,
    progress: Progress,
    reader: CaseReader,
    plan: Plan | None = None,
) -> StepData:
    """Read, split and prepare the scans of a step, and say what a person should know of them.

    Args:
        request: What was asked for.
        preset: Size of the network.
        settings: How the step is done.
        progress: Receives progress.
        reader: Reads the cases.
        plan: The plan of the model, where a resumed step has chosen it already.

    Raises:
        IncrementalSegError: A scan cannot be read or does not fit, or a structure has no voxel.
    """
    history, plan = request.history, plan or model_plan(request, preset, reader, settings.normalisation)
    request.judges.read(plan, progress, strict=settings.strict)
    read = _Reading(request, plan, progress, reader)
    training, held_out = split(request.cases.cases, settings.seed, history.trained, history.held_out, read.present)
    read.all([*training, *held_out])
    read.tell_assumed()
    read.tell_other_units()
    reader.finish()
    train = read.subset(training, findable=False)
    names = {item: request.structures.by_id(item).name for item in request.taught}
    require_voxels(train.prepared, names)
    blind = not_judged(request, held_out, read.present)
    if blind and len(request.cases.cases) >= FEWEST_CASES:
        log.warning("%s", _cannot_be_judged([names[item] for item in blind]))
    judging = read.subset(held_out, findable=True)
    copies, judging_copies = (grouped_copies(side.prepared, side.fingerprints) for side in (train, judging))
    for warning in contradictions([*copies, *judging_copies], names):
        log.warning("%s", warning)
    if find("output", request.method.output).exclusive:
        for warning in require_apart([united_copies(group) for group in copies], names):
            log.warning(warning)
    domain = TrainingDomain.of(request.folder, None, log.warning) if request.folder is not None else TrainingDomain()
    domain = domain.with_step(request.step, [(read.features[case.id], case.structures) for case in train.prepared])
    unlabelled = without_held_out(request.unlabelled, held_out, training)
    if unlabelled:
        log.info("Unlabelled scans on which the previous model is distilled: %d.", len(unlabelled))
    return StepData(
        plan=plan,
        train=train,
        held_out=judging,
        domain=domain,
        unlabelled=read_unlabelled(unlabelled, plan, progress, strict=settings.strict),
        unjudged=blind,
    )


def read_unlabelled(cases: Sequence[Case], plan: Plan, progress: Progress, *, strict: bool) -> Subset:
    """Return unlabelled cases with their scans; they are compared with each other alone.

    Args:
        cases: Cases without labels.
        plan: The model's plan.
        progress: Receives progress.
        strict: A note on a scan is an error.

    Raises:
        DataError: A scan cannot be read or does not fit the plan.
    """
    reader, prepared = CaseReader(strict=strict), []
    for done, case in enumerate(cases):
        progress(Phase.READING, done / len(cases))
        try:
            prepared.append(prepare(case, reader.scan(case), {}, plan))
        except DataError as error:
            raise type(error)(
                f"An unlabelled scan cannot be used. {error.what}",
                error.why or "The model sees unlabelled scans as it sees those that teach it.",
                Hint("Take it out of the scans of ", OptionRef("unlabelled"), "."),
            ) from error
    reader.finish()
    return Subset(cases, prepared, [case_entry(case, {}, findable=False) for case in cases])


def not_judged(request: StepRequest, held_out: Sequence[Case], present: Present) -> tuple[StructureId, ...]:
    """Return the structures of a step that no held-out scan shows, neither in it nor in an earlier one."""
    shown = {request.structure_of[name] for case in held_out for name in present(case)}
    blind = []
    for item in request.taught:
        last = request.history.last_step(item)
        if item not in shown and (last is None or item in last.get("unjudged", ())):
            blind.append(item)
    return tuple(blind)


def _cannot_be_judged(names: Sequence[str]) -> str:
    """Say of which structures no later step can measure what is kept."""
    return (
        f"No later step can measure whether {', '.join(names)} is kept: no held-out scan shows it. One patient alone "
        "does, who is needed for training, or all who do have trained before. Exemplars will judge it, where they are "
        "kept; better add a scan of another patient that shows it."
    )


class _Reading:
    """Read and prepare each case once, those first that decide the split."""

    def __init__(self, request: StepRequest, plan: Plan, progress: Progress, reader: CaseReader) -> None:
        self.request, self.plan, self.progress, self.reader = request, plan, progress, reader
        self.prepared: dict[str, PreparedCase] = {}
        self.features: dict[str, ScanFeatures] = {}
        self._present: dict[str, frozenset[str]] = {}
        self._hounsfield: dict[str, list[bool]] = {}

    def present(self, case: Case) -> frozenset[str]:
        """Return the label names that have a voxel in a case."""
        if case.id not in self._present:
            self._read(case)
        return self._present[case.id]

    def all(self, cases: Sequence[Case]) -> None:
        """Read what is left."""
        for case in cases:
            self.present(case)
        self.progress(Phase.READING, 1.0)

    def subset(self, cases: Sequence[Case], *, findable: bool) -> Subset:
        """Return cases that were read, with their entries in the history."""
        entries = [case_entry(case, self.request.structure_of, findable=findable) for case in cases]
        prepared = [replace(self.prepared[case.id], group=self._group(case)) for case in cases]
        return Subset(cases, prepared, entries)

    def _group(self, case: Case) -> tuple[str, str]:
        """Return the modality of a case and the name of its data set; without a name no guess is needed."""
        return case.modality or (self._assumed(case.source) if case.source else ""), case.source

    def _assumed(self, source: str) -> str:
        """Return the modality of a data set that does not state it, by the values of most of its scans."""
        found = self._hounsfield[source]
        return "CT" if 2 * sum(found) > len(found) else "other"

    def tell_assumed(self) -> None:
        """Say which modality is assumed of the data sets that do not state it; batches are balanced by it."""
        unstated = {case.source for case in self.request.cases.cases if case.source and not case.modality}
        if unstated:
            log.info(
                "Batches are balanced by modality. By their values: %s. A manifest or dataset.json can state it.",
                "; ".join(f"{source}: {self._assumed(source)}" for source in sorted(unstated)),
            )

    def tell_other_units(self) -> None:
        """Warn of scans without Hounsfield units for a model that takes all intensities for them."""
        found = [item for each in self._hounsfield.values() for item in each]
        if self.request.parent is not None and self.plan.normalisation == "ct" and not all(found):
            log.warning(
                "%d of %d scans do not look like CT in Hounsfield units, and the model takes all intensities for such. "
                "A model for both kinds starts with %s.",
                found.count(False),
                len(found),
                OptionRef("normalisation", "zscore"),
            )

    def _read(self, case: Case) -> None:
        self.progress(Phase.READING, len(self.prepared) / len(self.request.cases.cases))
        with naming(case):
            volume, masks = self.reader.read(case)
            wanted = {self.request.structure_of[name]: masks[name] for name in sorted(case.looked_for)}
            self.prepared[case.id] = prepare(case, volume, wanted, self.plan)
            self.features[case.id] = scan_features(volume, self.prepared[case.id].image, self.plan)
            if case.source or self.plan.normalisation == "ct":
                self._hounsfield.setdefault(case.source, []).append(is_hounsfield(volume.array))
        self._present[case.id] = frozenset(name for name in case.looked_for if masks[name].any())


def model_plan(
    request: StepRequest, preset: Preset, reader: CaseReader, normalisation: NormalisationChoice = "auto"
) -> Plan:
    """Return the model's plan, chosen from the scans at the first step.

    Args:
        request: What was asked for.
        preset: Size of the network.
        reader: Reads the scans.
        normalisation: As in :class:`StepSettings`.

    Raises:
        DataError: A scan cannot be read.
        ModelError: The model has another normalisation.
    """
    if request.parent is not None:
        plan = plan_of(request.parent)
        if normalisation not in ("auto", plan.normalisation):
            raise ModelError(
                f"The model's normalisation is {plan.normalisation}, not {normalisation}.",
                "It is fixed by the first step of a model.",
                "Leave it out, or start another model.",
            )
        return plan
    grids: list[Grid] = []
    extents: list[ScanExtent] = []
    hounsfield: list[bool] = []
    channels, fitted = 1, is_fitted(request.network)
    for case in request.cases.cases:
        with naming(case):
            volume = reader.scan(case)
            channels = channels if grids else volume.channels
            grids.append(volume.grid)
            if fitted:
                extents.append(ScanExtent(volume.grid, volume.content))
            hounsfield.append(is_hounsfield(volume.array))
    chosen = _normalisation(request.cases.cases, hounsfield) if normalisation == "auto" else normalisation
    if fitted:
        return plan_fitted(request.network, preset, extents, channels, len(request.taught), chosen)
    return plan_for(
        grids,
        channels,
        dimension=find("network", request.network).dimension,
        multiple=2 ** (len(preset.widths) - 1),
        side=preset.side,
        patch_side=preset.patch_side,
        normalisation=chosen,
    )


def _normalisation(cases: Sequence[Case], hounsfield: Sequence[bool]) -> Normalisation:
    """Choose Hounsfield units where most scans of every modality and data set hold them; say where some do not fit."""
    groups: dict[tuple[str, str], list[bool]] = {}
    for case, found in zip(cases, hounsfield, strict=True):
        groups.setdefault((case.modality, case.source), []).append(found)
    count, alike = sum(hounsfield), all(2 * sum(found) > len(found) for found in groups.values())
    chosen: Normalisation = "ct" if alike else "zscore"
    if 0 < count < len(hounsfield):
        log.warning(
            "Of %d scans %d look like CT in Hounsfield units. All are normalised as %s; if that is wrong, leave out "
            "the other kind, or start the model again with %s.",
            len(hounsfield),
            count,
            "CT" if alike else "scans without a common unit",
            OptionRef("normalisation", "zscore" if alike else "ct"),
        )
    return chosen
