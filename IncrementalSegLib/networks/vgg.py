"""The convolution part of VGG16 and VGG19 in plain torch (Simonyan & Zisserman 2015).

Parameters are named as in torchvision (``features.0.weight``, ...), so that its state dicts load; the
classifier is not built.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from IncrementalSegLib.errors import ModelError

Depth = Literal[16, 19]

_CONVOLUTIONS: dict[int, tuple[int, ...]] = {16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
_WIDTHS = (64, 128, 256, 512, 512)


class VGG(nn.Module):
    """Images in, one feature map per convolution out.

    Args:
        depth: 16 (13 convolutions) or 19 (16 convolutions).
        layers: Numbers of the convolutions to return, from 0; all by default.

    Example:
        >>> maps = VGG(16)(torch.zeros(1, 3, 32, 32))  # doctest: +SKIP
        >>> len(maps), tuple(maps[-1].shape)  # doctest: +SKIP
        (13, (1, 512, 2, 2))
    """

    def __init__(self, depth: Depth = 16, layers: Sequence[int] | None = None) -> None:
        super().__init__()
        modules: list[nn.Module] = []
        channels = 3
        for count, width in zip(_CONVOLUTIONS[depth], _WIDTHS, strict=True):
            for _ in range(count):
                modules += [nn.Conv2d(channels, width, kernel_size=3, padding=1), nn.ReLU()]
                channels = width
            modules.append(nn.MaxPool2d(2))
        self.depth = depth
        self.layers = frozenset(range(sum(_CONVOLUTIONS[depth])) if layers is None else layers)
        self.features = nn.Sequential(*modules)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Return the maps after ReLU of ``(B, 3, H, W)``, shallowest first; H and W are at least 16."""
        maps: list[Tensor] = []
        number = -1
        for module in self.features:
            if isinstance(module, nn.Conv2d):
                number += 1
            elif isinstance(module, nn.ReLU):
                image = F.relu(image)
                if number in self.layers:
                    maps.append(image)
                if number >= max(self.layers):
                    break
                continue
            image = module(image)
        return maps

    def load_features(self, weights: Mapping[str, Tensor]) -> None:
        """Load the ``features.*`` tensors of a torchvision state dict; the rest is ignored.

        Raises:
            ModelError: A tensor is missing or has another shape.
        """
        wanted = {name: tensor for name, tensor in weights.items() if name.startswith("features.")}
        try:
            self.load_state_dict(wanted)
        except RuntimeError as error:
            raise ModelError(
                f"The weights are not those of VGG{self.depth} ({str(error).splitlines()[-1].strip()}).",
                todo="Name a file with torchvision's parameter names.",
            ) from error

    @classmethod
    def from_file(cls, path: Path, depth: Depth = 16, layers: Sequence[int] | None = None) -> VGG:
        """Build a frozen network in eval mode from a ``.safetensors`` file.

        Raises:
            ModelError: The file cannot be read or does not fit.
        """
        try:
            weights = load_file(path)
        except (OSError, SafetensorError) as error:
            raise ModelError(
                f"The weights {path.name!r} cannot be read ({error}).", todo="Name a .safetensors file."
            ) from error
        network = cls(depth, layers)
        network.load_features(weights)
        return network.eval().requires_grad_(requires_grad=False)
