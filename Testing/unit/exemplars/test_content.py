import tracemalloc

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional as F

from IncrementalSegLib.errors import MissingNeedError
from IncrementalSegLib.exemplars.content import (
    DescriptorNeeds,
    as_rgb,
    common_size,
    content_distances,
    fit,
)
from IncrementalSegLib.networks.config import SegmenterConfig
from IncrementalSegLib.networks.segmenter import Segmenter
from IncrementalSegLib.networks.vgg import VGG
from IncrementalSegLib.registry import find, names

CPU = torch.device("cpu")


class Pyramid:
    """Two layers of fixed filters with a large common offset, as deep activations have."""

    version = "test"

    def __init__(self, planar=False, offset=100.0):
        self.planar, self.offset = planar, offset
        self.kernel = torch.randn(4, 1, 3, 3, generator=torch.Generator().manual_seed(0))

    def __call__(self, image):
        first = F.conv2d(image, self.kernel, padding=1) + self.offset
        return [first, F.avg_pool2d(first, 2)]


def images(count=9, size=(8, 10), seed=0):
    return torch.randn(count, 1, *size, generator=torch.Generator().manual_seed(seed))


def direct(descriptor, data, candidates, reduction):
    """Compare layer by layer and pair by pair, in float64."""
    maps = [[layer.double() for layer in descriptor(image[None])] for image in data]
    size = np.mean if reduction == "mean_per_layer" else np.sum

    def distance(one, other):
        return sum(size((x - y).square().numpy()) for x, y in zip(one, other, strict=True))

    return np.array([[distance(maps[candidate], other) for other in maps] for candidate in candidates])


@pytest.mark.parametrize("reduction", ["mean_per_layer", "sum"])
@pytest.mark.parametrize(("batch", "hold_bytes"), [(4, 1 << 30), (2, 1), (99, 5000)])
def test_gram_equals_direct(reduction, batch, hold_bytes):
    data, descriptor = images(), Pyramid()
    found = content_distances(
        descriptor,
        data.__getitem__,
        count=len(data),
        candidates=[7, 0, 3],
        device=CPU,
        reduction=reduction,
        batch=batch,
        hold_bytes=hold_bytes,
    )
    np.testing.assert_allclose(found, direct(descriptor, data, [7, 0, 3], reduction), rtol=1e-4)


def test_near_duplicates_are_near_and_never_negative():
    data = images(6)
    data[1] = data[0] + 1e-3 * images(6, seed=1)[1]
    data[2] = data[0]
    descriptor = Pyramid(offset=1000.0)
    found = content_distances(descriptor, data.__getitem__, len(data), range(6), CPU)
    assert (found >= 0).all()
    assert found[0, 2] < 1e-6
    assert 0 < found[0, 1] < 1e-3 < found[0, 3]


def test_memory_is_flat_in_the_number_of_images():
    peaks = []
    for count in (16, 256):
        alive = []
        descriptor = Pyramid()
        original = descriptor.__call__

        class Watching(Pyramid):
            def __call__(self, image, original=original, alive=alive):
                maps = original(image)
                alive.append(sum(layer.numel() for layer in maps))
                return maps

        watching = Watching()
        small = images(1)[0]
        tracemalloc.start()
        content_distances(watching, lambda _, small=small: small, count, range(3), CPU, batch=4)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert max(alive) == 4 * 4 * (80 + 20)  # no batch is larger than asked for
    assert peaks[1] - peaks[0] < 100_000  # the matrix of distances grows, nothing else


def test_a_planar_descriptor_sees_the_three_middle_planes():
    volumes = torch.randn(4, 1, 6, 8, 10, generator=torch.Generator().manual_seed(0))
    found = content_distances(Pyramid(planar=True), volumes.__getitem__, 4, [1], CPU)
    planes = [volumes[:, :, 3], volumes[:, :, :, 4], volumes[:, :, :, :, 5]]
    np.testing.assert_allclose(
        found, sum(direct(Pyramid(), plane, [1], "mean_per_layer") for plane in planes), rtol=1e-4, atol=1e-5
    )


def test_sizes_are_brought_to_the_median():
    assert common_size([(8, 10), (6, 20), (9, 1)]) == (8, 10)
    image = torch.arange(12.0).view(1, 3, 4)
    assert fit(image, (1, 2)).tolist() == [[[5, 6]]]
    padded = fit(image + 1, (5, 4))
    assert padded.shape == (1, 5, 4)
    assert padded[0, 0].tolist() == [1, 1, 1, 1]  # the lowest value
    assert torch.equal(padded[:, 1:4], image + 1)


def test_intensities_become_three_channels_of_zero_to_one():
    image = torch.tensor([-9.0, -3.0, 0.0, 3.0, 9.0]).view(1, 1, 1, 5)
    assert as_rgb(image)[0, :, 0].tolist() == [[0, 0, 0.5, 1, 1]] * 3
    colours = torch.tensor([-3.0, 0.0, 3.0]).view(1, 3, 1, 1)
    assert as_rgb(colours).flatten().tolist() == [0, 0.5, 1]
    assert as_rgb(colours[:, [0, 2]]).flatten().tolist() == [0.5] * 3


def test_known_descriptors():
    assert {"trunk", "vgg16", "vgg19_5"} <= set(names("descriptor"))
    for name in ("trunk", "vgg16", "vgg19_5"):
        with pytest.raises(MissingNeedError, match="needs the"):
            find("descriptor", name)(DescriptorNeeds(CPU))


def test_vgg16_normalises_as_imagenet_and_returns_13_layers(tmp_path):
    torch.manual_seed(0)
    network = VGG(16).eval()
    save_file(network.state_dict(), tmp_path / "vgg16.safetensors")
    descriptor = find("descriptor", "vgg16")(DescriptorNeeds(CPU, tmp_path / "vgg16.safetensors"))
    image = torch.randn(1, 1, 32, 32, generator=torch.Generator().manual_seed(1))
    unit = (image.clamp(-3, 3) + 3) / 6
    colours = torch.cat([(unit - m) / s for m, s in [(0.485, 0.229), (0.456, 0.224), (0.406, 0.225)]], dim=1)
    with torch.no_grad():
        for one, other in zip(descriptor(image), network(colours), strict=True):
            torch.testing.assert_close(one, other)
    assert len(descriptor(image[..., :21, :17])) == 13
    assert descriptor.planar
    assert "13 convolutions" in descriptor.version


def test_vgg19_5_returns_the_second_convolution_of_each_block(tmp_path):
    torch.manual_seed(0)
    save_file(VGG(19).state_dict(), tmp_path / "vgg19.safetensors")
    descriptor = find("descriptor", "vgg19_5")(DescriptorNeeds(CPU, tmp_path / "vgg19.safetensors"))
    assert [tuple(layer.shape[1:]) for layer in descriptor(torch.zeros(1, 1, 32, 32))] == [
        (64, 32, 32), (128, 16, 16), (256, 8, 8), (512, 4, 4), (512, 2, 2)
    ]  # fmt: skip


def test_the_trunk_describes_in_eval_mode():
    torch.manual_seed(0)
    model = Segmenter(SegmenterConfig(network="unet2d", widths=(4, 8)))
    model.add(("a" * 32,))
    descriptor = find("descriptor", "trunk")(DescriptorNeeds(CPU, model=model.train()))
    image = images(1, (6, 8))
    maps = descriptor(image)
    assert model.training
    assert [layer.shape[1] for layer in maps] == [4, 8]
    model.eval()
    with torch.no_grad():
        assert torch.equal(maps[1], model(image).features.abstraction)
