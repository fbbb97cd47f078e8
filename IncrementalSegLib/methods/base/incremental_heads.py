"""Incremental-head networks (Ozdemir 2018, Sec. 2): the loss of Eq. 1 that the head methods share.

Each class adds one thing to the one before: new heads alone, distillation of the old ones, rehearsal of exemplars.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypeVar, cast

import torch
from pydantic import Field, model_validator
from torch import Tensor

from IncrementalSegLib.errors import ModelError
from IncrementalSegLib.losses.heads import cross_entropy, inverse_frequency, margin, soft_dice
from IncrementalSegLib.methods.base.context import StepContext
from IncrementalSegLib.methods.base.method import Method, MethodOptions
from IncrementalSegLib.methods.base.rehearsal import RehearsalOptions, Rehearses
from IncrementalSegLib.networks.config import SegmenterConfig
from IncrementalSegLib.networks.host import sent
from IncrementalSegLib.networks.outputs.heads import Heads
from IncrementalSegLib.networks.segmenter import Segmenter
from IncrementalSegLib.sampling.batch import Batch
from IncrementalSegLib.structures import Structure
from IncrementalSegLib.types import Json, StructureId

_OFFICIAL = {
    "dice": False, "candidates": 1000, "keep": 100, "rehearse": 100, "select_background": True,
    "masks": "independent", "centre": False,
}  # fmt: skip


class HeadOptions(MethodOptions):
    """Options of every method of the head family."""

    recipe: Literal["paper2018", "official2019"] = "paper2018"
    """paper2018: cross-entropy and soft Dice, alpha, 1x1 heads. official2019: class-weighted cross-entropy
    without alpha, two 3x3 blocks per head, batch normalisation on the logits, dropout 0.5, momentum 0.01, 1000
    candidates and 100 exemplars of foreground and background by raw features; the authors' two Adam optimisers are
    one here, on the summed loss, because two in sequence would invalidate each other's graphs. Not followed: their
    widths, schedule, augmentation (the preset decides) and, unless named, vgg19_5 as descriptor."""
    dice: bool = True
    """Add soft Dice on the new structures to their cross-entropy."""

    @model_validator(mode="before")
    @classmethod
    def _follow_recipe(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Take what is not named from the recipe."""
        if values.get("recipe") != "official2019":
            return values
        return {name: value for name, value in _OFFICIAL.items() if name in cls.model_fields} | values


class DistillingOptions(HeadOptions):
    """Options of the methods that distil old heads."""

    alpha: float = Field(0.5, ge=0, le=1)
    """Weight of the new structures against the old ones in Eq. 1 (paper2018 only)."""
    distill_reduction: Literal["sum", "mean"] = "sum"
    """Reduction of the distillation terms of several old heads; the paper does not say."""


class RehearsingOptions(RehearsalOptions, DistillingOptions):
    """Options of the head methods that rehearse exemplars."""

    exemplar_target: Literal["teacher", "gt", "mix"] = "teacher"
    """Target of the old heads in exemplar batches: the teacher's output as in the paper, the labels, or their mean."""


HeadOptionsT = TypeVar("HeadOptionsT", bound=HeadOptions)
DistillingOptionsT = TypeVar("DistillingOptionsT", bound=DistillingOptions)
RehearsingOptionsT = TypeVar("RehearsingOptionsT", bound=RehearsingOptions)


class IncrementalHeads(Method[HeadOptionsT]):
    """Base of the head methods: the new heads learn, and nothing holds the old ones.

    They also continue a model whose structures share a softmax.  New structures then have heads beside it, and each
    old one counts as a head whose background is everything else.
    """

    output = "heads"
    source = "Ozdemir, Fuernstahl & Goksel, MICCAI 2018, Eq. 1-2"

    def design(self, config: SegmenterConfig) -> SegmenterConfig:
        """Give ``official2019`` its deeper heads."""
        if self.options.recipe == "official2019":
            return config.model_copy(update={"head_depth": 2, "head_norm": True, "dropout": 0.5, "norm_momentum": 0.01})
        return config

    def check(self, architecture: Json, improved: Sequence[Structure]) -> None:
        """Refuse a network that depends on the scan.

        Raises:
            ModelError: It does.
        """
        if architecture.get("tasks"):
            raise ModelError(
                f"The method {self.registered_name!r} cannot teach this model.",
                "It chooses a network for each scan, and structures with heads would have to be in all of them.",
                "Choose clis or packnet, whichever taught it, or start another model.",
            )

    def grow(self, model: Segmenter, new: Sequence[StructureId], ctx: StepContext) -> None:
        """Add heads, beside the softmax where the model has one."""
        model.add(new, overlapping=True)

    def training_loss(self, batch: Batch, ctx: StepContext) -> dict[str, Tensor]:
        """Return L_c on the new heads."""
        return self.classify(two_way(ctx.model, batch.image, ctx.new), batch, ctx.new, ctx)

    def classify(
        self, logits: Tensor, batch: Batch, taught: Sequence[StructureId], ctx: StepContext
    ) -> dict[str, Tensor]:
        """Return the terms of L_c: cross-entropy and soft Dice, only where each structure was looked for.

        Args:
            logits: ``(B, 2 * K, *S)`` or the heads' own form, of the K structures in ``taught``.
            batch: The labels.
            taught: Structures.
            ctx: The step.
        """
        label, known = batch.labels(ctx.rows(taught))
        valid = known & ~batch.ignore.unsqueeze(1)
        terms = {"cross_entropy": cross_entropy(logits, label, valid, self._weights(taught, ctx))}
        if self.options.dice:
            terms["dice"] = soft_dice(logits, label, valid)
        return terms

    def _weights(self, structures: Sequence[StructureId], ctx: StepContext) -> Tensor | None:
        """Return the class weights of ``official2019`` from the voxel counts that every step leaves.

        They are equal for an adopted structure, whose voxels nobody has counted.
        """
        if self.options.recipe != "official2019":
            return None
        counts = [ctx.voxel_counts.get(structure, (1, 1)) for structure in structures]
        return sent(inverse_frequency(torch.tensor(counts, dtype=torch.float32)), ctx.device)


class DistillingHeads(IncrementalHeads[DistillingOptionsT]):
    """Base of the head methods that distil what the previous model knows (Eq. 1)."""

    needs = frozenset({"teacher"})

    def training_loss(self, batch: Batch, ctx: StepContext) -> dict[str, Tensor]:
        """Return the terms of Eq. 1 for a homogeneous batch: a batch of exemplars only distils."""
        taught = ctx.new if batch.source == "new" else ()
        old = tuple(item for item in self.distilled(ctx) if item not in taught)
        logits = two_way(ctx.model, batch.image, (*taught, *old))
        new_share, old_share = self._shares(bool(taught), bool(old))
        terms: dict[str, Tensor] = {}
        if taught:
            learned = self.classify(logits[:, : len(taught)], batch, taught, ctx)
            terms |= {name: new_share * term for name, term in learned.items()}
        if old:
            terms["distillation"] = old_share * self._distil(logits[:, len(taught) :], batch, old, ctx)
        return terms

    def label_share(self, batch: Batch, ctx: StepContext) -> float:
        """Return alpha where old heads are distilled too."""
        taught = ctx.new if batch.source == "new" else ()
        return self._shares(bool(taught), not set(self.distilled(ctx)) <= set(taught))[0]

    def distilled(self, ctx: StepContext) -> tuple[StructureId, ...]:
        """Return the structures of the teacher; an improved structure is distilled on its exemplars alone."""
        return ctx.teacher_model.structures if ctx.teacher_model is not None else ()

    def target(self, batch: Batch, old: Sequence[StructureId], ctx: StepContext) -> Tensor:
        """Return the probabilities ``(B, K, *S)`` to which the K old heads are held."""
        assert ctx.teacher_model is not None
        with torch.no_grad():
            return torch.sigmoid(margin(two_way(ctx.teacher_model, batch.image, old)))

    def _shares(self, taught: bool, old: bool) -> tuple[float, float]:
        """Return the weights of the new and the old part of Eq. 1; a part alone weighs 1."""
        if taught and old and self.options.recipe == "paper2018":
            return self.options.alpha, 1 - self.options.alpha
        return 1.0, 1.0

    def _distil(self, logits: Tensor, batch: Batch, old: Sequence[StructureId], ctx: StepContext) -> Tensor:
        """Return L_d on the old heads (Eq. 2 with its minus and mean over pixels)."""
        valid = ~batch.ignore.unsqueeze(1)
        weights = self._weights(old, ctx)
        return cross_entropy(logits, self.target(batch, old, ctx), valid, weights, self.options.distill_reduction)


class RehearsingHeads(Rehearses[RehearsingOptionsT], DistillingHeads[RehearsingOptionsT]):
    """Base of the head methods that rehearse exemplars (Sec. 2.2)."""

    def target(self, batch: Batch, old: Sequence[StructureId], ctx: StepContext) -> Tensor:
        """Return the teacher's opinion, or where exemplars are labelled what the option asks for."""
        teacher = super().target(batch, old, ctx)
        if batch.source != "exemplar" or self.options.exemplar_target == "teacher":
            return teacher
        label, known = batch.labels(ctx.rows(old))
        share = 1.0 if self.options.exemplar_target == "gt" else 0.5
        return torch.where(known, share * label + (1 - share) * teacher, teacher)  # labels may not have been stored


def two_way(model: Segmenter, image: Tensor, structures: Sequence[StructureId]) -> Tensor:
    """Return logits ``(B, K, 2, *S)`` of structures, whether they have heads or are part of a softmax."""
    return cast(Heads, model.output).two_way(model(image, structures).logits, structures)
