"""The common part of all releases: models that another program can have, and a folder that is whole or not there."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from IncrementalSegLib.engine.adoption.refusal import inexpressible
from IncrementalSegLib.engine.models import LoadedModel
from IncrementalSegLib.errors import ModelError
from IncrementalSegLib.files import (
    make_folder,
    make_inner_folder,
    plain_errors,
    sync_folder,
    temporary_sibling,
    write_new,
)


def serving_trunk(found: LoadedModel, program: str) -> int:
    """Return the number of the trunk that serves all structures.

    Args:
        found: The model.
        program: The program that it is for, which has one network with one softmax, or one sigmoid for each structure.

    Raises:
        ModelError: The model has more than that.
    """
    segmenter, record = found.segmenter, found.record
    refuse = partial(inexpressible, what=called(found), program=program)
    if record.output not in ("classes", "heads"):
        raise refuse(
            f"its output is {record.output}", f"{program} has a softmax over labels, or a sigmoid for each structure."
        )
    check_tasks(found, program)
    serving = sorted(set(segmenter.trunk_of.values()))
    own = [item.name for item in record.structures if segmenter.trunk_of[item.id] in segmenter.branches]
    apart = own or [item.name for item in record.structures if segmenter.trunk_of[item.id] != serving[0]]
    if apart:
        have = "has a network or a branch of its own" if len(apart) == 1 else "have networks or branches of their own"
        raise refuse(
            f"{', '.join(apart)} {have}",
            f"{program} has one network for all structures.",
            f"Release an earlier version, remove {apart[0]}, or teach it with a method that trains the shared network.",
        )
    overlapping = [item.name for item in record.structures if item.id not in segmenter.exclusive]
    if segmenter.exclusive and overlapping:
        raise refuse(
            f"{', '.join(overlapping)} may overlap structures that exclude each other",
            f"{program} has a softmax over labels, or a sigmoid for each structure, but not both.",
            f"Release an earlier version, remove {overlapping[0]}, or teach it to that version with a method such as "
            "mib, which makes it one of the labels.",
        )
    return serving[0]


def check_tasks(found: LoadedModel, program: str) -> None:
    """Refuse a model that chooses its network by the scan.

    Raises:
        ModelError: It has a task memory.
    """
    if found.segmenter.tasks is not None:
        raise inexpressible(
            "its network depends on the scan (task memory)",
            f"{program} has one network for all scans.",
            what=called(found),
            program=program,
        )


def called(found: LoadedModel) -> str:
    """Return what a version is called in a message."""
    return f"Version {found.record.number} of {found.folder.name}"


def check_free(target: Path) -> None:
    """Refuse to write where something is.

    Raises:
        ModelError: The folder is there already.
    """
    if target.exists():
        raise ModelError(f"{target} is already there.", todo="Choose another folder, or delete it first.")


def write_folder(target: Path, files: Mapping[str, bytes]) -> None:
    """Write a folder that is whole or not there.

    Args:
        target: The folder.
        files: Path in it -> content.

    Raises:
        ModelError: It cannot be written.
    """
    with plain_errors(target):
        make_folder(target.parent)
        temporary = temporary_sibling(target)
        try:
            temporary.mkdir()
            for name, data in files.items():
                if (inner := (temporary / name).parent) != temporary and not inner.exists():
                    make_inner_folder(inner)  # fails where another release to the same folder has removed this one
                write_new(temporary / name, data)
            temporary.rename(target)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        sync_folder(target.parent)
