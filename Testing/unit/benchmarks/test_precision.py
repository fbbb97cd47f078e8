"""bf16 on a processor without it: as torch computes it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.overrides import _get_current_function_mode_stack

from IncrementalSegLib.engine import runtime
from IncrementalSegLib.engine.runtime import start
from Testing.benchmarks.precision import RoundedConvolutions, computing_in

LAYERS = [
    nn.Conv2d(5, 7, 3, padding=1),
    nn.Conv2d(5, 7, 3, stride=2, bias=False),
    nn.ConvTranspose2d(5, 7, 2, stride=2),
]


def run(layer: nn.Module, image: Tensor) -> list[Tensor]:
    """Return output and gradients of a layer under autocast."""
    layer.zero_grad()
    image = image.clone().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        out = layer(image)
    (out.float() * torch.linspace(-1, 1, out.numel()).reshape(out.shape)).sum().backward()
    return [out.detach(), image.grad, *(parameter.grad for parameter in layer.parameters())]


@pytest.mark.parametrize("layer", LAYERS, ids=str)
def test_a_convolution_and_its_gradients_are_those_of_bf16(layer: nn.Module) -> None:
    torch.manual_seed(0)
    image = torch.randn(2, 5, 12, 12)
    theirs = run(layer, image)
    with RoundedConvolutions():
        ours = run(layer, image)
    for one, two in zip(ours, theirs, strict=True):
        assert one.dtype == two.dtype
        assert torch.equal(one.bfloat16().to(one.dtype), one), "not rounded"
        difference = (one.float() - two.float()).abs().max()
        assert difference <= 2**-7 * two.abs().max(), "more than one unit in the last place"


@pytest.mark.parametrize(("native", "replaced"), [(True, False), (False, True)])
def test_only_a_processor_without_bf16_computes_so(
    monkeypatch: pytest.MonkeyPatch, native: bool, replaced: bool
) -> None:
    monkeypatch.setattr(runtime, "_has_bf16", lambda kind: native)
    for precision, expected in (("bf16-mixed", replaced), ("32-true", False), (None, False)):
        with computing_in(precision):
            on = any(isinstance(mode, RoundedConvolutions) for mode in _get_current_function_mode_stack())
            assert on == expected
            assert start("cpu").precision == (precision or ("bf16-mixed" if native else "32-true"))
