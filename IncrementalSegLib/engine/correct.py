"""Correct a scan with strokes, and let the model learn from them in a session."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass as pydantic_dataclass

from IncrementalSegLib.correction.regions import require_slic
from IncrementalSegLib.correction.strokes import read_strokes
from IncrementalSegLib.engine.propagated import predict_with
from IncrementalSegLib.engine.ready import ReadyModel
from IncrementalSegLib.engine.results import (
    Format,
    check_files,
    files_of,
    keep_files,
    millilitres,
    place_results,
    write_result,
)
from IncrementalSegLib.engine.runtime import start
from IncrementalSegLib.engine.session.learner import STEPS, LearnerSettings
from IncrementalSegLib.engine.session.session import Session
from IncrementalSegLib.engine.session.status import SessionStatus
from IncrementalSegLib.engine.settings import FORMAT, MODEL, SCAN, DeviceSettings, VersionChoice, WorkSettings
from IncrementalSegLib.engine.sources import one_source
from IncrementalSegLib.engine.step.result import StepResult
from IncrementalSegLib.errors import CommandRef, Hint, ModelError, OptionError, OptionRef
from IncrementalSegLib.options import CONFIG, called_with
from IncrementalSegLib.progress import Phase, Share
from IncrementalSegLib.store.versions import ModelFolder, open_model
from IncrementalSegLib.types import Json

PROPAGATE_ONLY = "propagate-only"
"""In place of a method: strokes correct the scan and teach the model nothing."""


@dataclass(frozen=True)
class CorrectResult:
    """A corrected scan.

    Attributes:
        scan: Name of the scan.
        outputs: Written files.
        millilitres: Structure name -> volume in ml.
        warnings: What a person should know.
        session: The session after this round; ``None`` where the model learns nothing.
    """

    scan: str
    outputs: list[Path]
    millilitres: dict[str, float]
    warnings: list[str]
    session: SessionStatus | None = None

    def to_json(self) -> Json:
        """Return the object that ``correct --json`` prints."""
        return {
            "scan": self.scan,
            "outputs": [str(path) for path in self.outputs],
            "structures": {name: {"ml": ml} for name, ml in self.millilitres.items()},
            "warnings": self.warnings,
            "session": None if self.session is None else self.session.to_json(),
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
    method: Annotated[
        str | None,
        Field(
            description="How the model learns from the strokes (see `methods`); propagate-only: it learns nothing. By "
            "default as in the session that is open, else propagate-only."
        ),
    ] = None
    options: Annotated[Mapping[str, Any], Field(description="Options of the method; `methods` lists them.")] = field(
        default_factory=dict
    )
    steps: Annotated[int | None, Field(ge=1, description=f"Optimiser steps of the round; {STEPS} by default.")] = None
    seed: Annotated[int, Field(ge=0, description="Decides batches and dropout.")] = 0
    format: Annotated[Format | None, Field(description=FORMAT)] = None
    overwrite: Annotated[
        bool, Field(description="The result may replace a file, but never the scan or the strokes.")
    ] = False


@called_with(CorrectCall)
def correct(call: CorrectCall) -> CorrectResult:
    """Segment a scan and correct the result with strokes, which spread to what looks like them.

    With a method, a copy of the model learns from them before the scan is predicted again: a round of the model's
    correction session.  The version in use does not change.

    Returns:
        Files, volumes and warnings.

    Raises:
        IncrementalSegError: Something named is unknown, cannot be read, does not fit or would be lost, or the strokes
            are empty or contradict each other.
    """
    require_slic()
    folder = open_model(call.model)
    if (call.method or Session(folder).method or PROPAGATE_ONLY) == PROPAGATE_ONLY:
        _refuse_learning_options(call)
        return _correct(call)
    if call.version is not None:
        raise OptionError(
            f"Version {call.version} cannot learn from corrections.",
            "They teach the version in use.",
            Hint("Leave out ", OptionRef("version"), "."),
        )
    with folder.writing():
        session = Session(folder)
        session.settle()
        return _correct(call, session)


def _refuse_learning_options(call: CorrectCall) -> None:
    """Refuse options of a round where the model learns nothing."""
    if call.steps is not None or call.options:
        raise OptionError(
            "The number of steps and the options of a method have no effect on this correction.",
            "Without a method the model learns nothing from the strokes.",
            Hint("Name a ", OptionRef("method"), ", or leave them out."),
        )


def _settings(session: Session, call: CorrectCall) -> LearnerSettings:
    """Return how a round learns, which the first one decides."""
    begun = session.settings
    if begun is None:
        assert call.method is not None
        return LearnerSettings(call.method, dict(call.options), call.seed)
    if call.method not in (None, begun.method) or (call.options and dict(call.options) != dict(begun.options)):
        raise ModelError(
            f"The correction session of {session.folder.path} has the method {begun.method!r} and its options.",
            "What was learned so far would be lost.",
            Hint(
                "Keep it with ",
                CommandRef("keep_corrections", {"model": str(session.folder.path)}),
                ", or discard it with ",
                CommandRef("discard_corrections", {"model": str(session.folder.path)}),
                ".",
            ),
        )
    return begun


def _correct(call: CorrectCall, session: Session | None = None) -> CorrectResult:
    warnings: list[str] = []
    source, strokes = one_source(call.scan, warnings), Path(call.strokes)
    path = place_results(Path(call.output), [source], call.format)(source)
    keep_files(files_of(path), [*source.paths, strokes], call.overwrite)
    settings = None if session is None else _settings(session, call)
    ready = ReadyModel.open(call.model, None, call.version, call.device, warnings=warnings)
    volume = ready.read(source)
    check_files(path, volume.grid)
    drawn = read_strokes(strokes, volume.grid, ready.structures, ready.loaded.segmenter.exclusive)
    rounds = None
    if session is None or settings is None:
        share = Share.of(call.progress, Phase.SEGMENTING.of(source.name))
        prediction = predict_with(drawn, ready, volume, source.name, share)
    else:
        prediction, rounds = session.correct(
            source,
            volume,
            drawn,
            settings,
            ready,
            runtime=start(call.device),
            steps=STEPS if call.steps is None else call.steps,
            progress=call.progress,
        )
    outputs = write_result(path, prediction, volume.grid, ready.structures, warnings)
    if session is not None and settings is not None and rounds is not None:
        try:
            session.save(rounds, settings)  # last: a round without its outline would teach twice when it is done again
        except ModelError as error:
            again = Hint(f"{error.todo} Replace that outline with ", OptionRef("overwrite", True), ".")
            what = f"The outline {path} is written, but the round could not be saved and does not count."
            raise ModelError(what, f"{error.what} {error.why}", again) from error
    found = {item.name: millilitres(prediction.mask[item.id], volume.grid) for item in ready.structures}
    told = list(dict.fromkeys(warnings))  # the scan is predicted twice where a model learns
    return CorrectResult(source.name, outputs, found, told, None if session is None else session.status())


def corrections(model: str | Path) -> SessionStatus:
    """Return what the correction session of a model has done; no rounds where none is open.

    Args:
        model: The model's folder.

    Raises:
        ModelError: There is no model, or a file is damaged.
    """
    return Session(open_model(model)).status()


def undo_correction(model: str | Path) -> SessionStatus:
    """Take back the last round of a correction session; files written for a scan stay.

    Args:
        model: The model's folder.

    Returns:
        What is left; no rounds where this was the first one.

    Raises:
        ModelError: No session is open, or the round was too long ago.
    """
    folder = open_model(model)
    with folder.writing():
        session = _open(folder)
        session.undo()
        return session.status()


def discard_corrections(model: str | Path) -> SessionStatus:
    """Forget what a correction session has learned; files written for its scans stay.

    Args:
        model: The model's folder.

    Returns:
        No rounds.

    Raises:
        ModelError: No session is open.
    """
    folder = open_model(model)
    with folder.writing():
        session = _open(folder)
        session.discard()
        return session.status()


@pydantic_dataclass(frozen=True, config=CONFIG)
class KeepCall(WorkSettings, DeviceSettings):
    """The arguments of :func:`keep_corrections`."""

    model: Annotated[str | Path, Field(description=MODEL)]
    _: KW_ONLY
    accept: Annotated[
        Literal["gate", "never"],
        Field(description="When the new version is used; gate: unless an older structure was harmed."),
    ] = "gate"


@called_with(KeepCall)
def keep_corrections(call: KeepCall) -> StepResult:
    """Save what a correction session has learned as a new version, which is used unless the retention gate refuses it.

    Where it is not used the session stays open until the version is accepted or the session is discarded.

    Returns:
        The new version; the one there is, where nothing was learned since.

    Raises:
        IncrementalSegError: No session is open, another version is in use than when it began, or the version cannot
            be written; the session stays.
    """
    runtime, folder = start(call.device), open_model(call.model)
    with folder.writing():
        session = Session(folder)
        if session.document and session.method is None and (number := session.candidate) is not None:
            session.settle()
            return StepResult.of(folder, number)
        return _open(folder).keep(runtime, call.progress, call.accept)


def _open(folder: ModelFolder) -> Session:
    """Return the session of a model."""
    session = Session(folder)
    if session.method is None:
        raise ModelError(
            f"No correction session of {folder.path} is open.",
            todo=Hint("Begin with ", CommandRef("correct"), " and a method."),
        )
    return session
