"""Generated heads: the masked loss of the methods with a controller, and our own extension to later steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from pydantic import Field
from torch import Tensor

from IncrementalSegLib.losses.dice import soft_dice
from IncrementalSegLib.losses.sigmoid import binary_cross_entropy
from IncrementalSegLib.methods.base.context import StepContext
from IncrementalSegLib.methods.base.unlabelled import DrawsUnlabelled, UnlabelledOptions
from IncrementalSegLib.sampling.batch import Batch
from IncrementalSegLib.types import StructureId


class GeneratedOptions(UnlabelledOptions):
    """Options of the methods with generated heads."""

    distillation: float = Field(1.0, ge=0)
    """Weight of the older structures from the second step on: the mean binary cross-entropy to the previous model's
    sigmoid. Our own extension: the papers teach everything in one step."""


GeneratedOptionsT = TypeVar("GeneratedOptionsT", bound=GeneratedOptions)


class GeneratedHeads(DrawsUnlabelled[GeneratedOptionsT]):
    """Base of the methods whose heads a controller generates."""

    output = "dynamic"
    needs = frozenset({"teacher"})

    def training_loss(self, batch: Batch, ctx: StepContext) -> dict[str, Tensor]:
        """Return binary cross-entropy and soft Dice of the labels, and the distillation of the older structures.

        On unlabelled scans all structures of the previous model are distilled, and none is learned.
        """
        taught = () if batch.source == "unlabelled" else ctx.new
        old = ctx.held(batch) if self.options.distillation else ()
        scores = ctx.model(batch.image, (*taught, *old)).logits
        terms = self.classify(scores[:, : len(taught)], batch, taught, ctx) if taught else {}
        if old:
            target = ctx.teacher(batch.image, old).logits.float().sigmoid()
            held = binary_cross_entropy(scores[:, len(taught) :], target, ~batch.ignore.unsqueeze(1))
            terms["distillation"] = self.options.distillation * held
        return terms

    def classify(
        self, scores: Tensor, batch: Batch, taught: Sequence[StructureId], ctx: StepContext
    ) -> dict[str, Tensor]:
        """Return both terms of the labels, of each scan only for the structures that were looked for in it.

        Args:
            scores: ``(B, K, *S)`` of the K structures in ``taught``.
            batch: The labels.
            taught: Structures.
            ctx: The step.
        """
        label, known = batch.labels(ctx.rows(taught))
        valid = known & ~batch.ignore.unsqueeze(1)
        dice = soft_dice(scores.float().sigmoid(), label, valid)
        return {"cross_entropy": binary_cross_entropy(scores, label, valid), "dice": dice}
