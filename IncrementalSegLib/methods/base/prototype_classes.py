"""Class means in a step: prototypes of earlier steps, and running means of the structures being taught."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from IncrementalSegLib.losses.pseudo_labels import pseudo_labels
from IncrementalSegLib.methods.base.context import StepContext
from IncrementalSegLib.methods.base.softmax_classes import ClassOptionsT, ClassTarget, Outputs, SoftmaxClasses, columns
from IncrementalSegLib.networks.host import picked, sent
from IncrementalSegLib.prototypes.bank import BACKGROUND
from IncrementalSegLib.prototypes.means import masked_means
from IncrementalSegLib.prototypes.running import RunningMeans

_BEFORE = "means before"
"""Name of the running means as they were before the present batch."""


@dataclass(frozen=True)
class Means:
    """Class means by column of the model's logits.

    Attributes:
        values: ``(1 + N, F)`` float64, zero where not known.
        known: ``(1 + N,)`` bool.
    """

    values: Tensor
    known: Tensor

    def of(self, rows: Sequence[int]) -> Means:
        """Return the means of some columns."""
        return Means(picked(self.values, rows, 0), picked(self.known, rows, 0))


def class_masks(column: Tensor, rows: Sequence[int], valid: Tensor) -> Tensor:
    """Return where each of ``rows`` lies, as ``(B, len(rows), *S)`` bool.

    Args:
        column: ``(B, *S)`` int64, column at each voxel.
        rows: Columns.
        valid: ``(B, *S)`` bool; False makes every mask False.
    """
    return torch.stack([(column == row) & valid for row in rows], dim=1)


def completed(outputs: Outputs, target: ClassTarget) -> Tensor:
    """Return the labels, and where there is none what the previous model holds most probable.

    Returns:
        ``(B, *S)`` int64, columns of the model's logits.
    """
    return pseudo_labels(target.column, outputs.teacher_probability, outputs.student_columns).column


def certain(column: Tensor, target: ClassTarget, ctx: StepContext) -> Tensor:
    """Return where the class is certain: not where nothing is found but a structure of the step was not looked for.

    Args:
        column: ``(B, *S)`` int64, labels, possibly completed by the previous model.
        target: The batch.
        ctx: The step.

    Returns:
        ``(B, *S)`` bool; False where the batch is not valid.
    """
    complete = target.seen[:, columns(ctx.model, ctx.new)].all(1).view(-1, *[1] * (column.ndim - 1))
    return target.valid & ((column != 0) | sent(complete, column))


class PrototypeClasses(SoftmaxClasses[ClassOptionsT]):
    """Base of the class methods that compare features with class means.

    The means of the structures being taught are running means over the batches of the step, kept in its
    memory; those of the others, and of the background, are what the step before left.
    """

    needs = frozenset({"teacher", "prototypes"})

    def begin_step(self, ctx: StepContext) -> None:
        """Drop running means that a model may have brought from elsewhere."""
        self._drop(ctx)

    def stored(self, ctx: StepContext) -> Means:
        """Return the means that earlier steps left, without those of the structures being taught."""
        keys = [BACKGROUND, *(item if item in ctx.old else "" for item in ctx.model.structures)]
        known = torch.tensor([key in ctx.prototypes for key in keys])
        values = torch.zeros(len(keys), ctx.model.trunk(0).decoder_channels, dtype=torch.float64)
        if bool(known.any()):
            values[known] = ctx.prototypes.matrix([key for key in keys if key in ctx.prototypes])
        return Means(sent(values, ctx.device), sent(known, ctx.device))

    def add_batch(self, features: Tensor, target: ClassTarget, ctx: StepContext) -> Means:
        """Add a batch to the running means and return all means.

        Args:
            features: ``(B, F, *S)``; no gradient flows back.
            target: The labels of the batch.
            ctx: The step; its memory is changed.
        """
        rows = columns(ctx.model, ctx.new)
        masks = class_masks(target.column, rows, target.valid)
        running = self._running(len(rows), features.shape[1], ctx)
        if self.key(_BEFORE) not in ctx.memory.tensors:  # the first part of a batch
            ctx.memory.tensors |= {self.key(_BEFORE): running.means, self.key(f"{_BEFORE} counts"): running.counts}
        grown = running.updated(*masked_means(features.detach(), masks))
        ctx.memory.tensors |= {self.key("means"): grown.means, self.key("counts"): grown.counts}
        earlier = self.stored(ctx)
        places = sent(rows, earlier.values)
        known = earlier.known.index_copy(0, places, grown.counts > 0)
        return Means(earlier.values.index_copy(0, places, grown.means), known)

    def retry_batch(self, ctx: StepContext) -> None:
        """Take the batch out of the running means again."""
        for name, before in (("means", _BEFORE), ("counts", f"{_BEFORE} counts")):
            if self.key(before) in ctx.memory.tensors:
                ctx.memory.tensors[self.key(name)] = ctx.memory.tensors.pop(self.key(before))

    def after_update(self, ctx: StepContext) -> None:
        """Leave the batch in the running means."""
        self._drop(ctx, _BEFORE, f"{_BEFORE} counts")

    def remember(self, ctx: StepContext) -> None:
        """Drop the running means: the engine has averaged the features of the finished model instead."""
        self._drop(ctx)

    def _drop(self, ctx: StepContext, *which: str) -> None:
        for name in which or ("means", "counts", _BEFORE, f"{_BEFORE} counts"):
            ctx.memory.tensors.pop(self.key(name), None)

    def _running(self, classes: int, width: int, ctx: StepContext) -> RunningMeans:
        means, counts = (ctx.memory.tensors.get(self.key(name)) for name in ("means", "counts"))
        if means is None or counts is None:
            return RunningMeans.empty(classes, width, ctx.device)
        return RunningMeans(means.to(ctx.device), counts.to(ctx.device))
