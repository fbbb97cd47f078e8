"""A small variational autoencoder that describes a scan by a normal distribution (CLIS).

Only its encoder is kept.  Four convolutions of 20 channels as in the authors' code, on slices of 64 x 64; a volume is
described by the average over its slices, so that 2-D and 3-D networks share one form.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SIZE = 16
"""Elements of an embedding; our own choice."""

SIDE, SLICES = 64, 16
"""Height and width of a slice in pixels, and slices of a scan at most; our own choice (the authors: 64 x 88)."""

_FILTERS, _LEVELS, _COARSEST = 20, 4, SIDE // 2**4

_STEPS, _BATCH, _LEARNING_RATE = 100, 16, 5e-3
"""Schedule of :func:`fit`; longer ones tell scans of one kind apart rather than kinds of scans."""

_SHIFT = 6
"""Pixels that slices are shifted by at most while training."""

_LEAST_ERROR = 1e-3
"""Mean squared error below which a reconstruction is not improved; scans have a variance of about 1."""


class ScanEmbedding(NamedTuple):
    """Independent normal distributions.

    Attributes:
        mean: ``(..., SIZE)``.
        log_variance: ``(..., SIZE)``.
    """

    mean: Tensor
    log_variance: Tensor


class ScanEncoder(nn.Module):
    """From slices to embeddings.

    Args:
        channels: Of a scan.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        filters = (channels, *[_FILTERS] * _LEVELS)
        self.convolutions = nn.ModuleList(nn.Conv2d(one, two, 3, stride=2, padding=1) for one, two in pairwise(filters))
        self.dense = nn.Linear(_FILTERS * _COARSEST**2, 2 * SIZE)
        self.requires_grad_(False)  # only :func:`fit` trains it

    def forward(self, slices: Tensor) -> ScanEmbedding:
        """Return the embeddings ``(S, SIZE)`` of slices ``(S, C, SIDE, SIDE)``."""
        for convolution in self.convolutions:
            slices = convolution(slices).relu()
        return ScanEmbedding(*self.dense(slices.flatten(1)).chunk(2, dim=1))

    @torch.no_grad()
    def embed(self, scan: Tensor) -> ScanEmbedding:
        """Return the embedding ``(SIZE,)`` of a scan ``(C, D, H, W)``, the average of those of its slices."""
        weight = self.dense.weight
        with torch.autocast(weight.device.type, enabled=False):
            found = self(slices_of(scan).to(weight.device))
        return ScanEmbedding(*(part.mean(0) for part in found))


def slices_of(scan: Tensor) -> Tensor:
    """Return evenly spaced slices ``(S, C, SIDE, SIDE)`` float32 of a scan ``(C, D, H, W)``."""
    count = scan.shape[1]
    places = torch.linspace(0, count - 1, min(count, SLICES)).round().long()
    return F.adaptive_avg_pool2d(scan[:, places].transpose(0, 1).float(), SIDE)


def fit(encoder: ScanEncoder, scans: Sequence[Tensor], generator: torch.Generator) -> None:
    """Train an encoder together with a decoder, which is dropped.

    The variance of the likelihood is that of the reconstruction, so that no weight of the divergence is to be chosen
    (Rybkin et al., 2021, sigma-VAE).

    Args:
        encoder: Fresh.
        scans: Each ``(C, D, H, W)``, normalised.
        generator: CPU; decides weights, batches and noise.
    """
    device = encoder.dense.weight.device
    slices = torch.cat([slices_of(scan) for scan in scans])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(torch.randint(2**62, (), generator=generator)))
        decoder = _decoder(slices.shape[1])
        for layer in (*encoder.convolutions, encoder.dense):
            layer.reset_parameters()
    decoder.to(device)
    encoder.requires_grad_(True)
    optimiser = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=_LEARNING_RATE)
    with torch.enable_grad(), torch.autocast(device.type, enabled=False):
        for _ in range(_STEPS):
            places = torch.randint(len(slices), (min(_BATCH, len(slices)),), generator=generator)
            chosen = _varied(slices[places], generator).to(device)
            mean, log_variance = encoder(chosen)
            noise = torch.randn(mean.shape, generator=generator).to(device)
            found = decoder(mean + (0.5 * log_variance).exp() * noise)
            error = (found - chosen).square().mean().clamp_min(_LEAST_ERROR)
            divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1).mean()
            loss = 0.5 * chosen[0].numel() * error.log() + divergence
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
    encoder.requires_grad_(False)
    for parameter in encoder.parameters():
        parameter.grad = None


def _varied(slices: Tensor, generator: torch.Generator) -> Tensor:
    """Return slices shifted, with more or less contrast and brightness: scans of one kind differ so."""
    shift = torch.randint(-_SHIFT, _SHIFT + 1, (2,), generator=generator).tolist()
    contrast = 0.8 + 0.4 * torch.rand((len(slices), 1, 1, 1), generator=generator)
    brightness = 0.1 * torch.randn((len(slices), slices.shape[1], 1, 1), generator=generator)
    return slices.roll(shift, (2, 3)) * contrast + brightness


def _decoder(channels: int) -> nn.Module:
    """Return the mirror image of an encoder."""
    layers: list[nn.Module] = [nn.Linear(SIZE, _FILTERS * _COARSEST**2), nn.ReLU()]
    layers.append(nn.Unflatten(1, (_FILTERS, _COARSEST, _COARSEST)))
    for _ in range(_LEVELS - 1):
        layers += [nn.ConvTranspose2d(_FILTERS, _FILTERS, 4, stride=2, padding=1), nn.ReLU()]
    layers.append(nn.ConvTranspose2d(_FILTERS, channels, 4, stride=2, padding=1))
    return nn.Sequential(*layers)
