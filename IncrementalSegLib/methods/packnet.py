"""PackNet: a step trains the free weights, holds the larger half of them for good and frees the others."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

import torch
from pydantic import Field
from torch import Tensor

from IncrementalSegLib.errors import CommandRef, Hint, MissingNeedError, ModelError
from IncrementalSegLib.methods.base.context import StepContext
from IncrementalSegLib.methods.base.method import TrainingPhase
from IncrementalSegLib.methods.base.softmax_classes import ClassOptions, SoftmaxClasses
from IncrementalSegLib.networks.bayesian import layers_of
from IncrementalSegLib.networks.segmenter import Segmenter
from IncrementalSegLib.networks.task_memory import TaskMemory
from IncrementalSegLib.networks.task_networks import packed_kernels
from IncrementalSegLib.registry import register
from IncrementalSegLib.sampling.batch import Batch
from IncrementalSegLib.types import Json, StructureId

log = logging.getLogger(__name__)

MASKS = "masks"
"""Name of the list of structures that the masks are about.  A mask holds the task that each weight belongs to, from 1,
or 0 for a free one; it lies in the network, or here until the next step of a model of another method."""

HELD = "held"
"""Name of the weights at the beginning of a task, by which those of earlier tasks are held."""

RETRAIN = "retrain"
"""Name of the phase after the weights were freed."""

MOST_TASKS = 255


class PacknetOptions(ClassOptions):
    """Options of PackNet."""

    prune: float = Field(0.5, ge=0, lt=1)
    """Share of a step's weights that it frees in each layer, the smallest ones; the default of the authors' code."""
    fixed: bool = True
    """Hold biases and normalisation of the trunk after the first step, as in the authors' code; otherwise each step
    has its own."""


@register("method", "packnet")
class Packnet(SoftmaxClasses[PacknetOptions]):
    """Weights of earlier steps held, and the free ones trained; each step frees the smaller half of its own.

    A step, or a scan of a correction session, is a task.  The network of a scan is that of the task of the most similar
    scan that taught, as in CLIS; PackNet itself has to be told the task.
    """

    needs = frozenset({"memory:masks"})
    keeps_tasks = True
    source = "Mallya & Lazebnik, CVPR 2018 (PackNet), Sec. 3"

    def grow(self, model: Segmenter, new: Sequence[StructureId], ctx: StepContext) -> None:
        """Add balanced rows, and a task memory, whose first task is what another method has taught."""
        if model.tasks is None and len(model.trunks):
            model.tasks = TaskMemory(model)
            if ctx.teacher_model is not None and (found := ctx.memory.group(self.key(f"{MASKS}/"), ctx.device)):
                for name, mask in model.tasks.networks.owners.items():
                    mask.copy_(found[name])
                model.tasks.begin(model, {})
                ctx.memory.replace_group(self.key(f"{MASKS}/"), {})
        super().grow(model, new, ctx)
        if model.tasks is None:
            model.tasks = TaskMemory(model)
        model.tasks.networks.extend(model)

    def begin_step(self, ctx: StepContext) -> None:
        """Give the free weights to the new task, from 0, and note the others.

        Raises:
            ModelError: The network is Bayesian, or has had too many tasks.
            MissingNeedError: Another method has changed the weights of all tasks.
        """
        if next(layers_of(ctx.model), None) is not None:
            raise ModelError(
                "PackNet does not work on a Bayesian network.", todo="Choose another method, such as clis."
            )
        packed, masks = packed_kernels(ctx.model), self._masks(ctx)
        if ctx.teacher_model is None:
            self._begin_first(ctx, masks)
            return
        if not any(bool(mask.any()) for mask in masks.values()):
            raise MissingNeedError(
                "The masks of the model are those of another network.",
                "A step with another method has changed the network since.",
                Hint(
                    "Choose another method, or compute them from the old scans: ",
                    CommandRef("remember", {"data": "OLD_DATA", "method": self.registered_name}),
                    ".",
                ),
            )
        task = int(self._noted(ctx)["task"]) + 1
        if task > MOST_TASKS:
            raise ModelError(
                f"PackNet counts {MOST_TASKS} steps and corrected scans at most.", todo="Choose another method."
            )
        if not any(bool((mask == 0).any()) for mask in masks.values()):
            log.warning("No weight of the network is free: only its outputs learn.")
        with torch.no_grad():
            for name, weight in packed.items():
                free = masks[name] == 0
                weight.masked_fill_(free, 0.0)
                masks[name].masked_fill_(free, task)
        held = packed | (_others_of_trunk(ctx.model) if self.options.fixed else {})
        self._store_held({name: weight.detach().clone() for name, weight in held.items()}, ctx)
        self._note(ctx, task=task, pruned=False)

    def phases(self, ctx: StepContext) -> tuple[TrainingPhase, ...]:
        """Train, and train again what was not freed; unpruned weights are not those to keep."""
        frozen = (self.options.fixed and ctx.teacher_model is not None) or self.freezes_norm(ctx)
        return (
            TrainingPhase("train", share=0.5, freeze_norm=frozen),
            TrainingPhase(RETRAIN, share=0.5, freeze_norm=frozen, starts_over=True),
        )

    def training_loss(self, batch: Batch, ctx: StepContext) -> dict[str, Tensor]:
        """Return what labels teach; the first one of the second phase frees weights before."""
        if ctx.phase == RETRAIN and not self._noted(ctx)["pruned"]:
            self._prune(ctx, self._masks(ctx))
            self.after_update(ctx)
        return self.classify(ctx.model(batch.image).logits, self.target(batch, ctx), ctx)

    @torch.no_grad()
    def after_update(self, ctx: StepContext) -> None:
        """Put back the weights of earlier tasks, and those that were freed to 0."""
        held = ctx.memory.group(self.key(f"{HELD}/"), ctx.device)
        masks, task = self._masks(ctx), self._noted(ctx)["task"]
        for name, weight in ctx.model.named_parameters():
            if name in masks:
                then = held.get(name, weight) * (masks[name] > 0)
                weight.copy_(torch.where(masks[name] == task, weight, then))
            elif name in held:
                weight.copy_(held[name])

    def next_scan(self, ctx: StepContext) -> None:
        """Take each scan of a session for a task; its weights are freed without training the others again."""
        self.remember(ctx)
        self.begin_step(ctx)

    def remember(self, ctx: StepContext) -> None:
        """Free weights where the training did not come to it.

        The weights of a model of another method become those of a first task; its masks wait for the next step.
        """
        masks = self._masks(ctx)
        if not any(bool(mask.any()) for mask in masks.values()):
            self._begin_first(ctx, masks)
        if not self._noted(ctx)["pruned"]:
            self._prune(ctx, masks)
        if ctx.model.tasks is None:
            ctx.memory.replace_group(self.key(f"{MASKS}/"), masks)
        else:
            self.after_update(ctx)
        self._store_held({}, ctx)
        self._note(ctx, structures=list(dict.fromkeys([*self._noted(ctx)["structures"], *ctx.new])))

    def _begin_first(self, ctx: StepContext, masks: Mapping[str, Tensor]) -> None:
        """Give all weights to the first task."""
        for mask in masks.values():
            mask.fill_(1)
        self._note(ctx, structures=[], task=1, pruned=False)

    @torch.no_grad()
    def _prune(self, ctx: StepContext, masks: Mapping[str, Tensor]) -> None:
        """Mark the smallest weights of the task in each layer as free."""
        task = self._noted(ctx)["task"]
        for name, weight in packed_kernels(ctx.model).items():
            masks[name].masked_fill_(smallest(weight, masks[name] == task, self.options.prune), 0)
        self._note(ctx, pruned=True)

    def _masks(self, ctx: StepContext) -> dict[str, Tensor]:
        """Return the masks of the network by the name of their weight; all 0 where it has none yet."""
        if ctx.model.tasks is not None:
            return ctx.model.tasks.networks.owners
        packed = packed_kernels(ctx.model)
        return {name: torch.zeros_like(weight, dtype=torch.uint8) for name, weight in packed.items()}

    def _noted(self, ctx: StepContext) -> Json:
        """Return the structures that the masks are about, the latest task, and whether it has freed weights."""
        noted: Json = ctx.memory.data[self.key(MASKS)]
        return noted

    def _note(self, ctx: StepContext, **changes: object) -> None:
        ctx.memory.data[self.key(MASKS)] = ctx.memory.data.get(self.key(MASKS), {}) | changes

    def _store_held(self, values: Mapping[str, Tensor], ctx: StepContext) -> None:
        """Replace the weights by which those of earlier tasks are held."""
        ctx.memory.replace_group(self.key(f"{HELD}/"), values)


def smallest(weight: Tensor, among: Tensor, share: float) -> Tensor:
    """Return which weights have the least magnitude.

    Args:
        weight: Any shape.
        among: Bool of the same shape, True for those that are compared.
        share: Share of these, 0..1; weights as small as the last one are taken too.
    """
    sizes = weight[among].abs()
    count = round(share * len(sizes))
    if not count:
        return torch.zeros_like(among)
    return among & (weight.abs() <= sizes.kthvalue(count).values)


def _others_of_trunk(model: Segmenter) -> dict[str, Tensor]:
    """Return the other weights of the trunk, by name: biases and normalisation."""
    weights = model.named_parameters()
    return {name: weight for name, weight in weights if name.startswith("trunks.") and weight.ndim <= 2}
