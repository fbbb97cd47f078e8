"""The trained trunk as a descriptor: nothing else to install (Ozdemir 2018 lost at most 1.6 % Dice by it)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from IncrementalSegLib.errors import MissingNeedError
from IncrementalSegLib.exemplars.content import Descriptor, DescriptorNeeds
from IncrementalSegLib.exemplars.together import ALONE, Together
from IncrementalSegLib.exemplars.units import Unit, batches
from IncrementalSegLib.networks.output import Features
from IncrementalSegLib.networks.padding import pad_to_multiple
from IncrementalSegLib.networks.segmenter import Segmenter
from IncrementalSegLib.progress import UNTOLD, Share
from IncrementalSegLib.registry import register
from IncrementalSegLib.sampling.batch import PreparedCase


class TrunkDescriptor:
    """The encoder's maps and the abstraction layer of one trunk, in eval mode.

    Args:
        model: The segmenter.
        trunk: Number of the trunk.
    """

    planar = False
    version = "trunk, encoder and abstraction maps after ReLU, normalised intensities as they are"

    def __init__(self, model: Segmenter, trunk: int) -> None:
        self.model, self.trunk = model, trunk

    def __call__(self, image: Tensor) -> list[Tensor]:
        """Return the maps of normalised images ``(B, C, *S)``."""
        features = self.features(image)
        return [*features.encoder, features.abstraction]

    @torch.no_grad()
    def features(self, image: Tensor) -> Features:
        """Run the trunk without dropout and leave the model in the mode it was in."""
        was_training = self.model.training
        self.model.eval()
        try:
            padded = pad_to_multiple(image, self.model.config.multiple, self.model.config.multiples)
            features: Features = self.model.trunks[self.trunk](padded)
        finally:
            self.model.train(was_training)
        return features


def abstractions(
    descriptor: TrunkDescriptor,
    cases: Sequence[PreparedCase],
    items: Sequence[Unit],
    device: torch.device,
    batch: int = 16,
    progress: Share = UNTOLD,
    together: Together = ALONE,
) -> NDArray[np.float32]:
    """Return the spatial mean of the abstraction layer of every unit (Ozdemir 2018, Sec. 2.2).

    Args:
        descriptor: The trunk.
        cases: Prepared cases.
        items: N units; their sizes may differ.
        device: Where the model lies.
        batch: Units per pass.
        progress: Receives the share done.
        together: The processes that share out the units.

    Returns:
        ``(N, F)`` float32, not negative.
    """
    rows: list[NDArray[np.float32]] = []
    own = together.own(list(batches(items, range(len(items)), batch)))
    for done, group in enumerate(own):
        progress(done / len(own))
        image = torch.stack([items[number].image(cases) for number in group]).to(device)
        rows.append(descriptor.features(image).abstraction.float().flatten(2).mean(2).cpu().numpy())
    progress(1.0)
    return np.concatenate(together.arrays(rows))


@register("descriptor", "trunk")
def trunk(needs: DescriptorNeeds) -> Descriptor:
    """Return the encoder and abstraction maps of the model's own trunk."""
    if needs.model is None:
        raise MissingNeedError("The descriptor trunk needs the model.")
    return TrunkDescriptor(needs.model, needs.trunk)
