"""The uncertainty of several random passes, and what it consists of (CLIS, Eq. 10; Kendall & Gal 2017)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Uncertainty:
    """Uncertainty of each voxel, 0..1; the split of the total is the usual one, the paper gives none.

    Attributes:
        total: Entropy of the mean probability.
        aleatoric: Mean entropy of the passes: what lies in the scan.
    """

    total: Tensor
    aleatoric: Tensor

    @property
    def epistemic(self) -> Tensor:
        """The rest: mutual information of outcome and network, what more training scans could remove."""
        return (self.total - self.aleatoric).clamp_min(0)


def uncertainty_of(passes: Iterable[Tensor], exclusive: bool) -> Uncertainty:
    """Return the uncertainty ``(B, *S)`` of random passes.

    Where structures overlap each has its own, in bits, and the one with the largest total counts; where they exclude
    each other there is one over the structures and everything else, relative to the largest possible.

    Args:
        passes: Probabilities ``(B, K, *S)`` of each pass, one at a time.
        exclusive: At most one structure can lie at a voxel.

    Raises:
        ValueError: There is no pass.
    """
    count, mean, entropies = 0, torch.empty(0), torch.empty(0)
    for probability in passes:
        entropy = _entropy(probability, exclusive)
        mean = probability if count == 0 else mean + probability
        entropies = entropy if count == 0 else entropies + entropy
        count += 1
    if count == 0:
        raise ValueError("no passes")
    total, largest = _entropy(mean / count, exclusive).max(dim=1)
    aleatoric = (entropies / count).gather(1, largest.unsqueeze(1)).squeeze(1)
    return Uncertainty(total, aleatoric)


def _entropy(probability: Tensor, exclusive: bool) -> Tensor:
    """Return the entropy, 0..1: ``(B, 1, *S)``, or ``(B, K, *S)`` where structures overlap."""
    if exclusive:
        outcomes = torch.cat([probability, 1 - probability.sum(1, keepdim=True)], dim=1)
        total: Tensor = torch.special.entr(outcomes.clamp(0, 1)).sum(1, keepdim=True)
        return total / math.log(outcomes.shape[1])
    each: Tensor = torch.special.entr(probability) + torch.special.entr(1 - probability)
    return each / math.log(2)
