"""A convolution whose weights are those of another one plus a low-rank matrix (LoRA, Hu et al., ICLR 2022, Eq. 3)."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.func import functional_call


class LowRankConvolution(nn.Module):
    """A convolution with the weights ``W + up @ down`` of a convolution that stays as it is.

    Kernels are rows of matrices, of output channels, or of input channels where it is transposed.  ``up`` begins at 0.
    The elements of ``down`` begin with the variance 1 / rank, so that a training step changes the weights about as much
    as one of the whole convolution; our own choice.

    Args:
        convolution: The convolution with the weights W; it is not a part of this module.
        rank: Largest rank of the change.
    """

    def __init__(self, convolution: nn.Module, rank: int) -> None:
        super().__init__()
        self._frozen = (convolution,)  # a tuple hides it from torch
        rows, columns = self._fixed.flatten(1).shape
        rank = min(rank, rows, columns)
        self.up = nn.Parameter(torch.zeros(rows, rank))
        self.down = nn.Parameter(torch.randn(rank, columns) * rank**-0.5)

    def forward(self, features: Tensor) -> Tensor:
        """Convolve ``(B, F, *S)``."""
        return cast(Tensor, functional_call(self._frozen[0], {"weight": self.weight}, (features,)))

    @property
    def weight(self) -> Tensor:
        """The weights, in the layout of the convolution and in float32."""
        with torch.autocast(self.up.device.type, enabled=False):
            return self._fixed + (self.up @ self.down).view(self._fixed.shape)

    @property
    def _fixed(self) -> Tensor:
        return cast(Tensor, self._frozen[0].weight)
