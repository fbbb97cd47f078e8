"""Random turns, scales and intensities, on whole batches and on the device of the batch."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from IncrementalSegLib.networks.host import generator_on, sent
from IncrementalSegLib.sampling.batch import Batch


@dataclass(frozen=True)
class Augmentation:
    """Strength of the augmentation; ranges are our own choice where the papers are silent.

    No mirroring by default: many structures have a side.

    Attributes:
        share: Share of items that are turned and scaled.
        degrees: Largest turn, each way; in 3-D around each axis.
        scale: Largest factor by which an item grows or shrinks.
        brightness: Standard deviation of an added constant, in standard deviations of the image.
        contrast: Largest relative change of contrast.
        noise: Largest standard deviation of added noise.
        mirror: Spatial axes that may be mirrored, counted from the last (0 is W).
    """

    share: float = 0.5
    degrees: float = 15.0
    scale: float = 1.15
    brightness: float = 0.1
    contrast: float = 0.15
    noise: float = 0.05
    mirror: tuple[int, ...] = ()


def augment(batch: Batch, settings: Augmentation, generator: torch.Generator) -> Batch:
    """Return a changed batch; what turns in from outside is ignored by every loss.

    Args:
        batch: The batch, on any device.
        settings: How strongly.
        generator: CPU generator; decides everything.
    """
    return _intensities(_turn(_mirror(batch, settings, generator), settings, generator), settings, generator)


def _mirror(batch: Batch, settings: Augmentation, generator: torch.Generator) -> Batch:
    axes = [-1 - axis for axis in settings.mirror if _random(1, generator).item() < 0.5]
    if not axes:
        return batch
    return replace(batch, image=batch.image.flip(axes), label=batch.label.flip(axes), ignore=batch.ignore.flip(axes))


def _turn(batch: Batch, settings: Augmentation, generator: torch.Generator) -> Batch:
    chosen = (_random(len(batch.image), generator) < settings.share).nonzero().flatten()
    if len(chosen) == 0:
        return batch
    grid = F.affine_grid(
        sent(_matrices(len(chosen), batch.image.shape[2:], settings, generator), batch.image),
        [len(chosen), 1, *batch.image.shape[2:]],
        align_corners=False,
    )
    where = sent(chosen, batch.image)
    outside = (grid.abs() > 1).any(dim=-1)
    image, label, ignore = batch.image.clone(), batch.label.clone(), batch.ignore.clone()
    image[where] = F.grid_sample(image[where], grid, padding_mode="border", align_corners=False)
    masks = torch.cat([label[where], ignore[where].unsqueeze(1).to(label)], dim=1).float()
    masks = F.grid_sample(masks, grid, mode="nearest", align_corners=False)
    label[where] = masks[:, :-1].to(label)
    ignore[where] = (masks[:, -1] > 0) | outside
    return replace(batch, image=image, label=label, ignore=ignore)


def _matrices(count: int, size: torch.Size, settings: Augmentation, generator: torch.Generator) -> Tensor:
    """Return ``(count, n, n + 1)`` matrices for ``affine_grid`` that turn by equal angles in voxels."""
    spatial = len(size)
    turns = torch.eye(spatial).repeat(count, 1, 1)
    for first, second in ((0, 1), (0, 2), (1, 2))[: 1 if spatial == 2 else 3]:
        angle = (_random(count, generator) * 2 - 1) * math.radians(settings.degrees)
        plane = torch.eye(spatial).repeat(count, 1, 1)
        plane[:, first, first] = plane[:, second, second] = angle.cos()
        plane[:, first, second], plane[:, second, first] = -angle.sin(), angle.sin()
        turns = turns @ plane
    factor = torch.exp((_random(count, generator) * 2 - 1) * math.log(settings.scale))
    extent = torch.tensor([float(length) for length in reversed(size)])  # affine_grid works in x, y, z
    matrices = torch.zeros(count, spatial, spatial + 1)
    matrices[:, :, :spatial] = turns * factor.view(-1, 1, 1) * extent.view(1, 1, -1) / extent.view(1, -1, 1)
    return matrices


def _intensities(batch: Batch, settings: Augmentation, generator: torch.Generator) -> Batch:
    count, device = len(batch.image), batch.image.device
    form = (-1, *[1] * (batch.image.ndim - 1))
    shift = torch.randn(count, generator=generator) * settings.brightness
    gain = 1 + (_random(count, generator) * 2 - 1) * settings.contrast
    level = _random(count, generator) * settings.noise
    noise = torch.randn(batch.image.shape, generator=generator_on(device, generator), device=device)
    shift, gain, level = (sent(each, device).view(form) for each in (shift, gain, level))
    return replace(batch, image=batch.image * gain + shift + noise * level)


def _random(count: int, generator: torch.Generator) -> Tensor:
    return torch.rand(count, generator=generator)
