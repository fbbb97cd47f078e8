"""Files of a folder that nnU-Net v2 left after training: one network, in one or several folds."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from pathlib import Path

from IncrementalSegLib.engine.adoption.refusal import FOLD, refused
from IncrementalSegLib.errors import ModelError, OptionError

FINAL = "checkpoint_final.pth"
"""Checkpoint in each fold, by default."""

PLANS, DATASET = "plans.json", "dataset.json"
"""Names of its files."""

DATASET_FOLDER = re.compile(r"Dataset(?P<number>[0-9]{3})_(?P<name>.+)")
"""Name of the folder of a data set: other digits than these are none for nnU-Net."""

_ALL = "all"
_OLD = ("plans.pkl", "*/model_final_checkpoint.model", "*/model_best.model", "*/model_final_checkpoint.model.pkl")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainedFolder:
    """A folder with plans, data set and checkpoints.

    Attributes:
        path: The folder.
        checkpoints: Fold -> its checkpoint, in order.
    """

    path: Path
    checkpoints: dict[str, Path]

    @property
    def plans(self) -> Path:
        """Its plans."""
        return self.path / PLANS

    @property
    def dataset(self) -> Path:
        """Its description of the data set."""
        return self.path / DATASET


def find_trained(path: Path, folds: str | None = None, checkpoint: str = FINAL) -> TrainedFolder:
    """Find the files of a trained network.

    Args:
        path: The folder with ``plans.json``, or the one around it where it holds no other.
        folds: Folds, comma-separated; by default all numbered ones that are there, else ``all``.
        checkpoint: Name of the file in each fold.

    Raises:
        ModelError: It is no such folder, is one of nnU-Net v1, or holds no checkpoint.
        OptionError: A fold is not there, or the checkpoint is a path.
    """
    if Path(checkpoint).name != checkpoint:
        raise OptionError(f"{checkpoint!r} is not a file name.", todo="Give the name that the file has in each fold.")
    path = _trained(path)
    for name in (PLANS, DATASET):
        if not (path / name).is_file():
            raise refused(path, f"it holds no {name}", "nnU-Net v2 writes it next to the folds.", "Copy it there.")
    inside = {item.name.removeprefix(FOLD): item / checkpoint for item in sorted(path.glob(f"{FOLD}*"))}
    there = {name: file for name, file in inside.items() if file.is_file()}
    if not there:
        others = sorted({item.name for item in path.glob(f"{FOLD}*/checkpoint_*.pth")})
        raise refused(
            path,
            f"no fold holds {checkpoint}",
            f"There is {', '.join(others)}." if others else "The weights lie in fold_0, fold_1, ... or fold_all.",
            f"Name one of them as the checkpoint: {others[0]}." if others else "Name the folder that was trained.",
        )
    numbered = [name for name in there if name != _ALL]
    chosen = [item.strip() for item in folds.split(",")] if folds is not None else numbered or [_ALL]
    for name in chosen:
        if name not in there or chosen.count(name) > 1:
            raise OptionError(
                f"There is no fold {name!r} with {checkpoint} in {path.name}, or it is named twice.",
                todo=f"The folder holds fold {', '.join(there)}.",
            )
    if folds is None and (without := [name for name in inside if name not in there]):
        log.warning("Left out: fold %s, without %s.", ", ".join(without), checkpoint)
    return TrainedFolder(path, {name: there[name] for name in chosen})


def trained_in(path: Path) -> list[Path]:
    """Return the folders of trained networks in a folder such as ``nnUNet_results/DATASET``, by name."""
    return sorted(item.parent for item in path.glob(f"*/{PLANS}"))


def _trained(path: Path) -> Path:
    """Return the folder itself, or the only trained folder in it."""
    if not path.is_dir():
        what = f"{path} is a file, not a folder." if path.exists() else f"There is no folder {path}."
        raise ModelError(what, todo="Name the folder that holds plans.json and fold_0, fold_1, ... or fold_all.")
    if (path / PLANS).is_file():
        return path
    if any(next(path.glob(pattern), None) for pattern in _OLD):
        raise refused(
            path,
            "it was made by nnU-Net v1",
            "Its plans and weights have another form.",
            "Train the model with nnU-Net v2.",
        )
    inside = trained_in(path)
    if len(inside) == 1:
        return inside[0]
    if inside:
        raise refused(
            path,
            f"it holds {len(inside)} trained networks",
            f"They are {', '.join(item.name for item in inside[:5])}.",
            "Name one of these folders.",
        )
    raise refused(
        path,
        f"it holds no {PLANS}",
        "nnU-Net v2 writes it into the folder of a trained network.",
        "Name the folder TRAINER__PLANS__CONFIGURATION in nnUNet_results/DATASET.",
    )
