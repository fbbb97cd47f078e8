"""Correct a scan with strokes: predict, let the strokes spread, write the outline."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field
from pydantic.dataclasses import dataclass as pydantic_dataclass
from torch import Tensor

from IncrementalSegLib.correction.propagation import propagate
from IncrementalSegLib.correction.regions import require_slic
from IncrementalSegLib.correction.strokes import Strokes, read_strokes
from IncrementalSegLib.engine.ready import ReadyModel
from IncrementalSegLib.engine.results import Format, files_of, keep_files, millilitres, place_results, write_result
from IncrementalSegLib.engine.settings import FORMAT, MODEL, SCAN, VersionChoice
from IncrementalSegLib.engine.sources import one_source
from IncrementalSegLib.inference.prediction import Prediction
from IncrementalSegLib.options import CONFIG, called_with
from IncrementalSegLib.preprocessing.pipeline import forward_mask
from IncrementalSegLib.progress import UNTOLD, Phase, Share
from IncrementalSegLib.types import Json
from IncrementalSegLib.volumes.volume import Volume

Rule = Literal["propagate-only"]
"""Use of the strokes: ``propagate-only`` corrects the scan and teaches the model nothing."""


@dataclass(frozen=True)
class CorrectResult:
    """A corrected scan.

    Attributes:
        scan: Name of the scan.
        outputs: Written files.
        millilitres: Structure name -> volume in ml.
        warnings: What a person should know.
    """

    scan: str
    outputs: list[Path]
    millilitres: dict[str, float]
    warnings: list[str]

    def to_json(self) -> Json:
        """Return the object that ``correct --json`` prints."""
        return {
            "scan": self.scan,
            "outputs": [str(path) for path in self.outputs],
            "structures": {name: {"ml": ml} for name, ml in self.millilitres.items()},
            "warnings": self.warnings,
        }


@pydantic_dataclass(frozen=True, config=CONFIG)
class CorrectCall(VersionChoice):
    """The arguments of :func:`correct`."""

    model: Annotated[str | Path, Field(description=MODEL)]
    scan: Annotated[str | Path, Field(description=SCAN)]
    strokes: Annotated[
        str | Path,
        Field(
            description="A .seg.nrrd on the scan's grid: one segment per structure, named like it, and background. "
            "What was painted holds in the result."
        ),
    ]
    output: Annotated[str | Path, Field(description="A file name or a folder.")]
    _: KW_ONLY
    method: Annotated[Rule, Field(description="propagate-only: the model learns nothing.")] = "propagate-only"
    format: Annotated[Format | None, Field(description=FORMAT)] = None
    overwrite: Annotated[
        bool, Field(description="The result may replace a file, but never the scan or the strokes.")
    ] = False


@called_with(CorrectCall)
def correct(call: CorrectCall) -> CorrectResult:
    """Segment a scan and correct the result with strokes, which spread to what looks like them; the model stays.

    Returns:
        Files, volumes and warnings.

    Raises:
        IncrementalSegError: Something named is unknown, cannot be read, does not fit or would be lost, or the strokes
            are empty or contradict each other.
    """
    require_slic()
    warnings: list[str] = []
    source, strokes = one_source(call.scan, warnings), Path(call.strokes)
    path = place_results(Path(call.output), [source], call.format)(source)
    keep_files(files_of(path), [*source.paths, strokes], call.overwrite)
    ready = ReadyModel.open(call.model, None, call.version, call.device, warnings=warnings)
    volume = ready.read(source)
    drawn = read_strokes(strokes, volume.grid, ready.structures, ready.loaded.segmenter.exclusive)
    segmenting = Share.of(call.progress, Phase.SEGMENTING.of(source.name))
    prediction = _predict_with(drawn, ready, volume, source.name, segmenting)
    outputs = write_result(path, prediction, volume.grid, ready.structures, warnings)
    found = {item.name: millilitres(prediction.mask[item.id], volume.grid) for item in ready.structures}
    return CorrectResult(source.name, outputs, found, warnings)


def _predict_with(
    strokes: Strokes, ready: ReadyModel, volume: Volume, name: str, progress: Share = UNTOLD
) -> Prediction:
    """Predict a scan with strokes, which hold in the masks.

    Args:
        strokes: On the grid of the scan.
        ready: The model.
        volume: The scan.
        name: Name of the scan.
        progress: Receives the share done.
    """
    prediction = ready.predict(volume, name, revise=revision(strokes, ready, volume), progress=progress)
    return replace(prediction, mask=strokes.imposed(prediction.mask))


def revision(strokes: Strokes, ready: ReadyModel, volume: Volume) -> Callable[[Tensor, Tensor], Tensor]:
    """Return a function for ``revise`` of a prediction, which spreads the strokes on the model's grid.

    Args:
        strokes: On the grid of the scan, of all structures asked for.
        ready: The model.
        volume: The scan.
    """
    plan, segmenter = ready.loaded.plan, ready.loaded.segmenter
    order, _ = plan.turning(volume.grid)
    one, two, three = (wanted or volume.grid.steps[axis] for wanted, axis in zip(plan.spacing, order, strict=True))
    rows = segmenter.structures if segmenter.exclusive else ready.structures.ids
    painted = np.stack([forward_mask(strokes.painted[item], volume, plan).bool().numpy() for item in rows])
    background = forward_mask(strokes.background, volume, plan).bool().numpy()

    def revise(image: Tensor, maps: Tensor) -> Tensor:
        spread = propagate(
            image.float().numpy(), (one, two, three), maps.numpy(), painted, background, segmenter.exclusive
        )
        return torch.from_numpy(spread)

    return revise
