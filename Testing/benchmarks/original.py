"""nnU-Net itself, as its own package plans, trains and predicts, on one thread and in this process.

The package is no dependency: ``pip install nnunetv2`` in an environment of its own.
"""

from __future__ import annotations

import json
import os
import random
import time
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


class Pace:
    """Optimiser steps of each epoch of a training: the same number in all.

    Args:
        steps: Of the whole training.

    Attributes:
        steps: Steps so far.
    """

    def __init__(self, steps: int) -> None:
        self.steps, self._all, self._began = 0, steps, 0.0

    @property
    def spent(self) -> float:
        """CPU seconds since the first epoch began."""
        return time.process_time() - self._began

    def steps_of(self, epoch: int) -> int:
        """Return the optimiser steps of an epoch that begins."""
        if epoch == 0:
            self._began = time.process_time()
        count = self.planned(epoch)
        self.steps += count
        return count

    def planned(self, epoch: int) -> int:
        """Return the optimiser steps of an epoch, at least one."""
        return max(1, round((self._all - self.steps) / (_EPOCHS - epoch)))


class TimedPace(Pace):
    """Steps fitted to the CPU time that is left; the first epoch has one.

    Args:
        seconds: Of the whole training.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(0)
        self._seconds = seconds

    def planned(self, epoch: int) -> int:
        """Return the optimiser steps of an epoch, at least one."""
        if epoch == 0:
            return 1
        return max(1, round((self._seconds - self.spent) / (_EPOCHS - epoch) / (self.spent / self.steps)))


class Original:
    """A data set of MR scans, planned and preprocessed by nnU-Net, and the networks that are trained on it.

    Args:
        folder: An empty folder for what nnU-Net writes.
        cases: Training cases with label maps.
        structures: Label names, in the order of the output.
        configuration: ``2d`` or ``3d_fullres``.

    Raises:
        OptionError: nnU-Net is not installed.
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

    def train(self, pace: Pace, seed: int) -> tuple[Any, Json]:
        """Train a network in ten epochs, with one validation batch in each.

        Returns:
            The trainer; and steps, seconds, and the mean loss of each epoch.
        """
        self._settle(workers=0)  # batches are made in this process
        for draw in (random.seed, np.random.seed, torch.manual_seed):
            draw(seed)
        plans, data = (json.loads((self._made / f"{name}.json").read_text()) for name in (_PLANS, "dataset"))
        kind = import_module("nnunetv2.training.nnUNetTrainer.nnUNetTrainer").nnUNetTrainer
        plans |= {"continue_training": False}  # what nnU-Net's command adds
        trainer = kind(plans, self.configuration, "all", data, device=torch.device("cpu"))
        trainer.num_epochs, trainer.num_val_iterations_per_epoch = _EPOCHS, 1
        trainer.disable_checkpointing = True
        begin = trainer.on_train_epoch_start

        def begin_epoch() -> None:
            trainer.num_iterations_per_epoch = pace.steps_of(trainer.current_epoch)
            begin()

        trainer.on_train_epoch_start = begin_epoch
        trainer.run_training()
        losses = [round(float(loss), 4) for loss in trainer.logger.get_value("train_losses", None)]
        return trainer, {"steps": pace.steps, "seconds": round(pace.spent, 1), "curve": losses}

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
        (raw / "labelsTr").mkdir(parents=True)
        for case in cases:
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
            "dataset": {  # else nnU-Net looks for the files with twelve processes
                case.id: {
                    "images": [str(path.absolute()) for path in case.images],
                    "label": str(raw / "labelsTr" / f"{case.id}.nii.gz"),
                }
                for case in cases
            },
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
