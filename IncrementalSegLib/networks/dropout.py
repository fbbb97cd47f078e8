"""Channel dropout whose masks come from a passed generator."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class ChannelDropout(nn.Module):
    """Drop whole channels with probability ``p`` and scale the rest by ``1 / (1 - p)``.

    Active in training mode and inside :meth:`sampling`.  Unlike ``nn.Dropout2d`` its masks come from
    ``generator``, so that a run repeats and resumes exactly.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p
        self.generator: torch.Generator | None = None
        self.sampled = False

    def forward(self, features: Tensor) -> Tensor:
        """Return ``features`` (B, F, *S) with some channels zero."""
        if self.p == 0 or not (self.training or self.sampled):
            return features
        place = self.generator.device if self.generator is not None else features.device
        keep = torch.rand(features.shape[:2], generator=self.generator, device=place) >= self.p
        scale = keep.to(features) / (1 - self.p)
        return features * scale.view(*features.shape[:2], *[1] * (features.ndim - 2))

    def extra_repr(self) -> str:
        """Show the probability."""
        return f"p={self.p}"

    @staticmethod
    def seed(model: nn.Module, generator: torch.Generator | None) -> None:
        """Let every dropout of ``model`` draw from ``generator``."""
        for module in model.modules():
            if isinstance(module, ChannelDropout):
                module.generator = generator

    @staticmethod
    @contextmanager
    def sampling(model: nn.Module, generator: torch.Generator) -> Iterator[None]:
        """Keep dropout active inside the block although ``model`` is in eval mode."""
        layers = [module for module in model.modules() if isinstance(module, ChannelDropout)]
        before = [(layer.generator, layer.sampled) for layer in layers]
        for layer in layers:
            layer.generator, layer.sampled = generator, True
        try:
            yield
        finally:
            for layer, (old_generator, old_sampled) in zip(layers, before, strict=True):
                layer.generator, layer.sampled = old_generator, old_sampled
