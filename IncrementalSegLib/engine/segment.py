"""Segment scans with a model and write the results."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from torch import Tensor

from IncrementalSegLib.engine.domain import TrainingDomain, scan_features, warnings_of
from IncrementalSegLib.engine.models import LoadedModel, Loader, load
from IncrementalSegLib.engine.runtime import start
from IncrementalSegLib.engine.sources import LONGEST_NAME, ScanSource, find_sources
from IncrementalSegLib.errors import DataError, Hint, IncrementalSegError, OptionError, Set
from IncrementalSegLib.inference.prediction import Prediction
from IncrementalSegLib.preprocessing.plan import Plan
from IncrementalSegLib.progress import Phase, Progress, Share, silent
from IncrementalSegLib.store.versions import open_model
from IncrementalSegLib.structures import StructureList, parse_names
from IncrementalSegLib.types import DeviceName, Json
from IncrementalSegLib.volumes.checks import judge_image
from IncrementalSegLib.volumes.io import name_of, read_volume, write_volume
from IncrementalSegLib.volumes.notes import Note
from IncrementalSegLib.volumes.payload import is_folder, is_there
from IncrementalSegLib.volumes.pictures import ENDINGS as PICTURES
from IncrementalSegLib.volumes.seg_nrrd import write_seg_nrrd
from IncrementalSegLib.volumes.segmentations import value_table, write_label_map
from IncrementalSegLib.volumes.volume import Grid, Volume

Format = Literal["seg.nrrd", "nii.gz"]

OnResult = Callable[[str, str, Mapping[str, float]], None]
"""Receives the file of a result, the name of its scan, and the volume of each structure in ml."""

_ENDINGS = (".seg.nrrd", ".nii.gz", ".nii", ".nrrd", ".mha", ".png")


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


def segment(
    model: str | Path,
    scans: str | Path | Sequence[str | Path],
    output: str | Path,
    *,
    structures: str | None = None,
    version: int | None = None,
    format: Format | None = None,  # noqa: A002
    uncertainty: bool = False,
    largest_component: bool = False,
    overwrite: bool = False,
    strict: bool = False,
    device: DeviceName = "auto",
    progress: Progress = silent,
    on_result: OnResult | None = None,
    loader: Loader = load,
) -> SegmentResult:
    """Segment scans and write one segmentation each, on the scan's own grid; of several, one may fail.

    Args:
        model: The model's folder.
        scans: Files, DICOM folders or folders of scans; see :func:`~.sources.find_sources`.
        output: A folder for several scans; a file name or folder for one.
        structures: Names, comma-separated; all by default.
        version: Version of the model; the current one by default.
        format: ``seg.nrrd`` (names, colours, overlapping structures) or ``nii.gz`` (one integer map); by
            default as the name of the output says, else ``seg.nrrd``.
        uncertainty: Also write a map of uncertainty, 0..1, beside each result.
        largest_component: Keep only the largest component of each structure.
        overwrite: Results may replace files, but never a scan.
        strict: What a person should know of a scan's file is an error.
        device: ``auto``, ``cpu`` or ``cuda``.
        progress: Receives progress.
        on_result: Called with each result as soon as it is written.
        loader: Loads the model.

    Raises:
        IncrementalSegError: Something named is unknown, or the only scan cannot be read or does not fit.

    Example:
        >>> segment("shoulder", "scan.nii.gz", "outlines").outputs[0].name
        'scan.seg.nrrd'
    """
    warnings: list[str] = []
    sources = find_sources(scans, warnings)
    target = _target(Path(output), sources, format)
    _keep_files(sources, target, uncertainty, overwrite)
    folder = open_model(model)
    chosen = folder.record(version).structures.select(_names(structures))
    runtime = start(device)
    loaded = loader(folder, runtime, version)
    predictor, domain = loaded.predictor(runtime), TrainingDomain.of(folder, loaded.record.number, warnings.append)
    names = [source.name for source in sources]
    result = SegmentResult(scans=names, millilitres={item.name: [] for item in chosen}, warnings=warnings)
    for number, source in enumerate(sources):
        path = target(source)
        segmenting = Share.of(progress, Phase.SEGMENTING.of(source.name))
        report = segmenting.sub(number / len(sources), (number + 1) / len(sources))
        report(0.0)
        try:
            _check_names(_files_of(path, uncertainty))
            volume = _read(source, loaded, strict, result)
            prediction = predictor.predict(
                volume,
                chosen.ids,
                uncertainty=uncertainty,
                largest=largest_component,
                progress=report,
                look=partial(_compare, domain, volume, loaded.plan, chosen, source.name, result),
            )
            grid = volume.grid
            del volume  # a large scan and its result do not fit twice
            _write(path, prediction, grid, chosen, result)
        except IncrementalSegError as error:
            if len(sources) == 1:
                raise
            result.failed.append(FailedScan(str(source), error))
            for volumes in result.millilitres.values():
                volumes.append(None)
            continue
        found = _measure(prediction, grid, chosen, source.name, result)
        if on_result is not None:
            on_result(str(path), source.name, found)
    return result


def _target(output: Path, sources: Sequence[ScanSource], form: str | None) -> Callable[[ScanSource], Path]:
    """Return where each result goes."""
    named = next((ending for ending in _ENDINGS if output.name.lower().endswith(ending)), None)
    if named is not None and not is_folder(output):
        if len(sources) > 1:
            raise OptionError(
                f"{len(sources)} scans cannot be written to the one file {output.name}.", todo="Name a folder."
            )
        if form is not None and not named.endswith(form):
            raise OptionError(
                f"The output {output.name} does not end in .{form}.",
                todo=Hint("Leave out ", Set("format"), ", or rename the output."),
            )
        return lambda source: output
    ending = form or "seg.nrrd"
    return lambda source: output / f"{source.name}.{ending}"


def _keep_files(
    sources: Sequence[ScanSource], target: Callable[[ScanSource], Path], uncertainty: bool, overwrite: bool
) -> None:
    """Refuse results that would replace a scan, or without ``overwrite`` any other file."""
    scans = {path.resolve() for source in sources for path in source.paths}
    files = [file for source in sources for file in _files_of(target(source), uncertainty)]
    for path in files:
        if path.resolve() in scans:
            raise OptionError(
                f"The result {path} would overwrite the scan of that name.", todo="Choose another folder or format."
            )
    there = [path for path in files if is_there(path)]
    if there and not overwrite:
        others = f" and {len(there) - 1} more of the results" if len(there) > 1 else ""
        raise OptionError(
            f"{there[0]}{others} already exists.",
            "It may be an outline that a person has drawn or corrected.",
            Hint("Choose another folder, or replace it with ", Set("overwrite", True), "."),
        )


def _check_names(files: Sequence[Path]) -> None:
    """Refuse a result with a name that a file system does not take."""
    for path in files:
        if len(os.fsencode(path.name)) > LONGEST_NAME:
            raise OptionError(
                f"The result would be called {path.name!r}, which is longer than {LONGEST_NAME} bytes.",
                todo="Rename the scan, or segment it alone with a file name as output.",
            )


def _files_of(path: Path, uncertainty: bool) -> list[Path]:
    """Return all files of a result: itself, the names of its values, the map of uncertainty."""
    files = [path]
    if not path.name.lower().endswith(".seg.nrrd"):
        files.append(value_table(path))
    if uncertainty:
        files.append(path.with_name(f"{name_of(path)}-uncertainty{'.nrrd' if 'nrrd' in path.name else '.nii.gz'}"))
    return files


def _read(source: ScanSource, loaded: LoadedModel, strict: bool, result: SegmentResult) -> Volume:
    notes: list[Note] = []
    volume = read_volume(source.paths, notes)
    notes += judge_image(volume, source.name)
    if strict and notes:
        raise DataError(
            f"{source.name}: {notes[0].message}",
            todo=Hint("With ", Set("strict", True), " every note on a scan is an error."),
        )
    result.warnings += [f"{source.name}: {note.message}" for note in notes]
    if volume.grid.planar and any(path.name.lower().endswith(PICTURES) for path in source.paths):
        result.warnings.append(f"{source.name} is a picture without millimetres: 1000 of its pixels count as 1 ml.")
    loaded.plan.check(volume, f"The scan {source.name}")
    return volume


def _write(path: Path, prediction: Prediction, grid: Grid, chosen: StructureList, result: SegmentResult) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(
            f"The folder {path.parent} cannot be made ({error.strerror}).", todo="Choose another."
        ) from error
    files = _files_of(path, prediction.uncertainty is not None)
    if path.name.lower().endswith(".seg.nrrd"):
        write_seg_nrrd(path, prediction.mask, grid, chosen)
    else:
        result.warnings += write_label_map(path, prediction.mask, grid, chosen)
    if prediction.uncertainty is not None:
        write_volume(files[-1], Volume(prediction.uncertainty[np.newaxis], grid))
    result.outputs += files


def _compare(
    domain: TrainingDomain,
    volume: Volume,
    plan: Plan,
    chosen: StructureList,
    scan: str,
    result: SegmentResult,
    image: Tensor,
) -> None:
    """Warn where a scan, of which ``image`` is what the network sees, is far from those that taught."""
    result.warnings += warnings_of(domain, scan_features(volume, image, plan), chosen, scan)


def _measure(
    prediction: Prediction, grid: Grid, chosen: StructureList, scan: str, result: SegmentResult
) -> dict[str, float]:
    """Add the volumes of a scan to the result and return them: structure name -> ml."""
    found: dict[str, float] = {}
    for item in chosen:
        voxels = int(np.count_nonzero(prediction.mask[item.id]))
        found[item.name] = round(voxels * grid.voxel_ml, 4)
        result.millilitres[item.name].append(found[item.name])
        if voxels == 0:
            result.warnings.append(f"{scan}: {item.name} was not found.")
    return found


def _names(text: str | None) -> list[str] | None:
    return None if text is None else [request.name for request in parse_names(text)]
