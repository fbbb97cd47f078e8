"""Growing softmax networks: what the methods of the class family share.

A step labels its own structures only; what is labelled 0 may be background or anything learned before
(*background shift*).  The methods differ in what they make of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeVar, cast

import torch
from torch import Tensor

from IncrementalSegLib.losses.classes import (
    masked_mean,
    merged_log_softmax,
    unbiased_cross_entropies,
    unbiased_distillation,
)
from IncrementalSegLib.losses.dice import soft_dice
from IncrementalSegLib.methods.base.context import StepContext
from IncrementalSegLib.methods.base.method import Method, MethodOptions
from IncrementalSegLib.networks.host import picked, sent
from IncrementalSegLib.networks.output import Output
from IncrementalSegLib.networks.outputs.classes import Classes
from IncrementalSegLib.networks.segmenter import Segmenter
from IncrementalSegLib.sampling.batch import Batch
from IncrementalSegLib.types import StructureId


class ClassOptions(MethodOptions):
    """Options of every method of the class family."""

    dice: bool = True
    """Add soft Dice on the step's structures to the cross-entropy: our own choice, the same for every method.
    Without it thin structures are not learned in short schedules; false is the literal form of the papers."""


ClassOptionsT = TypeVar("ClassOptionsT", bound=ClassOptions)


@dataclass(frozen=True)
class ClassTarget:
    """A batch in the terms of one softmax.

    Attributes:
        column: ``(B, *S)`` int64, column of what is labelled at each voxel, 0 where nothing is.
        seen: ``(B, 1 + N)`` bool on the CPU, True for the background and the structures that were looked for.
        valid: ``(B, *S)`` bool, False where no loss applies or two labels overlap.
    """

    column: Tensor
    seen: Tensor
    valid: Tensor


@dataclass(frozen=True)
class Outputs:
    """A batch seen by the model and by the previous model, its teacher.

    Attributes:
        student: Output of the model.
        teacher: Output of the previous model; its logits have the columns of the structures that it knows.
        student_columns: Columns of the old structures in the model's logits.
        teacher_columns: Columns of the same structures in the previous model's logits.
    """

    student: Output
    teacher: Output
    student_columns: list[int]
    teacher_columns: list[int]

    @property
    def logits_and_columns(self) -> tuple[Tensor, Tensor, list[int], list[int]]:
        """Logits of both models, and the columns of the old structures in each, as distillations take them."""
        return self.student.logits, self.teacher.logits, self.student_columns, self.teacher_columns

    @property
    def teacher_probability(self) -> Tensor:
        """Probability ``(B, 1 + K, *S)`` float32 by the previous model: the background, then the K old structures."""
        return merged_log_softmax(self.teacher.logits, self.teacher_columns).exp()


def columns(model: Segmenter, structures: Sequence[StructureId]) -> list[int]:
    """Return the columns of ``structures`` in the model's logits."""
    return [1 + model.structures.index(item) for item in structures]


def distillation(weight: float, outputs: Outputs, target: ClassTarget) -> dict[str, Tensor]:
    """Return the unbiased distillation (MiB, Eq. 4-5) as a named term; nothing at weight 0."""
    if not weight:
        return {}
    return {"distillation": weight * unbiased_distillation(*outputs.logits_and_columns, target.valid)}


class SoftmaxClasses(Method[ClassOptionsT]):
    """Base of the class methods: cross-entropy on the labels, plus what a method does to keep the old.

    Attributes:
        balanced: New rows start as equal shares of the background (MiB).
        unbiased: Label 0 means background or any old structure, rather than background alone.
    """

    output = "classes"
    balanced: ClassVar[bool] = True
    unbiased: ClassVar[bool] = True

    def grow(self, model: Segmenter, new: Sequence[StructureId], ctx: StepContext) -> None:
        """Add rows; after the first step balanced ones where the method wants them."""
        model.add(new)
        if self.balanced and ctx.teacher_model is not None and new:
            cast(Classes, model.output).balance(new)

    def training_loss(self, batch: Batch, ctx: StepContext) -> dict[str, Tensor]:
        """Return what labels teach and, after the first step, what keeps the old structures.

        Unlabelled scans keep all structures of the previous model and teach nothing.
        """
        output = ctx.model(batch.image)
        target = self.target(batch, ctx)
        if ctx.teacher_model is None or not (held := ctx.held(batch)):
            return self.classify(output.logits, target, ctx)
        outputs = Outputs(
            student=output,
            teacher=ctx.teacher(batch.image),
            student_columns=columns(ctx.model, held),
            teacher_columns=columns(ctx.teacher_model, held),
        )
        taught = {} if batch.source == "unlabelled" else self.supervise(outputs, target, ctx)
        return taught | self.preserve(outputs, target, ctx)

    def supervise(self, outputs: Outputs, target: ClassTarget, ctx: StepContext) -> dict[str, Tensor]:
        """Return what labels teach where there are old structures: cross-entropy and soft Dice."""
        return self.labelled(self.cross_entropies(outputs, target, ctx), outputs.student.logits, target, ctx)

    def cross_entropies(self, outputs: Outputs, target: ClassTarget, ctx: StepContext) -> Tensor:
        """Return each voxel's cross-entropy ``(B, *S)`` where there are old structures."""
        return unbiased_cross_entropies(outputs.student.logits, target.column, self.hidden(target, ctx))

    def preserve(self, outputs: Outputs, target: ClassTarget, ctx: StepContext) -> dict[str, Tensor]:
        """Return the named terms that keep the old structures; called where there are some."""
        return {}

    def classify(self, logits: Tensor, target: ClassTarget, ctx: StepContext) -> dict[str, Tensor]:
        """Return cross-entropy and soft Dice of the labels where there are no old structures."""
        losses = unbiased_cross_entropies(logits, target.column, self.hidden(target, ctx))
        return self.labelled(losses, logits, target, ctx)

    def hidden(self, target: ClassTarget, ctx: StepContext) -> Tensor:
        """Return which columns ``(B, 1 + N)`` bool on the CPU may lie under label 0."""
        hidden = ~target.seen
        if not self.unbiased:  # the papers' plain form: what was learned before is background now
            hidden[:, columns(ctx.model, ctx.old)] = False
        hidden[:, 0] = True
        return hidden

    @staticmethod
    def target(batch: Batch, ctx: StepContext) -> ClassTarget:
        """Return a batch in the terms of one softmax; labels of what was not looked for are never read."""
        rows = columns(ctx.model, ctx.structures)
        label, known = batch.labels(range(len(rows)))
        labelled = label.bool() & known
        seen = torch.zeros(len(label), 1 + len(rows), dtype=torch.bool)
        seen[:, 0] = True
        seen[:, rows] = batch.looked_for
        column = (labelled * sent(rows, label).view(-1, *[1] * (label.ndim - 2))).amax(1)
        return ClassTarget(column, seen, ~batch.ignore & (labelled.sum(1) <= 1))

    def labelled(self, losses: Tensor, logits: Tensor, target: ClassTarget, ctx: StepContext) -> dict[str, Tensor]:
        """Return the named terms of the labels: the mean of the cross-entropies ``(B, *S)``, and soft Dice."""
        terms = {"cross_entropy": masked_mean(losses, target.valid)}
        if self.options.dice:
            terms["dice"] = class_dice(logits, target, columns(ctx.model, ctx.new))
        return terms


def class_dice(logits: Tensor, target: ClassTarget, rows: list[int]) -> Tensor:
    """Return the soft Dice of the columns ``rows`` where their structures were looked for."""
    truth = torch.stack([target.column == row for row in rows], dim=1)
    seen = target.seen[:, rows]
    seen = sent(seen.view(*seen.shape, *[1] * (truth.ndim - 2)), truth)
    return soft_dice(picked(logits.float().softmax(1), rows), truth, seen & target.valid.unsqueeze(1))
