"""Small numbers that the host knows, on the device: they queue up behind its work, and the host does not wait."""

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
