"""PackNet: a step trains the free weights, holds the larger half of them for good and frees the others."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import torch
from pydantic import Field
from torch import Tensor

from IncrementalSegLib.errors import ModelError
from IncrementalSegLib.methods.base.context import StepContext
from IncrementalSegLib.methods.base.method import TrainingPhase
from IncrementalSegLib.methods.base.softmax_classes import ClassOptions, SoftmaxClasses
from IncrementalSegLib.networks.bayesian import layers_of
from IncrementalSegLib.networks.segmenter import Segmenter
from IncrementalSegLib.registry import register
from IncrementalSegLib.sampling.batch import Batch
from IncrementalSegLib.types import Json

log = logging.getLogger(__name__)

MASKS = "masks"
"""Name of the masks, by weight: the task that a weight belongs to, from 1, or 0 for a free one; uint8."""

OWN = "tasks"
"""Name of what each task has of its own: outputs, biases and normalisation."""

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

    A step, or a scan of a correction session, is a task.  The version predicts with the network of the latest task;
    :func:`task_weights` makes that of an earlier one.
    """

    needs = frozenset({"memory:masks"})
    source = "Mallya & Lazebnik, CVPR 2018 (PackNet), Sec. 3"

    def begin_step(self, ctx: StepContext) -> None:
        """Give the free weights to the new task, from 0, and note the others.

        Raises:
            ModelError: The network is Bayesian, or has had too many tasks.
        """
        if next(layers_of(ctx.model), None) is not None:
            raise ModelError(
                "PackNet does not work on a Bayesian network.", todo="Choose another method, such as clis."
            )
        packed = _packed(ctx.model)
        if ctx.teacher_model is None:
            self._store(
                MASKS, {name: torch.ones_like(weight, dtype=torch.uint8) for name, weight in packed.items()}, ctx
            )
            self._note(ctx, structures=[], task=1, pruned=False)
            return
        masks, task = self._stored(MASKS, ctx), int(self._noted(ctx)["task"]) + 1
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
        self._store(HELD, {name: weight.detach().clone() for name, weight in held.items()}, ctx)
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
            self._prune(ctx)
            self.after_update(ctx)
        return self.classify(ctx.model(batch.image).logits, self.target(batch, ctx), ctx)

    @torch.no_grad()
    def after_update(self, ctx: StepContext) -> None:
        """Put back the weights of earlier tasks, and those that were freed to 0."""
        masks, held, task = self._stored(MASKS, ctx), self._stored(HELD, ctx), self._noted(ctx)["task"]
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
        """Free weights where the training did not come to it, and keep what the task has of its own.

        The weights of a model of another method become those of a first task.
        """
        packed = _packed(ctx.model)
        if self.key(MASKS) not in ctx.memory.data:
            self._store(
                MASKS, {name: torch.ones_like(weight, dtype=torch.uint8) for name, weight in packed.items()}, ctx
            )
            self._note(ctx, structures=[], task=1, pruned=False)
        if not self._noted(ctx)["pruned"]:
            self._prune(ctx)
        noted = self._noted(ctx)
        own = {name: value for name, value in ctx.model.state_dict().items() if name not in packed}
        self._store(f"{OWN}/{noted['task']}", {name: value.clone() for name, value in own.items()}, ctx)
        self._store(HELD, {}, ctx)
        self._note(ctx, structures=list(dict.fromkeys([*noted["structures"], *ctx.new])))

    @torch.no_grad()
    def _prune(self, ctx: StepContext) -> None:
        """Mark the smallest weights of the task in each layer as free."""
        masks, task = self._stored(MASKS, ctx), self._noted(ctx)["task"]
        for name, weight in _packed(ctx.model).items():
            masks[name].masked_fill_(smallest(weight, masks[name] == task, self.options.prune), 0)
        self._note(ctx, pruned=True)

    def _noted(self, ctx: StepContext) -> Json:
        """Return the structures that the masks are about, the latest task, and whether it has freed weights."""
        noted: Json = ctx.memory.data[self.key(MASKS)]
        return noted

    def _note(self, ctx: StepContext, **changes: object) -> None:
        ctx.memory.data[self.key(MASKS)] = ctx.memory.data.get(self.key(MASKS), {}) | changes

    def _stored(self, kind: str, ctx: StepContext) -> dict[str, Tensor]:
        """Return the tensors of one kind by the name of their weight."""
        return ctx.memory.group(self.key(f"{kind}/"), ctx.device)

    def _store(self, kind: str, values: Mapping[str, Tensor], ctx: StepContext) -> None:
        """Replace the tensors of one kind."""
        ctx.memory.replace_group(self.key(f"{kind}/"), values)


def task_weights(weights: Mapping[str, Tensor], memory: Mapping[str, Tensor], task: int) -> dict[str, Tensor]:
    """Return the weights of the network of a task: those of this and earlier tasks, the rest 0.

    Outputs of structures that a later task has taught stay as they are; ask the network for the others only.

    Args:
        weights: Weights of a version.
        memory: Tensors of its memory.
        task: Number of the task, from 1.

    Raises:
        KeyError: There is no such task.
    """
    masks, own = Packnet.key(f"{MASKS}/"), Packnet.key(f"{OWN}/{task}/")
    if not any(key.startswith(own) for key in memory):
        raise KeyError(task)
    found = {name: memory.get(own + name, value) for name, value in weights.items()}
    for key, mask in memory.items():
        if key.startswith(masks):
            name = key.removeprefix(masks)
            found[name] = weights[name] * ((mask >= 1) & (mask <= task)).to(weights[name].device)
    return found


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


def _packed(model: Segmenter) -> dict[str, Tensor]:
    """Return the weights of convolutions in the trunk, by name."""
    return {name: weight for name, weight in model.named_parameters() if _in_trunk(name) and weight.ndim > 2}


def _others_of_trunk(model: Segmenter) -> dict[str, Tensor]:
    """Return the other weights of the trunk, by name: biases and normalisation."""
    return {name: weight for name, weight in model.named_parameters() if _in_trunk(name) and weight.ndim <= 2}


def _in_trunk(name: str) -> bool:
    return name.startswith("trunks.")
