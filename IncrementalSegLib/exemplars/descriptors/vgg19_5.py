"""Five convolutions of VGG19 without mean subtraction: what the authors' 2019 code compares."""

from __future__ import annotations

from IncrementalSegLib.exemplars.content import Descriptor, DescriptorNeeds
from IncrementalSegLib.exemplars.descriptors.vgg16 import VGGDescriptor
from IncrementalSegLib.registry import register

_SECOND_OF_EACH_BLOCK = (1, 3, 5, 9, 13)  # conv1_2, conv2_2, conv3_2, conv4_2, conv5_2


@register("descriptor", "vgg19_5")
def vgg19_5(needs: DescriptorNeeds) -> Descriptor:
    """Return conv{1..5}_2 of VGG19; colours are scaled as torchvision's weights expect, but not centred."""
    return VGGDescriptor(needs, depth=19, layers=_SECOND_OF_EACH_BLOCK, mean=(0.0, 0.0, 0.0))
