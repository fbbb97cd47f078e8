"""Deep supervision: the structures of a step are learned at the coarser levels of a decoder too.

In nnU-Net each level but the coarsest of the decoder has a 1x1 convolution and the loss of the finest, with half the
weight from one to the next; the weights add up to 1 (Isensee et al., Nature Methods 2021).  It knows no increments.
Our own choice, alike for all methods: the convolutions belong to one step, have one sigmoid for each of its structures,
and learn cross-entropy and soft Dice where these were looked for.  What keeps older structures is computed by the
method, at full resolution alone, and keeps its weight.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from IncrementalSegLib.losses.dice import soft_dice
from IncrementalSegLib.losses.sigmoid import binary_cross_entropy
from IncrementalSegLib.methods.base.context import StepContext
from IncrementalSegLib.methods.base.method import LABEL_TERMS
from IncrementalSegLib.networks.branching import Branch
from IncrementalSegLib.networks.config import Topology
from IncrementalSegLib.networks.segmenter import Segmenter
from IncrementalSegLib.networks.trunks.nnunet import Convolutions, Decoder, NnUNet
from IncrementalSegLib.sampling.batch import Batch
from IncrementalSegLib.types import StructureId

TERM = "deep_supervision"
"""Name of the term of the loss."""


class DeepSupervision(nn.Module):
    """Convolutions on the coarser levels of the decoder that learns the structures of a step.

    Args:
        stages: Stages of the decoder, finest first, without the finest and the coarsest.
        structures: K structures.
    """

    def __init__(self, stages: Sequence[Convolutions], structures: Sequence[StructureId]) -> None:
        super().__init__()
        self.structures = tuple(structures)
        self._stages = tuple(stages)  # a tuple hides them from torch
        self._maps: dict[int, Tensor] = {}
        kind = {2: nn.Conv2d, 3: nn.Conv3d}
        self.heads = nn.ModuleList(
            kind[len(stage.kernel)](stage.filters, len(self.structures), 1) for stage in self._stages
        )

    @classmethod
    def of(cls, ctx: StepContext) -> DeepSupervision | None:
        """Return the deep supervision of a step; ``None`` where the network has none."""
        decoder = _decoder(ctx.model, ctx.new)
        stages = [] if decoder is None else list(decoder.stages)[-2:0:-1]
        if not stages:
            return None
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(ctx.seed)
            return cls(cast(list[Convolutions], stages), ctx.new).to(ctx.device)

    @property
    def weights(self) -> list[float]:
        """Weight of the finest level, then of each of the others."""
        falling = [0.5**level for level in range(len(self.heads) + 1)]
        return [weight / sum(falling) for weight in falling]

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Keep the maps of the levels that a pass inside the block computes."""
        hooks = [stage.register_forward_hook(partial(self._keep, level)) for level, stage in enumerate(self._stages)]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()
            self._maps.clear()

    def _keep(self, level: int, stage: nn.Module, given: Any, features: Tensor) -> None:
        self._maps[level] = features

    def added(
        self,
        terms: Mapping[str, Tensor],
        batch: Batch,
        ctx: StepContext,
        share: float,
        whole: Callable[[Tensor, int], Tensor] = lambda scores, count: scores,
    ) -> dict[str, Tensor]:
        """Return the terms of a method with that of the coarser levels, while :meth:`watching`.

        Terms of the labels get the weight of the finest level; the others stay as they are.

        Args:
            terms: Terms of the loss of the batch.
            batch: The batch.
            ctx: The step.
            share: Weight of the terms of the labels in the loss of the method.
            whole: Returns the scores of so many items, of which several processes each have a part.
        """
        rows = ctx.rows(self.structures)
        if not batch.looked_for[:, rows].any():
            return dict(terms)
        finest, *weights = self.weights
        label, known = batch.labels(rows)
        valid = known & ~batch.ignore.unsqueeze(1)
        scores = [whole(self._scores(level), len(label)) for level in range(len(weights))]
        losses = [weight * _loss(found, label, valid) for weight, found in zip(weights, scores, strict=True)]
        own = {name: finest * term if name in LABEL_TERMS else term for name, term in terms.items()}
        return own | {TERM: share * torch.stack(losses).sum()}

    def _scores(self, level: int) -> Tensor:
        features, head = self._maps[level], cast(nn.Conv2d | nn.Conv3d, self.heads[level])
        with torch.autocast(features.device.type, enabled=False):
            scores: Tensor = head(features.to(head.weight.dtype))
        return scores


def _loss(scores: Tensor, label: Tensor, valid: Tensor) -> Tensor:
    """Return cross-entropy and soft Dice of scores ``(B, K, *R)`` for the labels of the nearest voxels."""
    size = scores.shape[2:]
    target, counts = (F.interpolate(item.float(), size, mode="nearest-exact") for item in (label, valid))
    known = counts.bool()
    return binary_cross_entropy(scores, target, known) + soft_dice(scores.sigmoid(), target, known)


def _decoder(model: Segmenter, structures: Sequence[StructureId]) -> Decoder | None:
    """Return the decoder that serves the structures of a step, where its coarser levels are supervised."""
    trunks = {model.trunk_of[item] for item in structures}
    if len(trunks) != 1:  # structures that earlier steps taught apart and this one improves
        return None
    trunk = model.trunks[trunks.pop()]
    half = trunk.second if isinstance(trunk, Branch) else trunk
    form = half.config.topology if isinstance(half, NnUNet) else None
    if not isinstance(half, NnUNet) or not isinstance(form, Topology) or not form.deep:
        return None
    return half.decoders[0]
