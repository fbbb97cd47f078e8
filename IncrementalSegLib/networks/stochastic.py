"""Layers that draw random numbers from a passed generator."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from IncrementalSegLib.networks.host import generator_on


@dataclass(frozen=True)
class Part:
    """Some items of a batch, which one process computes.

    Attributes:
        first: The first of them.
        last: One past the last of them.
        total: Items of the batch.
    """

    first: int
    last: int
    total: int


class Stochastic(nn.Module):
    """Base of random layers: random in training mode and inside :meth:`sampling`.

    Their numbers come from ``generator``, so that a run repeats and resumes exactly.
    """

    def __init__(self) -> None:
        super().__init__()
        self.generator: torch.Generator | None = None
        self.sampled = False
        self.common = False
        self.rows: Part | None = None

    def draws(self, count: int) -> int:
        """Return how many draws ``count`` items of a batch take: one where all share it, else one for each."""
        if self.common:
            return 1
        return count if self.rows is None else self.rows.total

    def taken(self, drawn: Tensor) -> Tensor:
        """Return what was drawn for the items of this pass, of all that :meth:`draws` asked for."""
        return drawn if self.common or self.rows is None else drawn[self.rows.first : self.rows.last]

    @property
    def active(self) -> bool:
        """Whether the next pass is random."""
        return self.training or self.sampled

    @property
    def varies(self) -> bool:
        """Whether two random passes can differ."""
        return True

    def normal(self, shape: Sequence[int], device: torch.device) -> Tensor:
        """Return standard normal numbers on ``device``."""
        return torch.randn(tuple(shape), generator=self._on(device), device=device)

    def uniform(self, shape: Sequence[int], device: torch.device) -> Tensor:
        """Return numbers between 0 and 1, both excluded, on ``device``."""
        return torch.rand(tuple(shape), generator=self._on(device), device=device).clamp(1e-6, 1 - 1e-6)

    def _on(self, device: torch.device) -> torch.Generator | None:
        return None if self.generator is None else generator_on(device, self.generator)

    @staticmethod
    def seed(model: nn.Module, generator: torch.Generator | None) -> None:
        """Let every random layer of ``model`` draw from ``generator``."""
        for module in model.modules():
            if isinstance(module, Stochastic):
                module.generator = generator

    @staticmethod
    def divide(model: nn.Module, rows: Part | None) -> None:
        """Let the next passes be about a part of a batch, or again about whole ones."""
        for module in model.modules():
            if isinstance(module, Stochastic):
                module.rows = rows

    @staticmethod
    @contextmanager
    def sampling(model: nn.Module, generator: torch.Generator, common: bool = False) -> Iterator[None]:
        """Keep random layers random inside the block although ``model`` is in eval mode.

        Args:
            model: The model.
            generator: Source of the random numbers.
            common: All items of a batch share one draw.
        """
        layers = [module for module in model.modules() if isinstance(module, Stochastic)]
        before = [(layer.generator, layer.sampled, layer.common) for layer in layers]
        for layer in layers:
            layer.generator, layer.sampled, layer.common = generator, True, common
        try:
            yield
        finally:
            for layer, earlier in zip(layers, before, strict=True):
                layer.generator, layer.sampled, layer.common = earlier
