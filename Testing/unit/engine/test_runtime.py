"""Device and precision."""

import pytest
import torch
from tiny import segmenter
from torch import nn

from IncrementalSegLib.engine.runtime import start
from IncrementalSegLib.errors import DeviceError, OptionError
from IncrementalSegLib.networks.trunks.nnunet import InstanceNorm

no_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")


@no_gpu
def test_a_missing_gpu_is_said_with_the_way_out():
    with pytest.raises(DeviceError, match=r"No CUDA GPU.*device=\"cpu\""):
        start("cuda")


@pytest.mark.parametrize("name", ["gpu", "cuda:0", "CPU", ""])
def test_an_unknown_device_is_refused(name):
    with pytest.raises(OptionError, match="auto, cpu or cuda"):
        start(name)


@no_gpu
@pytest.mark.parametrize("device", ["auto", "cpu"])
@pytest.mark.parametrize(
    ("capabilities", "precision"),
    [({}, "32-true"), ({"avx512_bf16": True}, "bf16-mixed"), ({"amx_bf16": True}, "bf16-mixed")],
)
def test_the_cpu_uses_bf16_where_it_has_it(device, capabilities, precision, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    found = start(device)
    assert (found.device.type, found.precision) == ("cpu", precision)
    assert found.name.startswith("CPU")
    with found.autocast():
        product = torch.ones(2, 2) @ torch.ones(2, 2)
    assert product.dtype == (torch.bfloat16 if precision == "bf16-mixed" else torch.float32)


def test_a_broken_torch_is_refused(monkeypatch):
    monkeypatch.setattr(torch, "__version__", "2.9.1")
    with pytest.raises(DeviceError, match=r"2\.9\.1"):
        start("cpu")


@pytest.mark.parametrize(("dimension", "layout"), [(2, torch.channels_last), (3, torch.channels_last_3d)])
def test_models_and_images_are_laid_out_channels_last(dimension, layout):
    runtime = start("cpu")
    model = segmenter(network=f"unet{dimension}d")
    image = torch.randn(1, 1, *[16] * dimension)
    model.eval()
    before = model(image).logits
    runtime.place(model, dimension)
    kernels = [weight for weight in model.parameters() if weight.ndim == dimension + 2]
    assert kernels
    assert all(weight.is_contiguous(memory_format=layout) for weight in kernels)
    assert runtime.layout(torch.randn(2, 3, *[8] * dimension), model).is_contiguous(memory_format=layout)
    torch.testing.assert_close(model(image).logits, before, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("norm", [nn.InstanceNorm3d(4), InstanceNorm(4, 1e-5), nn.GroupNorm(2, 4)])
def test_models_that_normalise_instances_or_groups_are_not_on_a_cpu(norm):
    runtime = start("cpu")
    model = nn.Sequential(nn.Conv3d(2, 4, 3).to(memory_format=torch.channels_last_3d), norm)
    runtime.place(model, 3)
    image = torch.randn(2, 2, 8, 8, 8).to(memory_format=torch.channels_last_3d)
    assert model[0].weight.is_contiguous()
    assert runtime.layout(image, model).is_contiguous()
    assert model[0](runtime.layout(image, model)).is_contiguous()


def test_tuning_keeps_what_the_person_chose(monkeypatch):
    from IncrementalSegLib.engine import process as module

    monkeypatch.setattr(module.sys, "platform", "darwin")  # no malloc options there
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    module.tune_process()
    assert module.os.environ["OMP_WAIT_POLICY"] == "ACTIVE"
    monkeypatch.delenv("OMP_WAIT_POLICY")
    module.tune_process()
    assert module.os.environ["OMP_WAIT_POLICY"] == "PASSIVE"
