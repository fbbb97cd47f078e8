"""Small numbers that the host knows, and random ones, on the device: the host does not wait for its work."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def sent(numbers: Tensor | Sequence[float], like: Tensor | torch.device) -> Tensor:
    """Return numbers on a device, or on that of a tensor; an empty list is one of no indices (int64)."""
    here = torch.as_tensor(numbers) if len(numbers) else torch.empty(0, dtype=torch.long)
    return here.to(like.device if isinstance(like, Tensor) else like, non_blocking=True)


def picked(values: Tensor, places: Sequence[int], axis: int = 1) -> Tensor:
    """Return some places of an axis; neighbours as a view, because gathering them takes longer than most sums."""
    first = places[0] if places else 0
    if list(places) == list(range(first, first + len(places))):
        return values.narrow(axis, first, len(places))
    return values.index_select(axis, sent(places, values))


def generator_on(device: torch.device, generator: torch.Generator) -> torch.Generator:
    """Return the generator, or one on ``device`` that is seeded by it: drawing elsewhere is slow."""
    if generator.device.type == device.type:
        return generator
    seed = torch.randint(2**62, (), generator=generator, device=generator.device)
    return torch.Generator(device).manual_seed(int(seed))
