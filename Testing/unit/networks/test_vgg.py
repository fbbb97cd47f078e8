import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional as F

from IncrementalSegLib.errors import ModelError
from IncrementalSegLib.networks.vgg import VGG

SIXTEEN = [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28]  # indices of the convolutions in torchvision
NINETEEN = [0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34]


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return VGG(16).eval()


@pytest.mark.parametrize(("depth", "indices", "parameters"), [(16, SIXTEEN, 14_714_688), (19, NINETEEN, 20_024_384)])
def test_parameters_are_named_as_in_torchvision(depth, indices, parameters):
    network = VGG(depth)
    assert list(network.state_dict()) == [
        f"features.{index}.{kind}" for index in indices for kind in ("weight", "bias")
    ]
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters


def test_maps_are_those_of_a_plain_loop_after_relu(network):
    image = torch.randn(2, 3, 32, 48, generator=torch.Generator().manual_seed(1))
    state = network.state_dict()
    maps = []
    hidden = image
    for number, index in enumerate(SIXTEEN):
        if number in (2, 4, 7, 10):
            hidden = F.max_pool2d(hidden, 2)
        hidden = F.conv2d(hidden, state[f"features.{index}.weight"], state[f"features.{index}.bias"], padding=1).clamp(
            min=0
        )
        maps.append(hidden)
    with torch.no_grad():
        found = network(image)
    assert len(found) == 13
    for one, other in zip(found, maps, strict=True):
        torch.testing.assert_close(one, other)


def test_elements_at_192_are_those_of_the_paper_s_layers():
    with torch.device("meta"):
        maps = VGG(16)(torch.empty(1, 3, 192, 192))
    assert sum(layer.numel() for layer in maps) == 9_953_280  # 9.95 M; block 1 holds 47 %
    assert sum(layer.numel() for layer in maps[:2]) / 9_953_280 == pytest.approx(0.474, abs=1e-3)


def test_chosen_layers_only(network):
    few = VGG(16, layers=(1, 3))
    few.load_features(network.state_dict())
    image = torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        for one, other in zip(few(image), [network(image)[number] for number in (1, 3)], strict=True):
            torch.testing.assert_close(one, other)


def test_a_whole_torchvision_file_loads_and_a_foreign_one_is_refused(tmp_path, network):
    weights = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    save_file({**weights, "classifier.0.weight": torch.zeros(2, 2)}, tmp_path / "vgg16.safetensors")
    loaded = VGG.from_file(tmp_path / "vgg16.safetensors")
    assert not loaded.training
    assert torch.equal(loaded.state_dict()["features.28.weight"], weights["features.28.weight"])
    with pytest.raises(ModelError, match="not those of VGG19"):
        VGG.from_file(tmp_path / "vgg16.safetensors", depth=19)
    (tmp_path / "text.safetensors").write_text("no weights")
    with pytest.raises(ModelError, match="cannot be read"):
        VGG.from_file(tmp_path / "text.safetensors")
