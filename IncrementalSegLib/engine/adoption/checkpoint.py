"""Checkpoints of nnU-Net and MONAI, read in a child process that is not trusted."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import safetensors.torch
from pydantic import BaseModel, Field, JsonValue
from safetensors import SafetensorError
from torch import Tensor

from IncrementalSegLib.engine.adoption.child import BUNDLE, MOST_BYTES, NNUNET, REFUSED, SETTINGS, WEIGHTS
from IncrementalSegLib.engine.adoption.forms import parsed
from IncrementalSegLib.engine.adoption.refusal import refused
from IncrementalSegLib.errors import ModelError
from IncrementalSegLib.files import read_json
from IncrementalSegLib.progress import UNTOLD, Share
from IncrementalSegLib.types import Json

_CHILD = (sys.executable, "-P", "-B", "-m", "IncrementalSegLib.engine.adoption.child")
_SECONDS = 900  # of the child
_EVERY = 0.2  # seconds between two looks whether it is still wanted
_Name = Annotated[str, Field(min_length=1, max_length=200)]


class Settings(BaseModel):
    """Settings of a checkpoint, as far as they are used."""

    trainer: _Name
    configuration: _Name
    mirror: tuple[int, ...] | None = None
    epoch: int | None = None
    plans: dict[str, JsonValue] | None = None
    dataset: dict[str, JsonValue] | None = None


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint of nnU-Net.

    Attributes:
        settings: How it was trained.
        weights: Name -> finite float32 tensor; names that nnU-Net writes twice are there once.
    """

    settings: Settings
    weights: dict[str, Tensor]


def read_checkpoints(paths: Sequence[Path], progress: Share = UNTOLD) -> list[Checkpoint]:
    """Read each checkpoint in a child process of its own without network, with a limit on memory and time.

    Args:
        paths: The checkpoints.
        progress: Receives the share that is read, several times a second; may raise to end the child.

    Raises:
        ModelError: One is not as nnU-Net v2 writes it: other types in its pickle, a compressed or damaged archive,
            weights that are not finite or not there, too large, or too slow.
    """
    for path in paths:
        _check_size(path, NNUNET)
    found = []
    for number, path in enumerate(paths):
        document, weights = _read_one(path, progress.sub(number / len(paths), (number + 1) / len(paths)), NNUNET)
        found.append(Checkpoint(parsed(Settings, document, path), weights))
    return found


def read_weights(path: Path, progress: Share = UNTOLD) -> dict[str, Tensor]:
    """Read the weights of a network of MONAI, likewise.

    Args:
        path: A checkpoint of torch, or a file of safetensors.
        progress: Receives the share that is read; may raise to end the child.

    Returns:
        Name -> finite float32 tensor; whole numbers are left out.

    Raises:
        ModelError: It is not as MONAI writes it, as in :func:`read_checkpoints`.
    """
    _check_size(path, BUNDLE)
    return _read_one(path, progress, BUNDLE)[1]


def _check_size(path: Path, kind: str) -> None:
    if path.stat().st_size > MOST_BYTES:
        raise _refused(path, f"it has {path.stat().st_size} bytes; {MOST_BYTES} are allowed", kind)


def _read_one(path: Path, progress: Share, kind: str) -> tuple[Json, dict[str, Tensor]]:
    with tempfile.TemporaryDirectory(prefix="incrementalseg-") as folder:
        _in_child(Path(folder), path, progress, kind)
        if (reason := Path(folder, REFUSED)).is_file():
            raise _refused(path, str(read_json(reason).get("reason")), kind)
        return _read(Path(folder), path, kind)


def _in_child(folder: Path, path: Path, progress: Share, kind: str) -> None:
    """Let the child write into a folder what it expects of a checkpoint.

    Raises:
        ModelError: It took too long, found the disk full, or did not end well.
    """
    end = time.monotonic() + _SECONDS
    with subprocess.Popen(  # noqa: S603  (this program, with paths as arguments)
        [*_CHILD, str(folder), str(path.absolute()), kind],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    ) as child:
        try:
            while child.poll() is None:
                progress(0.0)
                if time.monotonic() > end:
                    raise _refused(path, f"reading it took more than {_SECONDS} seconds", kind)
                with suppress(subprocess.TimeoutExpired):
                    child.wait(_EVERY)
        finally:
            child.kill()
    if child.returncode and shutil.disk_usage(folder).free < path.stat().st_size:
        raise refused(
            path,
            f"there is not enough room for its weights on the disk of {folder.parent}",
            "They are taken out of it in a temporary folder.",
            "Free some space, or name another folder in the environment variable TMPDIR.",
        )
    if child.returncode:
        raise _refused(path, f"the process that reads it ended with status {child.returncode}", kind)


def _read(folder: Path, path: Path, kind: str) -> tuple[Json, dict[str, Tensor]]:
    try:
        return read_json(folder / SETTINGS), safetensors.torch.load((folder / WEIGHTS).read_bytes())
    except (SafetensorError, ValueError, OSError) as error:
        raise _refused(path, f"its weights cannot be read: {error}", kind) from error


def _refused(path: Path, reason: str, kind: str) -> ModelError:
    return refused(
        path,
        reason,
        f"A checkpoint is a pickle, and only what {kind} writes is taken from it.",
        "Get the folder again from where it was trained.",
    )
