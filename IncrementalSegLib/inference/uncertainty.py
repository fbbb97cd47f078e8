"""The uncertainty of several random passes, and what it consists of (CLIS, Eq. 10; Kendall & Gal 2017)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from IncrementalSegLib.networks.host import picked


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


def uncertainty_of(passes: Iterable[Tensor], exclusive: Sequence[bool]) -> Uncertainty:
    """Return the uncertainty ``(B, *S)`` of random passes.

    A structure that may overlap others has its own, in bits.  Those that exclude each other have one, over them and
    everything else, relative to the largest possible.  The largest total counts.

    Args:
        passes: Probabilities ``(B, K, *S)`` of each pass, one at a time.
        exclusive: For each structure, whether it is one of those that exclude each other.

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


def _entropy(probability: Tensor, exclusive: Sequence[bool]) -> Tensor:
    """Return the entropies, 0..1: one of the structures that exclude each other, one of each other structure."""
    found: list[Tensor] = []
    if joint := [row for row, excludes in enumerate(exclusive) if excludes]:
        shares = picked(probability, joint)
        outcomes = torch.cat([shares, 1 - shares.sum(1, keepdim=True)], dim=1)
        total = torch.special.entr(outcomes.clamp(0, 1)).sum(1, keepdim=True)
        found.append(total / math.log(outcomes.shape[1]))
    if len(joint) < len(exclusive):
        each = picked(probability, [row for row, excludes in enumerate(exclusive) if not excludes])
        found.append((torch.special.entr(each) + torch.special.entr(1 - each)) / math.log(2))
    return torch.cat(found, dim=1)
