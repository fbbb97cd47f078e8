"""Presets: network size and schedule."""

from __future__ import annotations

from dataclasses import dataclass, replace

from IncrementalSegLib.errors import OptionError
from IncrementalSegLib.networks.config import SegmenterConfig
from IncrementalSegLib.sampling.augmentation import Augmentation


@dataclass(frozen=True, kw_only=True)
class Preset:
    """Size of a new network and schedule of a step.

    The size counts at a model's first step only; the schedule at every step.

    Attributes:
        name: Name of the preset.
        widths: Filters per level, finest first.
        dropout: Channel dropout.
        norm_momentum: Weight of the newest batch in running statistics.
        side: Longest side of a resampled scan in voxels.
        patch_side: Longest side of a patch in voxels.
        memory: Memory of a training in GB, as nnU-Net estimates it, by which patches of its networks are chosen.
        coarsened: Whether these networks see scans at the spacing of ``3d_lowres`` where patches are small.
        batch: Items per batch.
        steps: Optimiser steps at most; ``None``: ``epochs`` passes over the items.
        epochs: Passes over the items where ``steps`` is ``None``.
        learning_rate: Of Adam.
        decay: Whether the learning rate falls to zero polynomially (power 0.9) or stays.
        evaluations: How often the validation cases are scored in a full schedule.
        patience: Evaluations without progress before training stops early; none counts before something is learned.
        augmentation: Changes to batches.
    """

    name: str
    widths: tuple[int, ...]
    dropout: float
    norm_momentum: float
    side: int
    patch_side: int
    memory: float
    coarsened: bool
    batch: int
    steps: int | None
    epochs: int
    learning_rate: float
    decay: bool
    evaluations: int
    patience: int
    augmentation: Augmentation

    def config(self, network: str, channels: int) -> SegmenterConfig:
        """Return the configuration of a new network."""
        return SegmenterConfig(
            network=network,
            channels=channels,
            widths=self.widths,
            dropout=self.dropout,
            norm_momentum=self.norm_momentum,
        )

    def total_steps(self, items: int) -> int:
        """Return the optimiser steps of a full schedule over ``items`` slices or crops."""
        return self.steps if self.steps is not None else max(1, self.epochs * items // self.batch)


_SMALL = Preset(
    name="quick",
    widths=(16, 32, 64, 128),
    dropout=0.1,
    norm_momentum=0.1,
    side=128,
    patch_side=128,
    memory=0.2,
    coarsened=True,
    batch=8,
    steps=300,
    epochs=0,
    learning_rate=5e-3,
    decay=True,
    evaluations=6,
    patience=4,
    augmentation=Augmentation(),
)  # our own choice: minutes on a CPU
_LARGE = Preset(
    name="standard",
    widths=(32, 64, 128, 256, 512),
    dropout=0.3,
    norm_momentum=0.1,
    side=192,
    patch_side=192,
    memory=8.0,
    coarsened=True,
    batch=8,
    steps=3000,
    epochs=0,
    learning_rate=2e-3,
    decay=True,
    evaluations=20,
    patience=6,
    augmentation=Augmentation(),
)  # our own choice: minutes on a GPU
_PAPER = Preset(
    name="paper",
    widths=(64, 128, 256, 512, 1024),
    dropout=0.5,
    norm_momentum=0.01,
    side=192,
    patch_side=192,
    memory=8.0,
    coarsened=False,
    batch=8,
    steps=None,
    epochs=1000,
    learning_rate=1e-3,
    decay=False,
    evaluations=100,
    patience=20,
    augmentation=Augmentation(),
)  # Ozdemir 2018; constant Adam 1e-3, dropout and momentum from the 2019 code

_PRESETS = {
    ("quick", 2): _SMALL,
    ("quick", 3): replace(_SMALL, widths=(8, 16, 32, 64), patch_side=64, batch=2, steps=200, learning_rate=2e-3),
    ("standard", 2): _LARGE,
    ("standard", 3): replace(_LARGE, widths=(32, 64, 128, 256, 320), patch_side=96, batch=2, steps=5000),
    ("paper", 2): _PAPER,
    ("paper", 3): replace(_PAPER, patch_side=128, batch=2),
}


def find_preset(name: str, dimension: int) -> Preset:
    """Return a preset by name.

    Raises:
        OptionError: No such preset.
    """
    try:
        return _PRESETS[name, dimension]
    except KeyError:
        raise OptionError(f"There is no preset called {name!r}.", todo="Use quick, standard or paper.") from None
