"""The output of the class family: one softmax over the background and all structures, which exclude each other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from IncrementalSegLib.networks.config import SegmenterConfig
from IncrementalSegLib.networks.growing import GrowingOutput
from IncrementalSegLib.networks.output import Features
from IncrementalSegLib.registry import find, register
from IncrementalSegLib.types import StructureId

_BACKGROUND = "background"


@register("output", "classes")
class Classes(GrowingOutput):
    """A 1x1 convolution whose rows grow: the background first, then the structures in the order they came."""

    exclusive = True

    def __init__(self, config: SegmenterConfig) -> None:
        super().__init__()
        self.dimension = find("network", config.network).dimension
        self.rows = nn.ModuleDict()

    def add(self, structure: StructureId, channels: int) -> None:
        """Add a freshly initialised row on ``channels`` decoder features, and the background before the first."""
        for name in (_BACKGROUND, structure):
            if name not in self.rows:
                self.rows[name] = (nn.Conv2d if self.dimension == 2 else nn.Conv3d)(channels, 1, kernel_size=1)

    def remove(self, structure: StructureId) -> None:
        """Remove one row; what it claimed falls to whatever is most probable without it."""
        del self.rows[structure]

    def part(self, structure: StructureId) -> nn.Module:
        """Return the row that belongs to one structure alone."""
        return self.rows[structure]

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
        """Return logits ``(B, 1 + N, *S)`` of the background and all N structures."""
        rows = [self._row(name) for name in self.rows]
        weight = torch.cat([row.weight for row in rows])
        bias = torch.cat([row.bias for row in rows if row.bias is not None])
        scores: Tensor = (F.conv2d if self.dimension == 2 else F.conv3d)(features.decoder_dropped, weight, bias)
        return scores

    def probabilities(self, logits: Tensor, structures: Sequence[StructureId]) -> Tensor:
        """Return the probability ``(B, K, *S)`` of each structure asked for, in float32."""
        order = list(self.rows)
        return logits.float().softmax(dim=1)[:, [order.index(item) for item in structures]]

    def _row(self, name: str) -> nn.Conv2d | nn.Conv3d:
        return cast(nn.Conv2d | nn.Conv3d, self.rows[name])
