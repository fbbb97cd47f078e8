"""One precision for all chains of a protocol: on another processor the library may choose another."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from unittest import mock

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from IncrementalSegLib.engine import runtime

_REPLACED = (functional.conv2d, functional.conv_transpose2d)
"""In 3-D networks compute in float32 on any CPU."""


@contextmanager
def computing_in(precision: str | None) -> Iterator[None]:
    """Run networks inside the block in ``bf16-mixed`` or ``32-true``; ``None`` is what suits the machine.

    On a processor without bf16 convolutions are computed as :class:`RoundedConvolutions`, several times faster than by
    torch's emulation.
    """
    if precision is None:
        yield
        return
    native = runtime._has_bf16("cpu")
    with mock.patch.object(runtime, "_has_bf16", return_value=precision == "bf16-mixed"):
        if native or precision != "bf16-mixed":
            yield
            return
        with RoundedConvolutions():
            yield


class RoundedConvolutions(TorchFunctionMode):
    """Convolutions under bf16 autocast, computed in float32 on rounded operands and rounded again.

    A processor with bf16 does the same: it multiplies bf16 and adds in float32.  Values and gradients differ by the
    order of sums only.
    """

    def __torch_function__(
        self,
        func: Callable[..., Tensor],
        types: Sequence[type],
        args: Sequence[object] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> Tensor:
        """Replace a convolution; call anything else as it is."""
        kwargs = kwargs or {}
        if func not in _REPLACED or not torch.is_autocast_enabled("cpu"):
            return func(*args, **kwargs)
        with torch.autocast("cpu", enabled=False):
            rounded = {name: _rounded(value) for name, value in kwargs.items()}
            return func(*map(_rounded, args), **rounded).bfloat16()


def _rounded(value: object) -> object:
    """Return a tensor in float32, its values and the gradients it receives rounded to bf16."""
    return value.bfloat16().float() if isinstance(value, Tensor) else value
