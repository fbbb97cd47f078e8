"""Requests that are more than one function of the library, as functions of their arguments."""

from __future__ import annotations

from pathlib import Path

from IncrementalSegLib.engine.adoption.found import adopt
from IncrementalSegLib.engine.packages.transfer import import_package
from IncrementalSegLib.engine.quality import list_versions
from IncrementalSegLib.progress import Progress, silent
from IncrementalSegLib.sampling.checks import check_data
from IncrementalSegLib.store.edits import rename_structure
from IncrementalSegLib.store.summary import read_summary
from IncrementalSegLib.store.unfinished import Unfinished
from IncrementalSegLib.store.versions import create_or_open, open_model
from IncrementalSegLib.types import Json


def versions(model: Path) -> Json:
    """Return the records of all versions, as ``versions --json`` prints them.

    Raises:
        IncrementalSegError: There is no such model.
    """
    return list_versions(open_model(model))


def accept(model: Path, version: int) -> Json:
    """Make a version the current one.

    Raises:
        IncrementalSegError: There is no such model or version, or it cannot be written.
    """
    open_model(model).accept(version)
    return read_summary(model)


def reject(model: Path, version: int) -> Json:
    """Mark a version as rejected.

    Raises:
        IncrementalSegError: There is no such model or version, it is the current one, or it cannot be written.
    """
    open_model(model).reject(version)
    return read_summary(model)


def rollback(model: Path, version: int | None = None) -> Json:
    """Go back to a version that was accepted before; by default the one before the current.

    Raises:
        IncrementalSegError: There is no such model or version, or it was never accepted.
    """
    open_model(model).roll_back(version)
    return read_summary(model)


def give_up(model: Path) -> Json:
    """Forget the step that is unfinished, if there is one: what a worker that was ended by force left behind.

    Raises:
        IncrementalSegError: The folder is no model, or another process writes it.
    """
    folder = create_or_open(model)
    with folder.writing():
        unfinished = Unfinished(folder.path)
        existed = unfinished.exists
        unfinished.remove()
    return {"model": folder.name, "removed": existed}


def import_(package: Path, model: Path) -> Json:
    """Make a model of a package and return its summary.

    Raises:
        IncrementalSegError: The package is damaged or does not fit, or the model is there already.
    """
    import_package(package, model)
    return read_summary(model)


def adopt_(folder: Path, model: Path, names: dict[str, str] | None = None, progress: Progress = silent) -> Json:
    """Make a model of a network that another program trained, with other names where wanted, and return its summary.

    Raises:
        IncrementalSegError: The network is refused, or the model is there already.
    """
    adopt(folder, model, names, progress)
    return read_summary(model)


def rename(model: Path, old: str, new: str) -> Json:
    """Rename a structure.

    Raises:
        IncrementalSegError: There is no such model or structure, or the name is taken.
    """
    rename_structure(open_model(model), old, new)
    return read_summary(model)


def check(data: Path, strict: bool = False, accept_grid: bool = False, progress: Progress = silent) -> Json:
    """Judge every case of a data set, as ``check --json`` prints it.

    Raises:
        DataError: The data set cannot be opened at all.
    """
    return check_data(
        data,
        progress=progress,
        strict=strict,
        accept_grid=accept_grid,
    ).to_json()
