"""Scans as a correction session sees them: the next one with its uncertain spots, and earlier ones once more."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field, SkipValidation
from pydantic.dataclasses import dataclass as pydantic_dataclass

from IncrementalSegLib.engine.models import Loader, load
from IncrementalSegLib.engine.ready import ReadyModel
from IncrementalSegLib.engine.results import check_files, files_of, keep_files, millilitres, place_results, write_result
from IncrementalSegLib.engine.runtime import start
from IncrementalSegLib.engine.session.scans import CorrectedScan
from IncrementalSegLib.engine.session.session import Session
from IncrementalSegLib.engine.settings import MODEL, SCAN, DeviceSettings, WorkSettings
from IncrementalSegLib.engine.sources import one_source
from IncrementalSegLib.engine.spots import COUNT, SpotReport, spot_reports
from IncrementalSegLib.errors import DataError, IncrementalSegError
from IncrementalSegLib.options import CONFIG, called_with
from IncrementalSegLib.progress import Phase, Share
from IncrementalSegLib.store.manifest import fingerprint
from IncrementalSegLib.store.versions import open_model
from IncrementalSegLib.types import Json


@dataclass(frozen=True)
class OutlineResult:
    """A scan to be corrected.

    Attributes:
        scan: Name of the scan.
        outputs: Written files: the outlines and the map of uncertainty.
        millilitres: Structure name -> volume in ml.
        spots: Uncertain spots without strokes, the first to be corrected first.
        warnings: What a person should know.
        rounds: Rounds of the session behind the outlines; 0: they are those of the version in use.
    """

    scan: str
    outputs: list[Path]
    millilitres: dict[str, float]
    spots: tuple[SpotReport, ...]
    warnings: list[str]
    rounds: int

    def to_json(self) -> Json:
        """Return the object that the verb ``outline`` answers; positions in LPS."""
        return {
            "scan": self.scan,
            "outputs": [str(path) for path in self.outputs],
            "structures": {name: {"ml": ml} for name, ml in self.millilitres.items()},
            "spots": [spot.to_json() for spot in self.spots],
            "warnings": self.warnings,
            "rounds": self.rounds,
        }


@pydantic_dataclass(frozen=True, config=CONFIG)
class OutlineCall(WorkSettings, DeviceSettings):
    """The arguments of :func:`outline`."""

    model: Annotated[str | Path, Field(description=MODEL)]
    scan: Annotated[str | Path, Field(description=SCAN)]
    output: Annotated[str | Path, Field(description="A file name or a folder.")]
    _: KW_ONLY
    count: Annotated[int, Field(ge=1, description="Largest number of spots.")] = COUNT
    loader: Annotated[SkipValidation[Loader], Field(description="Loads the model.")] = load


@called_with(OutlineCall)
def outline(call: OutlineCall) -> OutlineResult:
    """Outline a scan with what the correction session has learned, and list its uncertain spots.

    Without an open session the version in use outlines it.  The strokes of earlier rounds do not show in the outlines;
    voxels under them count as certain.

    Returns:
        Files, volumes and spots.

    Raises:
        IncrementalSegError: Something named cannot be read, does not fit or would be replaced.
    """
    warnings: list[str] = []
    source, folder = one_source(call.scan, warnings), open_model(call.model)
    path = place_results(Path(call.output), [source], None)(source)
    keep_files(files_of(path, ["uncertainty"]), source.paths, overwrite=False)
    ready, known = ReadyModel.open(call.model, device=call.device, loader=call.loader, warnings=warnings), None
    volume, session = ready.read(source), Session(folder)
    check_files(path, volume.grid, ["uncertainty"])
    if session.method is not None:
        rounds = session.rounds(ready, start(call.device), call.progress)
        ready, known = rounds.ready, rounds.scans.get(fingerprint(source.paths))
    share = Share.of(call.progress, Phase.SEGMENTING.of(source.name))
    prediction = ready.predict(volume, source.name, probability=True, uncertainty=True, progress=share)
    assert prediction.uncertainty is not None
    if known is not None:
        certain = np.where(known.strokes.known, 0, prediction.uncertainty).astype(prediction.uncertainty.dtype)
        prediction = replace(prediction, uncertainty=certain)
    return OutlineResult(
        scan=source.name,
        outputs=write_result(path, prediction, volume.grid, ready.structures, warnings),
        millilitres={item.name: millilitres(prediction.mask[item.id], volume.grid) for item in ready.structures},
        spots=spot_reports(prediction, volume.grid, ready.structures, call.count),
        warnings=warnings,
        rounds=session.status().rounds if session.method is not None else 0,
    )


@dataclass(frozen=True)
class LookBack:
    """Earlier scans of a session, outlined again.

    Attributes:
        scans: Scan -> structure name -> Dice of the outline without strokes with the last accepted one; ``None`` where
            both are empty.
        failed: Scan -> why it could not be outlined.
        warnings: What a person should know.
    """

    scans: dict[str, dict[str, float | None]]
    failed: dict[str, str]
    warnings: list[str]

    def to_json(self) -> Json:
        """Return the object that the verb ``look_back`` answers."""
        return vars(self)


@pydantic_dataclass(frozen=True, config=CONFIG)
class LookBackCall(WorkSettings, DeviceSettings):
    """The arguments of :func:`look_back`."""

    model: Annotated[str | Path, Field(description=MODEL)]


@called_with(LookBackCall)
def look_back(call: LookBackCall) -> LookBack:
    """Outline the scans of a correction session again, without strokes, and compare with the outlines accepted there.

    Returns:
        Dice by scan and structure; none where no session is open.

    Raises:
        IncrementalSegError: A file of the model is damaged, or another version is in use than when the session began.
    """
    session, warnings = Session(open_model(call.model)), list[str]()
    scans, failed = dict[str, dict[str, float | None]](), dict[str, str]()
    if session.method is None:
        return LookBack(scans, failed, warnings)
    rounds = session.rounds(ReadyModel.open(call.model, device=call.device, warnings=warnings), start(call.device))
    for number, scan in enumerate(rounds.scans.values()):
        share = Share.of(call.progress, Phase.SEGMENTING.of(scan.source.name))
        part = share.sub(number / len(rounds.scans), (number + 1) / len(rounds.scans))
        try:
            scans[scan.source.name] = _again(scan, rounds.ready, part)
        except IncrementalSegError as error:
            failed[scan.source.name] = str(error)
    return LookBack(scans, failed, warnings)


def _again(scan: CorrectedScan, ready: ReadyModel, progress: Share) -> dict[str, float | None]:
    """Return the Dice of a scan outlined again with its last outline."""
    name = scan.source.name
    if not all(path.exists() for path in scan.source.paths):
        raise DataError(f"The scan {name} is not there any more.", todo="Bring it back to where it was.")
    if fingerprint(scan.source.paths) != scan.sha256:
        raise DataError(f"The scan {name} has changed since it was corrected.", todo="Correct it once more.")
    found = ready.predict(ready.read(scan.source), name, progress=progress)
    again = replace(scan, first=found.mask)
    return {item.name: again.agreement(item.id) for item in ready.structures if item.id in scan.last}
