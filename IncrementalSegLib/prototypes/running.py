"""Class means that grow batch by batch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class RunningMeans:
    """The mean of all vectors seen so far, for each of K classes.

    Attributes:
        means: ``(K, F)`` float64, zero for classes not seen yet.
        counts: ``(K,)`` int64, number of vectors behind each mean.
    """

    means: Tensor
    counts: Tensor

    @classmethod
    def empty(cls, classes: int, width: int, device: torch.device) -> RunningMeans:
        """Return the means of nothing for ``classes`` classes of ``width`` features."""
        means = torch.zeros(classes, width, dtype=torch.float64, device=device)
        return cls(means, torch.zeros(classes, dtype=torch.long, device=device))

    def updated(self, means: Tensor, counts: Tensor) -> RunningMeans:
        """Return the means over all that was seen and a batch (PCDD, Eq. 3 with its numerator corrected).

        Welford's form: the count grows first, then the mean moves by the batch's share.  Public code
        (InSeg) weighs the old mean by the grown count instead, which pulls it away from zero.

        Args:
            means: ``(K, F)`` of the batch.
            counts: ``(K,)`` vectors in the batch; a class with none stays as it is.
        """
        total = self.counts + counts
        share = (counts / total.clamp_min(1)).double().unsqueeze(1)
        return RunningMeans(self.means + share * (means.detach().double() - self.means), total)
