"""Memory budget of a prediction, and the next smaller one when memory runs out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import nn

_CPU = torch.device("cpu")


@dataclass(frozen=True)
class MemoryBudget:
    """Where a prediction runs, and in what portions.

    Attributes:
        batch: Slices or windows per pass.
        device: Where the network runs.
        stitch: Where windows are put together.
    """

    batch: int
    device: torch.device
    stitch: torch.device

    def reduced(self, windows: bool) -> MemoryBudget | None:
        """Return what takes less memory: half the batch, then windows stitched on the CPU, then all on the CPU.

        Args:
            windows: Whether there are windows to be put together.

        Returns:
            The next try; ``None`` where nothing is left to give up.
        """
        if self.batch > 1:
            return replace(self, batch=self.batch // 2)
        if windows and self.stitch != _CPU:
            return replace(self, stitch=_CPU)
        if self.device != _CPU:
            return replace(self, device=_CPU, stitch=_CPU)
        return None

    def __str__(self) -> str:
        stitched = ", stitched on the CPU" if self.stitch != self.device else ""
        return f"{self.batch} per pass on {self.device.type.upper()}{stitched}"


@contextmanager
def on_device(model: nn.Module, home: torch.device, device: torch.device) -> Iterator[None]:
    """Let a model that lies on ``home`` run on ``device`` inside the block."""
    if device == home:
        yield
        return
    model.to(device)
    try:
        yield
    finally:
        model.to(home)
