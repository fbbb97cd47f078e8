"""Channel dropout whose masks come from a passed generator."""

from __future__ import annotations

import torch
from torch import Tensor

from IncrementalSegLib.networks.host import sent
from IncrementalSegLib.networks.stochastic import Stochastic

DROPOUT = 0.1
"""Dropout of the networks of nnU-Net and MONAI while a model learns, and in Monte Carlo passes: our own choice."""


class ChannelDropout(Stochastic):
    """Drop whole channels with probability ``p`` and scale the rest by ``1 / (1 - p)``."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    @property
    def varies(self) -> bool:
        """Whether a channel can be dropped."""
        return self.p > 0

    def forward(self, features: Tensor) -> Tensor:
        """Return ``features`` (B, F, *S) with some channels zero."""
        if self.p == 0 or not self.active:
            return features
        place = self.generator.device if self.generator is not None else features.device
        shape = (self.draws(len(features)), features.shape[1])
        keep = self.taken(torch.rand(shape, generator=self.generator, device=place) >= self.p)
        scale = sent(keep, features).to(features) / (1 - self.p)
        return features * scale.view(*scale.shape, *[1] * (features.ndim - 2))

    def extra_repr(self) -> str:
        """Show the probability."""
        return f"p={self.p}"
