"""Segment scans with a model and write the results."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import Annotated

from pydantic import Field, SkipValidation
from pydantic.dataclasses import dataclass as pydantic_dataclass

from IncrementalSegLib.engine.models import Loader, load
from IncrementalSegLib.engine.ready import ReadyModel
from IncrementalSegLib.engine.results import (
    UNCERTAINTY_PARTS,
    Format,
    check_files,
    files_of,
    keep_files,
    millilitres,
    place_results,
    similarity_map,
    write_result,
)
from IncrementalSegLib.engine.settings import FORMAT, MODEL, NAMES, SCANS, StrictSettings, VersionSettings
from IncrementalSegLib.engine.sources import find_sources
from IncrementalSegLib.errors import Hint, IncrementalSegError, ModelError, OptionError, OptionRef
from IncrementalSegLib.inference.prediction import Prediction
from IncrementalSegLib.inference.predictor import embedding_of
from IncrementalSegLib.options import CONFIG, called_with
from IncrementalSegLib.progress import Phase, Share
from IncrementalSegLib.store.versions import open_model
from IncrementalSegLib.structures import StructureList, names_in
from IncrementalSegLib.types import Json, StructureId
from IncrementalSegLib.volumes.volume import Grid

OnResult = Callable[[str, str, Mapping[str, float]], None]
"""Receives the file of a result, the name of its scan, and the volume of each structure in ml."""


@dataclass(frozen=True)
class FailedScan:
    """A scan of several that has no result, by its path, and why."""

    scan: str
    error: IncrementalSegError

    def to_json(self) -> Json:
        """Return the path and the three parts of the error."""
        return {"scan": self.scan, "what": self.error.what, "why": self.error.why, "todo": str(self.error.todo)}


@dataclass
class SegmentResult:
    """Written files and warnings.

    Attributes:
        outputs: Files, in the order of the scans; the table of the values of a label map and the map of uncertainty
            follow their segmentation.
        scans: Names of the scans, in order.
        millilitres: Structure name -> volume in each scan, in ml; ``None`` where a scan failed.
        warnings: What a person should know.
        failed: The scans without a result, and why.
    """

    outputs: list[Path] = field(default_factory=list)
    scans: list[str] = field(default_factory=list)
    millilitres: dict[str, list[float | None]] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    failed: list[FailedScan] = field(default_factory=list)

    def to_json(self) -> Json:
        """Return the object that ``segment --json`` prints; with one scan ``ml`` is a number, else a list."""
        single = all(len(ml) == 1 for ml in self.millilitres.values())
        return {
            "outputs": [str(path) for path in self.outputs],
            "scans": self.scans,
            "structures": {name: {"ml": ml[0] if single else ml} for name, ml in self.millilitres.items()},
            "warnings": self.warnings,
            "failed": [scan.to_json() for scan in self.failed],
        }


@pydantic_dataclass(frozen=True, config=CONFIG)
class SegmentCall(VersionSettings, StrictSettings):
    """The arguments of :func:`segment`."""

    model: Annotated[str | Path, Field(description=MODEL)]
    scans: Annotated[
        str | Path | Sequence[str | Path],
        Field(description=SCANS),
    ]
    output: Annotated[str | Path, Field(description="A folder for several scans; a file name or folder for one.")]
    _: KW_ONLY
    structures: Annotated[str | None, Field(description=NAMES)] = None
    format: Annotated[
        Format | None,
        Field(description=FORMAT),
    ] = None
    uncertainty: Annotated[bool, Field(description="Also write a map of uncertainty, 0..1, beside each result.")] = (
        False
    )
    uncertainty_parts: Annotated[
        bool,
        Field(
            description="Also write that map and its parts: aleatoric, in the scan, and epistemic, in the model, which "
            "more training scans could remove."
        ),
    ] = False
    similarity: Annotated[
        str | None,
        Field(
            description="Names, comma-separated: also write how similar each voxel is to them (cosine, method cfil)."
        ),
    ] = None
    unknown: Annotated[
        bool, Field(description="Also write a mask of voxels similar to nothing that the model knows (method cfil).")
    ] = False
    mirror: Annotated[
        bool,
        Field(
            description="Average over the mirrored scan, in up to eight times the time (models adopted from nnU-Net)."
        ),
    ] = False
    task: Annotated[
        int | None,
        Field(
            ge=1,
            description="Number of the task whose network is used (methods clis and packnet); by default that of the "
            "most similar scan that taught.",
        ),
    ] = None
    precedence: Annotated[
        str | None,
        Field(
            description="Names, comma-separated: where structures overlap, a label map shows the first of these; by "
            "default the one learned last."
        ),
    ] = None
    overwrite: Annotated[bool, Field(description="Results may replace files, but never a scan.")] = False
    on_result: Annotated[
        SkipValidation[OnResult | None], Field(description="Called with each result as soon as it is written.")
    ] = None
    loader: Annotated[SkipValidation[Loader], Field(description="Loads the model.")] = load


@called_with(SegmentCall)
def segment(call: SegmentCall) -> SegmentResult:
    """Segment scans and write one segmentation each, on the scan's own grid; of several, one may fail.

    Returns:
        Files, volumes and warnings.

    Raises:
        IncrementalSegError: Something named is unknown, or the only scan cannot be read or does not fit.

    Example:
        >>> segment("shoulder", "scan.nii.gz", "outlines").outputs[0].name
        'scan.seg.nrrd'
    """
    warnings: list[str] = []
    sources = find_sources(call.scans, warnings)
    target = place_results(Path(call.output), sources, call.format)
    alike, foremost = _compared(call), _foremost(call, [target(source) for source in sources])
    maps = [
        *(["uncertainty"] if call.uncertainty or call.uncertainty_parts else []),
        *(UNCERTAINTY_PARTS if call.uncertainty_parts else ()),
        *map(similarity_map, alike.names),
        *(["unknown"] if call.unknown else []),
    ]
    files = [file for source in sources for file in files_of(target(source), maps)]
    keep_files(files, [path for source in sources for path in source.paths], call.overwrite)
    ready = ReadyModel.open(call.model, call.structures, call.version, call.device, call.loader, warnings)
    if alike or call.unknown:
        _check_calibrated(ready, call.unknown)
    if call.mirror:
        _check_mirror(ready)
    if call.task is not None:
        _check_task(ready, call.task)
    chosen, names = ready.structures, [source.name for source in sources]
    result = SegmentResult(scans=names, millilitres={item.name: [] for item in chosen}, warnings=warnings)
    for number, source in enumerate(sources):
        path = target(source)
        segmenting = Share.of(call.progress, Phase.SEGMENTING.of(source.name))
        report = segmenting.sub(number / len(sources), (number + 1) / len(sources))
        report(0.0)
        try:
            volume = ready.read(source, call.strict)
            check_files(path, volume.grid, maps)
            prediction = ready.predict(
                volume,
                source.name,
                uncertainty=call.uncertainty or call.uncertainty_parts,
                parts=call.uncertainty_parts,
                similarity=alike.ids,
                unknown=call.unknown,
                largest=call.largest_component,
                mirror=call.mirror,
                task=None if call.task is None else call.task - 1,
                progress=report,
            )
            grid = volume.grid
            del volume  # a large scan and its result do not fit twice
            result.outputs += write_result(path, prediction, grid, chosen, warnings, alike, foremost)
        except IncrementalSegError as error:
            if len(sources) == 1:
                raise
            result.failed.append(FailedScan(str(source), error))
            for volumes in result.millilitres.values():
                volumes.append(None)
            continue
        found = _measure(prediction, grid, chosen, source.name, result)
        if call.on_result is not None:
            call.on_result(str(path), source.name, found)
    return result


def _compared(call: SegmentCall) -> StructureList:
    """Return the structures that voxels are compared with."""
    if call.similarity is None:
        return StructureList()
    known = open_model(call.model).record(call.version).structures
    return known.select(names_in(call.similarity))


def _foremost(call: SegmentCall, files: Sequence[Path]) -> tuple[StructureId, ...]:
    """Return the structures that a label map shows where they overlap, the foremost first."""
    if call.precedence is None:
        return ()
    if any(file.name.lower().endswith(".seg.nrrd") for file in files):
        raise OptionError(
            "In a .seg.nrrd no structure takes precedence.",
            "It holds all of them where they overlap.",
            Hint("Leave out ", OptionRef("precedence"), ", or write a label map: ", OptionRef("format", "nii.gz"), "."),
        )
    known = open_model(call.model).record(call.version).structures
    return tuple(known.named(name).id for name in names_in(call.precedence))


def _check_calibrated(ready: ReadyModel, unknown: bool) -> None:
    """Refuse a model that has no cosines, or that does not know yet how small they are where it knows nothing."""
    output = embedding_of(ready.loaded.segmenter)
    if unknown and float(output.known_above) <= -1:
        raise ModelError(
            "The model cannot tell what is unknown to it.",
            "Its threshold is calibrated at the end of a step.",
            "Teach or improve a structure first.",
        )


def _check_mirror(ready: ReadyModel) -> None:
    """Refuse a model that does not know mirrored scans."""
    rules = ready.loaded.plan.rules
    if rules is None or not rules.mirror:
        raise ModelError(
            "The model cannot average over mirrored scans.",
            "It was not trained on such scans, or nothing is known of it.",
            Hint("Leave out ", OptionRef("mirror"), "."),
        )


def _check_task(ready: ReadyModel, task: int) -> None:
    """Refuse a task that the model does not have."""
    tasks = ready.loaded.segmenter.tasks
    count = 0 if tasks is None else tasks.newest + 1
    if task > count:
        raise OptionError(
            f"The model has no task {task}: it has {count}." if count else "The model has one network for all scans.",
            "Only clis and packnet have a network for each step and each corrected scan.",
            Hint("Leave out ", OptionRef("task"), "."),
        )


def _measure(
    prediction: Prediction, grid: Grid, chosen: StructureList, scan: str, result: SegmentResult
) -> dict[str, float]:
    """Add the volumes of a scan to the result and return them: structure name -> ml."""
    found: dict[str, float] = {}
    for item in chosen:
        found[item.name] = millilitres(prediction.mask[item.id], grid)
        result.millilitres[item.name].append(found[item.name])
        if not prediction.mask[item.id].any():
            result.warnings.append(f"{scan}: {item.name} was not found.")
    return found
