"""Segment scans with a model and write the results."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from IncrementalSegLib.engine.models import Loader, load
from IncrementalSegLib.engine.ready import ReadyModel
from IncrementalSegLib.engine.results import (
    Format,
    check_names,
    files_of,
    keep_files,
    millilitres,
    place_results,
    write_result,
)
from IncrementalSegLib.engine.sources import find_sources
from IncrementalSegLib.errors import IncrementalSegError
from IncrementalSegLib.inference.prediction import Prediction
from IncrementalSegLib.progress import Phase, Progress, Share, silent
from IncrementalSegLib.structures import StructureList
from IncrementalSegLib.types import DeviceName, Json
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
    target = place_results(Path(output), sources, format)
    files = [file for source in sources for file in files_of(target(source), uncertainty)]
    keep_files(files, [path for source in sources for path in source.paths], overwrite)
    ready = ReadyModel.open(model, structures, version, device, loader, warnings)
    chosen, names = ready.structures, [source.name for source in sources]
    result = SegmentResult(scans=names, millilitres={item.name: [] for item in chosen}, warnings=warnings)
    for number, source in enumerate(sources):
        path = target(source)
        segmenting = Share.of(progress, Phase.SEGMENTING.of(source.name))
        report = segmenting.sub(number / len(sources), (number + 1) / len(sources))
        report(0.0)
        try:
            check_names(files_of(path, uncertainty))
            volume = ready.read(source, strict)
            prediction = ready.predict(
                volume, source.name, uncertainty=uncertainty, largest=largest_component, progress=report
            )
            grid = volume.grid
            del volume  # a large scan and its result do not fit twice
            result.outputs += write_result(path, prediction, grid, chosen, warnings)
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
