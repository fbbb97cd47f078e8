"""Memory budget of a prediction, and the next smaller one when memory runs out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TypeVar

import torch
from torch import nn

T = TypeVar("T")

_CPU = torch.device("cpu")
_HELD = 1 << 31
"""Bytes of maps that a GPU holds at most."""


@dataclass(frozen=True)
class MemoryBudget:
    """Where a prediction runs, and in what portions.

    Attributes:
        batch: Slices or windows per pass.
        device: Where the network runs.
        stitch: Where slices or windows are put together.
    """

    batch: int
    device: torch.device
    stitch: torch.device

    def holding(self, size: int) -> MemoryBudget:
        """Return the budget for maps of ``size`` bytes: large ones are put together on the CPU."""
        return self if size <= _HELD else replace(self, stitch=_CPU)

    def reduced(self) -> MemoryBudget | None:
        """Return what takes less memory: half the batch, then maps stitched on the CPU, then all on the CPU.

        Returns:
            The next try; ``None`` where nothing is left to give up.
        """
        if self.batch > 1:
            return replace(self, batch=self.batch // 2)
        if self.stitch != _CPU:
            return replace(self, stitch=_CPU)
        if self.device != _CPU:
            return replace(self, device=_CPU, stitch=_CPU)
        return None

    def __str__(self) -> str:
        stitched = ", stitched on the CPU" if self.stitch != self.device else ""
        return f"{self.batch} per pass on {self.device.type.upper()}{stitched}"


def where_it_fits(device: torch.device, work: Callable[[torch.device], T]) -> T:
    """Return what ``work`` makes on a device, or on the CPU where its memory runs out."""
    try:
        return work(device)
    except torch.OutOfMemoryError:
        if device == _CPU:
            raise
    torch.cuda.empty_cache()  # outside of the clause: the error no longer holds what was made
    return work(_CPU)


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
