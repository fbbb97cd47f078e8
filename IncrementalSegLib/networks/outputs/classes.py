"""The output of the class family: one softmax over the background and the structures that exclude each other.

Structures that a head method teaches have heads beside it, and exclude nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from IncrementalSegLib.networks.config import SegmenterConfig
from IncrementalSegLib.networks.output import Features
from IncrementalSegLib.networks.outputs.heads import Heads
from IncrementalSegLib.registry import register
from IncrementalSegLib.types import StructureId

_BACKGROUND = "background"


@register("output", "classes")
class Classes(Heads):
    """A 1x1 convolution whose rows grow, the background first, then the structures in the order they came; and heads.

    Logits are ``(B, C, *S)``: all rows, if a structure that has one is asked for, then two columns for each head.
    """

    exclusive = True

    def __init__(self, config: SegmenterConfig) -> None:
        super().__init__(config)
        self.rows = nn.ModuleDict()

    def add(self, structure: StructureId, channels: int) -> None:
        """Add a freshly initialised row on ``channels`` decoder features, and the background before the first."""
        for name in (_BACKGROUND, structure):
            if name not in self.rows:
                self.rows[name] = (nn.Conv2d if self.dimension == 2 else nn.Conv3d)(channels, 1, kernel_size=1)

    def add_apart(self, structure: StructureId, channels: int) -> None:
        """Add a freshly initialised head."""
        super().add(structure, channels)

    def excludes(self, structure: StructureId) -> bool:
        """Return whether a structure has a row."""
        return structure in self.rows

    def remove(self, structure: StructureId) -> None:
        """Remove a head or one row; what the row claimed falls to whatever is most probable without it."""
        if structure in self.heads:
            super().remove(structure)
            return
        del self.rows[structure]
        if list(self.rows) == [_BACKGROUND]:
            del self.rows[_BACKGROUND]

    def part(self, structure: StructureId) -> nn.Module:
        """Return the row or head that belongs to one structure alone."""
        return self.rows[structure] if structure in self.rows else super().part(structure)

    @torch.no_grad()
    def balance(self, new: Sequence[StructureId]) -> None:
        """Start new rows as equal shares of the background, so that no old probability changes (MiB, Sec. 3.3).

        Each new row takes the background's weights; its bias and the background's fall by log(n + 1).

        Args:
            new: The structures that this step adds.
        """
        background = self._row(_BACKGROUND)
        assert background.bias is not None
        background.bias -= math.log(len(new) + 1)
        for structure in new:
            self.rows[structure].load_state_dict(background.state_dict())

    def forward(self, features: Features, structures: Sequence[StructureId]) -> Tensor:
        """Return logits ``(B, C, *S)`` for what one trunk saw."""
        apart = [item for item in structures if item in self.heads]
        heads = super().forward(features, apart).flatten(1, 2)
        if apart and len(apart) == len(structures):
            return heads
        rows = [self._row(name) for name in self.rows]
        weight = torch.cat([row.weight for row in rows])
        bias = torch.cat([row.bias for row in rows if row.bias is not None])
        scores: Tensor = (F.conv2d if self.dimension == 2 else F.conv3d)(features.decoder_dropped, weight, bias)
        return torch.cat([scores, heads], dim=1) if apart else scores

    def merged(
        self, parts: Sequence[tuple[Sequence[StructureId], Tensor]], structures: Sequence[StructureId]
    ) -> Tensor:
        """Return the logits of ``structures`` from those of several trunks, one of which serves all rows."""
        apart = [self._apart(logits, served) for served, logits in parts]
        heads = {item: pair for _, found in apart for item, pair in found.items()}
        return torch.cat([*(scores for scores, _ in apart), *(heads[item] for item in structures if item in heads)], 1)

    def two_way(self, logits: Tensor, structures: Sequence[StructureId]) -> Tensor:
        """Return logits ``(B, K, 2, *S)``, not this structure and this structure, of each of ``structures``.

        Of a row the former is the log-sum-exp of all others, so that a softmax over the two is that over all.
        """
        scores, pairs = self._apart(logits.float(), structures)
        if scores.shape[1]:
            columns = torch.stack([_others(scores), scores], dim=2)
            pairs |= zip(self.rows, columns.unbind(1), strict=True)
        return torch.stack([pairs[item] for item in structures], dim=1)

    def probabilities(self, logits: Tensor, structures: Sequence[StructureId]) -> Tensor:
        """Return the probability ``(B, K, *S)`` of each structure asked for, in float32."""
        scores, pairs = self._apart(logits.float(), structures)
        found = {item: torch.sigmoid(pair[:, 1:] - pair[:, :1]) for item, pair in pairs.items()}
        if scores.shape[1]:
            found |= zip(self.rows, scores.softmax(dim=1).split(1, dim=1), strict=True)
        return torch.cat([found[item] for item in structures], dim=1)

    def _apart(self, logits: Tensor, structures: Sequence[StructureId]) -> tuple[Tensor, dict[StructureId, Tensor]]:
        """Return the columns of the rows, which may be none, and the pair of columns of each head."""
        heads = [item for item in structures if item in self.heads]
        end = logits.shape[1] - 2 * len(heads)
        return logits[:, :end], {item: logits[:, end + 2 * at : end + 2 * at + 2] for at, item in enumerate(heads)}

    def _row(self, name: str) -> nn.Conv2d | nn.Conv3d:
        return cast(nn.Conv2d | nn.Conv3d, self.rows[name])


def _others(scores: Tensor) -> Tensor:
    """Return the log-sum-exp of all columns ``(B, C, *S)`` but each one; two sweeps, without a difference of sums."""
    before, after = scores.logcumsumexp(1), scores.flip(1).logcumsumexp(1).flip(1)
    inner = torch.logaddexp(before[:, :-2], after[:, 2:])
    return torch.cat([after[:, 1:2], inner, before[:, -2:-1]], dim=1)
