"""The order in which scans are best corrected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, SkipValidation
from pydantic.dataclasses import dataclass as pydantic_dataclass
from scipy import ndimage

from IncrementalSegLib.engine.models import Loader, load
from IncrementalSegLib.engine.ready import ReadyModel
from IncrementalSegLib.engine.settings import MODEL, NAMES, SCANS, VersionChoice
from IncrementalSegLib.engine.sources import find_sources
from IncrementalSegLib.errors import IncrementalSegError
from IncrementalSegLib.evaluation.domain import NEAR, ScanFeatures, word
from IncrementalSegLib.inference.prediction import Prediction
from IncrementalSegLib.options import CONFIG, called_with
from IncrementalSegLib.progress import Phase, Share
from IncrementalSegLib.types import Json


@dataclass(frozen=True)
class Suggestion:
    """A scan and why to correct it.

    Attributes:
        scan: Name of the scan.
        uncertainty: Mean over what was found and one voxel around it, 0..1; over the whole scan where nothing was.
        distance: From the training scans; 1 is what is expected of a further scan; ``None``: not known.
        priority: By which scans are ordered; below 0 of a scan unlike the training scans.
        reason: In words.
    """

    scan: str
    uncertainty: float
    distance: float | None
    priority: float
    reason: str


@dataclass(frozen=True)
class SuggestResult:
    """Scans, the first to be corrected first.

    Attributes:
        suggestions: The scans.
        warnings: What a person should know.
        failed: Name of each scan that has no result, and why.
    """

    suggestions: tuple[Suggestion, ...]
    warnings: list[str]
    failed: dict[str, IncrementalSegError]

    def to_json(self) -> Json:
        """Return the object that ``suggest --json`` prints."""
        failed = {name: str(error) for name, error in self.failed.items()}
        return {"scans": [vars(item) for item in self.suggestions], "warnings": self.warnings, "failed": failed}


@pydantic_dataclass(frozen=True, config=CONFIG)
class SuggestCall(VersionChoice):
    """The arguments of :func:`suggest`."""

    model: Annotated[str | Path, Field(description=MODEL)]
    scans: Annotated[str | Path | Sequence[str | Path], Field(description=SCANS)]
    _: KW_ONLY
    structures: Annotated[str | None, Field(description=NAMES)] = None
    loader: Annotated[SkipValidation[Loader], Field(description="Loads the model.")] = load


@called_with(SuggestCall)
def suggest(call: SuggestCall) -> SuggestResult:
    """Order scans by what their correction would teach; nothing is written.

    The order is by mean uncertainty, times the distance from the training scans where that is 1 to 1.5.  Scans that are
    farther away, unlike the training scans, come last: they are more likely to be of another kind than to teach more.
    Both are our own choice.

    Returns:
        The scans, the first to be corrected first.

    Raises:
        IncrementalSegError: Something named is unknown, or the only scan cannot be read or does not fit.

    Example:
        >>> suggest("shoulder", "scan.nii.gz").suggestions[0].scan
        'scan'
    """
    warnings: list[str] = []
    sources = find_sources(call.scans, warnings, apart=True)
    ready = ReadyModel.open(call.model, call.structures, call.version, call.device, call.loader, warnings)
    found: list[Suggestion] = []
    failed: dict[str, IncrementalSegError] = {}
    for number, source in enumerate(sources):
        segmenting = Share.of(call.progress, Phase.SEGMENTING.of(source.name))
        report = segmenting.sub(number / len(sources), (number + 1) / len(sources))
        features: list[ScanFeatures] = []
        try:
            volume = ready.read(source)
            prediction = ready.predict(
                volume, source.name, on_features=features.append, uncertainty=True, progress=report
            )
        except IncrementalSegError as error:
            if len(sources) == 1:
                raise
            failed[source.name] = error
            continue
        found.append(_suggestion(source.name, prediction, _distance(ready, features[0])))
    return SuggestResult(tuple(sorted(found, key=lambda item: -item.priority)), warnings, failed)


def _distance(ready: ReadyModel, features: ScanFeatures) -> float | None:
    """Return the distance from the training scans of the structure that is farthest."""
    nearest = (ready.domain.nearest(features, item) for item in ready.structures.ids)
    return max((pair[0].largest for pair in nearest if pair is not None), default=None)


def _suggestion(name: str, prediction: Prediction, distance: float | None) -> Suggestion:
    uncertainty, found = _mean_uncertainty(prediction)
    where = "of the structures and their boundary" if found else "of the whole scan, in which nothing was found"
    reason = f"mean uncertainty {where}: {uncertainty:.2f}"
    if distance is not None:
        reason += f"; {word(distance)} to the training scans ({distance:.1f})".replace("unlike to", "unlike")
    unlike = distance is not None and word(distance) == "unlike"
    if unlike:
        reason += ": another kind of scan, or the first of a new one"
    return Suggestion(
        scan=name,
        uncertainty=round(uncertainty, 4),
        distance=None if distance is None else round(distance, 4),
        priority=round(uncertainty - 1 if unlike else uncertainty * max(distance or 0.0, NEAR), 4),
        reason=reason,
    )


def _mean_uncertainty(prediction: Prediction) -> tuple[float, bool]:
    """Return the mean over the structures and one voxel around them, or the whole scan, and whether any was found."""
    assert prediction.uncertainty is not None
    found: NDArray[np.bool_] = np.logical_or.reduce(list(prediction.mask.values()))
    if not found.any():
        return float(prediction.uncertainty.mean(dtype=np.float64)), False
    return float(prediction.uncertainty[ndimage.binary_dilation(found)].mean(dtype=np.float64)), True
