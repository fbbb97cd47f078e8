"""Uncertain spots of a scan, in the patient and with the structures in question."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field, SkipValidation
from pydantic.dataclasses import dataclass as pydantic_dataclass

from IncrementalSegLib.correction.spots import Spot, find_spots
from IncrementalSegLib.engine.models import Loader, load
from IncrementalSegLib.engine.ready import ReadyModel
from IncrementalSegLib.engine.settings import MODEL, NAMES, SCAN, VersionChoice
from IncrementalSegLib.engine.sources import one_source
from IncrementalSegLib.inference.prediction import Prediction
from IncrementalSegLib.options import CONFIG, called_with
from IncrementalSegLib.progress import Phase, Share
from IncrementalSegLib.structures import BACKGROUND, StructureList
from IncrementalSegLib.types import Json
from IncrementalSegLib.volumes.volume import Grid

COUNT = 16
"""Spots that are listed by default: the number of areas that are corrected in the paper."""


@dataclass(frozen=True)
class SpotReport:
    """One spot in the patient.

    Attributes:
        centre: A voxel in the middle of the spot, x, y, z in mm, LPS.
        size: In ``unit``.
        unit: ``ml``; ``mm2`` in a picture.
        uncertainty: Mean over the spot, 0..1.
        structures: The two most probable, with their mean probability over the spot; ``background`` may be one.
    """

    centre: tuple[float, float, float]
    size: float
    unit: str
    uncertainty: float
    structures: dict[str, float]

    def to_json(self) -> Json:
        """Return the spot as a JSON object."""
        return vars(self) | {"centre": list(self.centre)}


@dataclass(frozen=True)
class SpotsResult:
    """Spots of a scan, the first to be corrected first.

    Attributes:
        scan: Name of the scan.
        spots: The spots.
        warnings: What a person should know.
    """

    scan: str
    spots: tuple[SpotReport, ...]
    warnings: list[str]

    def to_json(self) -> Json:
        """Return the object that ``spots --json`` prints."""
        spots = [spot.to_json() for spot in self.spots]
        return {"scan": self.scan, "coordinates": "LPS", "spots": spots, "warnings": self.warnings}


@pydantic_dataclass(frozen=True, config=CONFIG)
class SpotsCall(VersionChoice):
    """The arguments of :func:`spots`."""

    model: Annotated[str | Path, Field(description=MODEL)]
    scan: Annotated[str | Path, Field(description=SCAN)]
    _: KW_ONLY
    count: Annotated[int, Field(ge=1, description="Largest number of spots.")] = COUNT
    structures: Annotated[str | None, Field(description=NAMES)] = None
    loader: Annotated[SkipValidation[Loader], Field(description="Loads the model.")] = load


@called_with(SpotsCall)
def spots(call: SpotsCall) -> SpotsResult:
    """List the uncertain spots of a scan, by size times mean uncertainty; nothing is written.

    The uncertainty is that of ``segment(..., uncertainty=True)``.

    Returns:
        The spots, the first to be corrected first.

    Raises:
        IncrementalSegError: Something named is unknown, or the scan cannot be read or does not fit.

    Example:
        >>> found = spots("shoulder", "scan.nii.gz", count=3)
        >>> len(found.spots) <= 3
        True
    """
    warnings: list[str] = []
    source = one_source(call.scan, warnings)
    ready = ReadyModel.open(call.model, call.structures, call.version, call.device, call.loader, warnings)
    segmenting = Share.of(call.progress, Phase.SEGMENTING.of(source.name))
    volume = ready.read(source)
    prediction = ready.predict(volume, source.name, probability=True, uncertainty=True, progress=segmenting)
    return SpotsResult(source.name, spot_reports(prediction, volume.grid, ready.structures, call.count), warnings)


def spot_reports(prediction: Prediction, grid: Grid, structures: StructureList, count: int) -> tuple[SpotReport, ...]:
    """Return the uncertain spots of a prediction, the first to be corrected first.

    Args:
        prediction: With probabilities and uncertainty.
        grid: The grid of the scan.
        structures: The structures that were predicted.
        count: Largest number of spots.
    """
    assert prediction.uncertainty is not None
    found = find_spots(prediction.uncertainty, grid.steps, count)
    return tuple(_report(spot, prediction, grid, structures) for spot in found)


def _report(spot: Spot, prediction: Prediction, grid: Grid, structures: StructureList) -> SpotReport:
    """Return a spot with its place in the patient and the structures in question."""
    likely = {item.name: spot.mean(prediction.probability[item.id]) for item in structures}
    joint = sum(likely[item.name] for item in structures if item.id in prediction.exclusive)
    likely[BACKGROUND] = max(0.0, 1 - max(joint, *likely.values()))
    first = sorted(likely, key=lambda name: -likely[name])[:2]
    x, y, z = (round(value, 3) for value in grid.position(spot.centre))
    size = spot.voxels * grid.voxel_ml * (1000 / grid.spacing[2] if grid.planar else 1)
    return SpotReport(
        centre=(x, y, z),
        size=round(size, 4),
        unit="mm2" if grid.planar else "ml",
        uncertainty=round(spot.uncertainty, 4),
        structures={name: round(likely[name], 4) for name in first},
    )
