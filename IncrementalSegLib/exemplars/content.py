"""Content distance: how different two images look to a descriptor (Ozdemir 2018, Eq. 3).

A descriptor is one file in ``descriptors/``: a registered function that takes :class:`DescriptorNeeds` and
returns a :class:`Descriptor`.

    @register("descriptor", "mine")
    def mine(needs: DescriptorNeeds) -> Descriptor: ...
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median_low
from typing import Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from IncrementalSegLib.exemplars.together import ALONE, Together
from IncrementalSegLib.networks.segmenter import Segmenter
from IncrementalSegLib.progress import UNTOLD, Share

Reduction = Literal["mean_per_layer", "sum"]

Z_RANGE = 3.0
"""Normalised intensities are clipped to ±3 before they become the 0..1 of a natural image."""


@dataclass(frozen=True)
class DescriptorNeeds:
    """Material of a descriptor.

    Attributes:
        device: Device of the result.
        weights: File of pre-trained weights, or ``None``.
        model: The segmenter of the step, or ``None``.
        trunk: Number of the trunk of ``model`` that serves the structures in question.
    """

    device: torch.device
    weights: Path | None = None
    model: Segmenter | None = None
    trunk: int = 0


class Descriptor(Protocol):
    """A network that turns images into feature maps.

    Attributes:
        version: What was computed and how, in one line; recorded with the selection.
        planar: It takes 2-D images only; of a 3-D crop it sees the three middle planes.
    """

    @property
    def version(self) -> str:
        """The computation in one line."""

    @property
    def planar(self) -> bool:
        """Whether it takes 2-D images only."""

    def __call__(self, image: Tensor) -> list[Tensor]:
        """Return feature maps ``(B, F, *s)`` of normalised images ``(B, C, *S)``, float32."""


def as_rgb(image: Tensor) -> Tensor:
    """Turn normalised images into three channels of 0..1, as natural images have.

    Intensities are clipped to ±:data:`Z_RANGE` for all images alike.  Three channels are taken as red,
    green and blue; any other number is averaged and replicated.

    Args:
        image: ``(B, C, H, W)``.
    """
    grey = image if image.shape[1] == 3 else image.mean(1, keepdim=True)
    return ((grey.clamp(-Z_RANGE, Z_RANGE) + Z_RANGE) / (2 * Z_RANGE)).expand(-1, 3, -1, -1)


@torch.no_grad()
def content_distances(
    descriptor: Descriptor,
    images: Callable[[int], Tensor],
    count: int,
    candidates: Sequence[int],
    device: torch.device,
    reduction: Reduction = "mean_per_layer",
    batch: int = 8,
    hold_bytes: int = 2 << 30,
    progress: Share = UNTOLD,
    together: Together = ALONE,
) -> NDArray[np.float64]:
    """Return the content distance of the candidates to every image of the set.

    Only the candidates' features are held; the set streams past them, and squared distances come from
    |x - s|² = |x|² + |s|² - 2 x·s, accumulated per layer in float32.  Where the candidates exceed
    ``hold_bytes`` they are taken in several rounds.

    Args:
        descriptor: Network that gives the feature maps.
        images: Number of an image -> ``(C, *S)``, all of one size; see :func:`common_size`.
        count: Number N of images.
        candidates: Numbers of K images.
        device: Where the descriptor lies.
        reduction: ``mean_per_layer``: squared differences averaged in each layer and summed over layers, as
            the text says ("mean squared"); ``sum``: Eq. 3 as printed, where the shallow layers dominate.
        batch: Images per pass.
        hold_bytes: Memory for the candidates' features.
        progress: Receives the share done.
        together: The processes that share out the images.

    Returns:
        ``(K, N)`` float64, not negative.
    """
    distances = np.zeros((len(candidates), count))
    if not candidates:
        return distances
    with _full_precision(device):
        size = 4 * sum(layer[0].numel() for layer in _describe(descriptor, images, candidates[:1], device))
        block = max(1, hold_bytes // size)
        rounds = range(0, len(candidates), block)
        groups = [range(first, min(first + batch, count)) for first in range(0, count, batch)]
        own = together.own(groups)
        for number, start in enumerate(rounds):
            held = _Held(
                descriptor=descriptor,
                images=images,
                candidates=candidates[start : start + block],
                device=device,
                reduction=reduction,
                batch=batch,
            )
            found = []
            for done, group in enumerate(own, start=1):
                found.append(held.distances(_describe(descriptor, images, group, device)).cpu().numpy())
                progress((number + done / len(own)) / len(rounds))
            for group, rows in zip(groups, together.arrays(found), strict=True):
                distances[start : start + block, group.start : group.stop] = rows
    distances[np.arange(len(candidates)), list(candidates)] = 0.0
    return distances


def common_size(sizes: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """Return the (low) median size along each axis, to which images of several sizes are brought."""
    return tuple(median_low(lengths) for lengths in zip(*sizes, strict=True))


def fit(image: Tensor, size: Sequence[int]) -> Tensor:
    """Crop and pad ``(C, *S)`` around its middle to ``size``; what is padded gets the image's lowest value."""
    low = float(image.min())
    for axis, wanted in enumerate(size, start=1):
        surplus = image.shape[axis] - wanted
        if surplus > 0:
            image = image.narrow(axis, surplus // 2, wanted)
        elif surplus < 0:
            before = -surplus // 2
            pads = [0, 0] * (image.ndim - 1 - axis) + [before, -surplus - before]
            image = F.pad(image, pads, value=low)
    return image


class _Held:
    """The candidates' features, one matrix per layer, with their mean taken off.

    Distances do not depend on a common offset, but the rounding of |x|² + |s|² - 2 x·s does: activations
    are far from zero and close to each other.
    """

    def __init__(
        self,
        descriptor: Descriptor,
        images: Callable[[int], Tensor],
        candidates: Sequence[int],
        device: torch.device,
        reduction: Reduction,
        batch: int,
    ) -> None:
        self.layers: list[Tensor] = []
        for first in range(0, len(candidates), batch):
            for index, rows in enumerate(_describe(descriptor, images, candidates[first : first + batch], device)):
                if first == 0:
                    self.layers.append(rows.new_empty((len(candidates), rows.shape[1])))
                self.layers[index][first : first + batch] = rows
        self.means = [layer.mean(0) for layer in self.layers]
        for layer, mean in zip(self.layers, self.means, strict=True):
            layer.sub_(mean)
        self.squares = [layer.square().sum(1) for layer in self.layers]
        self.elements = [layer.shape[1] if reduction == "mean_per_layer" else 1 for layer in self.layers]

    def distances(self, maps: list[Tensor]) -> Tensor:
        """Return (K, B) float64 for the layers (B, E) of a batch."""
        total = self.layers[0].new_zeros((len(self.layers[0]), len(maps[0])), dtype=torch.float64)
        for held, mean, squares, elements, rows in zip(
            self.layers, self.means, self.squares, self.elements, maps, strict=True
        ):
            centred = rows - mean
            layer = squares[:, None] + centred.square().sum(1)[None] - 2 * (held @ centred.T)
            total += layer.clamp(min=0).double() / elements  # rounding makes near-duplicates negative
        return total


def _describe(
    descriptor: Descriptor, images: Callable[[int], Tensor], group: Sequence[int], device: torch.device
) -> list[Tensor]:
    """Return one matrix (B, E) float32 per layer."""
    stack = torch.stack([images(number) for number in group]).to(device)
    views = _planes(stack) if descriptor.planar and stack.ndim == 5 else [stack]
    return [layer.float().flatten(1) for view in views for layer in descriptor(view)]


def _planes(volumes: Tensor) -> list[Tensor]:
    """Return the middle planes of (B, C, D, H, W) across D, H and W."""
    return [volumes.select(axis, volumes.shape[axis] // 2) for axis in (2, 3, 4)]


@contextmanager
def _full_precision(device: torch.device) -> Iterator[None]:
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")  # ten bits of TF32 would drown the difference of large squares
    try:
        with torch.autocast(device.type, enabled=False):
            yield
    finally:
        torch.set_float32_matmul_precision(before)
