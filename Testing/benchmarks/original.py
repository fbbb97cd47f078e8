"""nnU-Net itself, as its own package plans, trains and predicts, on one thread and in this process.

The package is no dependency: ``pip install nnunetv2`` in an environment of its own.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
import torch

from IncrementalSegLib.errors import OptionError
from IncrementalSegLib.sampling.cases import Case
from IncrementalSegLib.types import Json

_NAME = "Dataset001_Benchmark"
_PLANS = "nnUNetPlans"
_EPOCHS = 10
"""Epochs of a training; the learning rate falls with each."""


class Original:
    """A data set of nnU-Net, planned and preprocessed, and the networks that are trained on it.

    Args:
        folder: An empty folder for what nnU-Net writes.
        cases: Training cases with label maps.
        structures: Label names, in the order of the output.
        configuration: ``2d`` or ``3d_fullres``.

    Raises:
        OptionError: nnU-Net is not installed, or its folders are those of another data set in this process.
    """

    def __init__(self, folder: Path, cases: Sequence[Case], structures: Sequence[str], configuration: str) -> None:
        if find_spec("nnunetv2") is None:
            raise OptionError(
                "nnU-Net is not installed.",
                "This benchmark runs its own code.",
                "Install nnunetv2 in an environment of its own, and this project in the same.",
            )
        self.folder, self.structures, self.configuration = folder.absolute(), tuple(structures), configuration
        self._settle()
        self._write(cases)
        steps = import_module("nnunetv2.experiment_planning.plan_and_preprocess_api")
        steps.extract_fingerprints([1], num_processes=1)
        steps.plan_experiments([1])
        steps.preprocess([1], configurations=[configuration], num_processes=[1])

    def train(self, steps: int, seed: int) -> Any:
        """Return a trainer whose network was trained for about so many optimiser steps."""
        self._settle(workers=0)  # batches are made in this process
        for draw in (random.seed, np.random.seed, torch.manual_seed):
            draw(seed)
        plans, data = (json.loads((self._made / f"{name}.json").read_text()) for name in (_PLANS, "dataset"))
        kind = import_module("nnunetv2.training.nnUNetTrainer.nnUNetTrainer").nnUNetTrainer
        plans |= {"continue_training": False}  # what nnU-Net's command adds
        trainer = kind(plans, self.configuration, "all", data, device=torch.device("cpu"))
        trainer.num_epochs = min(_EPOCHS, steps)
        trainer.num_iterations_per_epoch, trainer.num_val_iterations_per_epoch = steps // trainer.num_epochs, 1
        trainer.disable_checkpointing = True
        trainer.run_training()
        return trainer

    def segment(self, trainer: Any, cases: Sequence[Case], out: Path, *, mirror: bool) -> None:
        """Write the label maps ``ID.nii.gz`` of the scans of cases."""
        self._settle()
        predict = import_module("nnunetv2.inference.predict_from_raw_data").nnUNetPredictor
        predictor = predict(
            use_mirroring=mirror, perform_everything_on_device=False, device=torch.device("cpu"), allow_tqdm=False
        )
        trainer.set_deep_supervision_enabled(False)
        predictor.manual_initialization(
            trainer.network, trainer.plans_manager, trainer.configuration_manager, [trainer.network.state_dict()],
            trainer.dataset_json, type(trainer).__name__, trainer.inference_allowed_mirroring_axes,
        )  # fmt: skip
        out.mkdir(parents=True, exist_ok=True)
        predictor.predict_from_files_sequential(
            [[str(path) for path in case.images] for case in cases], [str(out / case.id) for case in cases]
        )

    @property
    def _made(self) -> Path:
        return self.folder / "preprocessed" / _NAME

    def _settle(self, workers: int = 1) -> None:
        """Give nnU-Net its folders and the number of processes that make batches."""
        for name in ("raw", "preprocessed", "results"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
            os.environ[f"nnUNet_{name}"] = str(self.folder / name)
        os.environ |= {"nnUNet_n_proc_DA": str(workers), "nnUNet_compile": "f", "nnUNet_def_n_proc": "1"}

    def _write(self, cases: Sequence[Case]) -> None:
        """Write the cases in the form of nnU-Net, the structures renumbered from 1."""
        raw = self.folder / "raw" / _NAME
        for part in ("imagesTr", "labelsTr"):
            (raw / part).mkdir(parents=True)
        for case in cases:
            for channel, path in enumerate(case.images):
                (raw / "imagesTr" / f"{case.id}_{channel:04d}.nii.gz").symlink_to(path.absolute())
            source = sitk.ReadImage(str(case.label))
            values = sitk.GetArrayViewFromImage(source)
            wanted = np.zeros_like(values, dtype=np.uint8)
            for number, name in enumerate(self.structures, 1):
                wanted[np.isin(values, case.values[name])] = number
            label = sitk.GetImageFromArray(wanted)
            label.CopyInformation(source)
            sitk.WriteImage(label, str(raw / "labelsTr" / f"{case.id}.nii.gz"))
        names = {"background": 0} | {name: number for number, name in enumerate(self.structures, 1)}
        described = {
            "channel_names": {str(number): "MRI" for number in range(len(cases[0].images))},
            "labels": names,
            "numTraining": len(cases),
            "file_ending": ".nii.gz",
        }
        (raw / "dataset.json").write_text(json.dumps(described))


def dice_of(folder: Path, test: Sequence[Case], names: Sequence[str]) -> Json:
    """Return the Dice of each structure by test case; the structures are numbered from 1."""
    found: Json = {name: {} for name in names}
    for case in test:
        made, truth = (
            sitk.GetArrayFromImage(sitk.ReadImage(str(path))) for path in (folder / f"{case.id}.nii.gz", case.label)
        )
        for number, name in enumerate(names, 1):
            one, other = made == number, np.isin(truth, case.values[name])
            found[name][case.id] = 2 * float((one & other).sum()) / float(one.sum() + other.sum())
    return found
