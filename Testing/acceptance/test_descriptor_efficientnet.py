"""Another pre-trained network plugs in as a descriptor: EfficientNet-Lite0 on real slices.

All that is needed stands here: the network in plain torch, one registered function, its weights in a file.
"""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional as F

from IncrementalSegLib.exemplars.content import DescriptorNeeds, as_rgb, content_distances
from IncrementalSegLib.exemplars.selection import SelectionOptions, select_exemplars
from IncrementalSegLib.networks.config import SegmenterConfig
from IncrementalSegLib.networks.segmenter import Segmenter
from IncrementalSegLib.registry import find, register
from IncrementalSegLib.sampling.batch import PreparedCase

pytestmark = pytest.mark.slow

VERTEBRAE = "a" * 32
CPU = torch.device("cpu")

# repeats, kernel, stride, expansion, output channels (Tan & Le 2019; Lite: no squeeze-excitation, ReLU6)
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


def same(image, convolution):
    """Convolve with the padding of TensorFlow, which puts the odd sample at the far end."""
    kernel, stride = convolution.kernel_size[0], convolution.stride[0]
    pads = []
    for size in reversed(image.shape[2:]):
        missing = max((-(-size // stride) - 1) * stride + kernel - size, 0)
        pads += [missing // 2, missing - missing // 2]
    return convolution(F.pad(image, pads))


class Block(nn.Module):
    def __init__(self, inputs, kernel, stride, expansion, outputs):
        super().__init__()
        wide = inputs * expansion
        self.residual = stride == 1 and inputs == outputs
        if expansion > 1:
            self._expand_conv = nn.Conv2d(inputs, wide, 1, bias=False)
            self._bn0 = nn.BatchNorm2d(wide, eps=1e-3)
        self._depthwise_conv = nn.Conv2d(wide, wide, kernel, stride, groups=wide, bias=False)
        self._bn1 = nn.BatchNorm2d(wide, eps=1e-3)
        self._project_conv = nn.Conv2d(wide, outputs, 1, bias=False)
        self._bn2 = nn.BatchNorm2d(outputs, eps=1e-3)

    def forward(self, image):
        hidden = F.relu6(self._bn0(self._expand_conv(image))) if hasattr(self, "_expand_conv") else image
        hidden = F.relu6(self._bn1(same(hidden, self._depthwise_conv)))
        hidden = self._bn2(self._project_conv(hidden))
        return image + hidden if self.residual else hidden


class EfficientNetLite0(nn.Module):
    """The blocks of EfficientNet-Lite0; returns the map of every block."""

    def __init__(self):
        super().__init__()
        self._conv_stem = nn.Conv2d(3, 32, 3, 2, bias=False)
        self._bn0 = nn.BatchNorm2d(32, eps=1e-3)
        self._blocks = nn.ModuleList()
        channels = 32
        for repeats, kernel, stride, expansion, outputs in STAGES:
            for number in range(repeats):
                self._blocks.append(Block(channels, kernel, stride if number == 0 else 1, expansion, outputs))
                channels = outputs

    def forward(self, image):
        image = F.relu6(self._bn0(same(image, self._conv_stem)))
        maps = []
        for block in self._blocks:
            image = block(image)
            maps.append(image)
        return maps


class EfficientNetDescriptor:
    planar = True
    version = "efficientnet-lite0, 16 blocks"

    def __init__(self, needs):
        weights = load_file(needs.weights)
        network = EfficientNetLite0()
        wanted = network.state_dict().keys()
        network.load_state_dict({name: tensor.to(torch.float32) for name, tensor in weights.items() if name in wanted})
        self.network = network.eval().to(needs.device)

    @torch.no_grad()
    def __call__(self, image):
        return self.network((as_rgb(image) * 255 - 127) / 128)


@register("descriptor", "efficientnet-lite0")
def efficientnet_lite0(needs):
    return EfficientNetDescriptor(needs)


@pytest.fixture(scope="module")
def weights(shared_data):
    return shared_data / "imagenet-efficientnet-lite0" / "efficientnet-lite0-fp16.safetensors"


@pytest.fixture(scope="module")
def spines(shared_data):
    """Return five patients, in-plane halved, with their vertebrae."""
    found = []
    folder = shared_data / "lumbar-spine-mr"
    for path in sorted((folder / "images").glob("*.nii.gz"))[:5]:
        image = torch.from_numpy(sitk.GetArrayFromImage(sitk.ReadImage(path)).astype(np.float32))[:, ::2, ::2]
        label = torch.from_numpy(sitk.GetArrayFromImage(sitk.ReadImage(folder / "labels" / path.name)))[:, ::2, ::2]
        image = (image - image.mean()) / image.std()
        masks = (label == 1).to(torch.uint8)[None].contiguous()
        found.append(PreparedCase(path.name, path.name, image[None].half(), (VERTEBRAE,), masks))
    return found


def test_slices_of_one_patient_look_alike_to_the_descriptor(weights, spines):
    descriptor = find("descriptor", "efficientnet-lite0")(DescriptorNeeds(CPU, weights))
    size = [min(case.image.shape[axis] for case in spines) for axis in (2, 3)]
    middle = [(case, case.image.shape[1] // 2 + step) for case in spines for step in (0, 1)]
    images = [case.image[:, at, : size[0], : size[1]].float() for case, at in middle]
    distances = content_distances(descriptor, images.__getitem__, len(images), range(len(images)), CPU)
    np.testing.assert_allclose(distances, distances.T, rtol=1e-3)
    np.fill_diagonal(distances, np.inf)
    assert [int(row.argmin()) for row in distances] == [n ^ 1 for n in range(len(images))]  # the neighbouring slice


def test_exemplars_are_chosen_by_it(weights, spines):
    torch.manual_seed(0)
    model = Segmenter(SegmenterConfig(network="unet2d", widths=(8, 16, 32), dropout=0.5))
    model.add((VERTEBRAE,))
    options = SelectionOptions(candidates=20, keep=6, passes=5, descriptor="efficientnet-lite0")
    chosen = select_exemplars(model, spines, (VERTEBRAE,), options, CPU, seed=0, weights=weights)
    own = select_exemplars(model, spines, (VERTEBRAE,), options.model_copy(update={"descriptor": "trunk"}), CPU, seed=0)
    by_content = places(chosen.memory, "content")
    assert len(by_content) == 6
    assert by_content != places(own.memory, "content")
    # the descriptor changes the content order alone
    assert places(chosen.memory, "abstraction") == places(own.memory, "abstraction")
    assert chosen.report["descriptor_version"] == "efficientnet-lite0, 16 blocks"
    curve = chosen.report["structures"][VERTEBRAE]["coverage"]["content"]
    assert curve == sorted(curve)
    assert 0 < curve[0] < curve[-1] <= 1


def places(memory, order):
    """Return where the slices of an order come from; the ids of exemplars are drawn anew each time."""
    found = {item.id: (item.case, item.start) for item in memory}
    return [found[scan.id] for scan in memory.take(order, (VERTEBRAE,))]
