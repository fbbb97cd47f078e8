"""Training steps and models on phantoms, for the benchmarks of speed and of gradients."""

from __future__ import annotations

import copy
from pathlib import Path

import torch
from torch import Tensor

from IncrementalSegLib.engine.runtime import Runtime
from IncrementalSegLib.engine.scores.scoring import Validation
from IncrementalSegLib.engine.step.presets import find_preset
from IncrementalSegLib.engine.step.request import build_method
from IncrementalSegLib.engine.step.trainer import Trainer
from IncrementalSegLib.exemplars.memory import ExemplarMemory
from IncrementalSegLib.methods.base.context import MethodState, StepContext
from IncrementalSegLib.networks.segmenter import Segmenter
from IncrementalSegLib.preprocessing.plan import plan_for
from IncrementalSegLib.progress import silent
from IncrementalSegLib.prototypes.bank import PrototypeBank, class_means
from IncrementalSegLib.sampling.batch import PreparedCase
from IncrementalSegLib.sampling.cases import Case
from IncrementalSegLib.sampling.patches import PatchPool
from IncrementalSegLib.sampling.phantom import STRUCTURES, phantom_case
from IncrementalSegLib.sampling.prepare import prepare
from IncrementalSegLib.types import Dimension, Json


class TrainingStep:
    """A training step on a batch that lies on the device."""

    def __init__(self, trainer: Trainer) -> None:
        self.trainer, self.batch = trainer, trainer.batch(0)
        self.phase = trainer.method.phases(trainer.ctx)[0]
        self.optimiser = trainer.optimiser(self.phase)

    def update(self) -> None:
        """Do the step."""
        self.trainer.update(self.batch, self.phase, self.optimiser)

    def loss(self) -> Tensor:
        """Return the loss with its graph."""
        with self.trainer.runtime.autocast():
            return torch.stack(list(self.trainer.method.training_loss(self.batch, self.trainer.ctx).values())).sum()


class Bench:
    """Phantoms in which everything is outlined, of which a step sees its own structures.

    Args:
        runtime: Device and precision.
        dimension: Spatial axes of the network.
        preset: Name of its preset.
        size: Voxels of a phantom (D, H, W); by default those of its scanner.
    """

    def __init__(
        self,
        runtime: Runtime,
        dimension: Dimension = 2,
        preset: str = "quick",
        size: tuple[int, int, int] | None = None,
    ) -> None:
        self.runtime, self.dimension, self.preset = runtime, dimension, find_preset(preset, dimension)
        self.ids = {name: f"{number:032x}" for number, name in enumerate(STRUCTURES)}
        self.scans = [phantom_case(seed, "A", size, STRUCTURES) for seed in range(4)]
        grids = [volume.grid for volume, _ in self.scans]
        multiple = 2 ** (len(self.preset.widths) - 1)
        self.plan = plan_for(grids, 1, dimension, multiple, self.preset.side, self.preset.patch_side)

    def model(self, structures: list[str], method: str = "finetune") -> Segmenter:
        """Return a new model of some structures."""
        torch.manual_seed(0)
        built = build_method(method, {})
        config = self.preset.config(f"unet{self.dimension}d", 1).model_copy(update={"output": built.output})
        model = Segmenter(built.design(config))
        model.add(structures)
        self.runtime.place(model, self.dimension)
        return model.eval()

    def step(
        self,
        name: str,
        old: int = 1,
        new: int = 1,
        options: Json | None = None,
        previous: StepContext | None = None,
    ) -> TrainingStep:
        """Return a step that teaches the last ``new`` structures to a model that knows the ``old`` others.

        Args:
            name: Name of the method.
            old: Structures known; 0 is a model's first step.
            new: Structures taught.
            options: Options of the method.
            previous: The finished step before, whose model and memory are taken; by default the model is untrained.
        """
        method, ids = build_method(name, options or {}), tuple(self.ids.values())[: old + new]
        model = self.model(list(ids[:old]), name) if previous is None else previous.model.eval()
        teacher, prototypes = None, PrototypeBank()
        if old:
            teacher = copy.deepcopy(model)
            self.runtime.place(teacher, self.dimension)
            if teacher.exclusive:
                prototypes = class_means(teacher, self.cases(ids[:old]), ids[:old], self.runtime.device)
        ctx = StepContext(
            model=model,
            teacher_model=teacher,
            structures=ids,
            new=ids[old:],
            memory=MethodState() if previous is None else previous.memory,
            exemplars=ExemplarMemory(),
            prototypes=prototypes,
            cases=self.cases(ids[old:]),
            voxel_counts={},
            device=self.runtime.device,
            step=2 if old else 1,
            seed=0,
            plan=self.plan,
        )
        method.grow(model, ids[old:], ctx)
        self.runtime.place(model, self.dimension)
        method.begin_step(ctx)
        pools = {"new": PatchPool(ctx.cases, ids, ids[old:], self.plan, "new")}
        return TrainingStep(
            Trainer(method, ctx, pools, self.preset, 10, self.runtime, lambda done: Validation(), silent)
        )

    def cases(self, structures: tuple[str, ...]) -> list[PreparedCase]:
        """Return the scans with the outlines of some structures."""
        return [
            prepare(
                Case(str(number), str(number), (Path(),), frozenset()),
                volume,
                {item: masks[name] for name, item in self.ids.items() if item in structures},
                self.plan,
            )
            for number, (volume, masks) in enumerate(self.scans)
        ]
