"""A batch shared out among processes: each runs the network on its own items, and the loss is that of the whole batch.

What the network returns is gathered, and every process computes the same loss: no term has to be a mean over items, and
no method has to know.  Back-propagation leads into the items of the process alone; their gradients are multiplied by
the number of processes, so that the mean over processes is right both for them and for terms on the weights
themselves, which every process computes whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property, partial
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from IncrementalSegLib.engine.parallel.group import Group
from IncrementalSegLib.networks.output import Features, Output
from IncrementalSegLib.networks.segmenter import Segmenter
from IncrementalSegLib.networks.stochastic import Part, Stochastic


@contextmanager
def sharded(group: Group, *models: Segmenter | None) -> Iterator[None]:
    """Let each process run ``models`` on its items of a batch; outputs are those of the whole batch.

    Random layers draw for the whole batch, and batch normalisation takes its statistics over all of it.

    Args:
        group: The processes; alone, nothing changes.
        models: Each is called with the whole batch.
    """
    with ExitStack() as stack:
        for model in models if group.size > 1 else ():
            if model is not None:
                stack.enter_context(_sharded(model, group))
        yield


@contextmanager
def _sharded(model: Segmenter, group: Group) -> Iterator[None]:
    rows = Part(0, 0, 0)

    def take(module: nn.Module, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        nonlocal rows
        image, *others = arguments
        rows = group.rows(len(image))
        Stochastic.divide(model, rows)
        return image[rows.first : rows.last], *others

    def join(module: nn.Module, arguments: tuple[Any, ...], output: Output) -> Output:
        whole = partial(_whole, group=group, rows=rows)
        return Output(whole(output.logits), cast(Features, _JoinedFeatures(output.features, whole)))

    normalisations = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    hooks = model.register_forward_pre_hook(take), model.register_forward_hook(join)
    for module in normalisations:
        module.forward = partial(_normalised, module, group)  # type: ignore[method-assign]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
        for module in normalisations:
            del module.forward
        Stochastic.divide(model, None)


def whole_batch(group: Group, part: Tensor, total: int) -> Tensor:
    """Return something of each of the ``total`` items of a batch, of which a process has computed its part.

    Back-propagation leads into the items of the process, as for what a sharded model returns.
    """
    return part if group.size == 1 else _whole(part, group, group.rows(total))


class _JoinedFeatures:
    """The attributes of :class:`Features` for a whole batch, each gathered when it is first asked for."""

    def __init__(self, own: Features, whole: Callable[[Tensor], Tensor]) -> None:
        self._own, self._whole = own, whole

    @cached_property
    def encoder(self) -> tuple[Tensor, ...]:
        return tuple(map(self._whole, self._own.encoder))

    @cached_property
    def abstraction(self) -> Tensor:
        return self._whole(self._own.abstraction)

    @cached_property
    def decoder(self) -> Tensor:
        return self._whole(self._own.decoder)

    @cached_property
    def decoder_dropped(self) -> Tensor:
        return self._whole(self._own.decoder_dropped)


def _whole(part: Tensor, group: Group, rows: Part) -> Tensor:
    found: Tensor = _Join.apply(part, group, rows)  # type: ignore[no-untyped-call]
    return found


class _Join(torch.autograd.Function):
    """The items of all processes; gradients go back to the own ones."""

    @staticmethod
    def forward(ctx: Any, part: Tensor, group: Group, rows: Part) -> Tensor:
        ctx.group, ctx.rows = group, rows
        return group.joined(part, rows.total)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return gradients[0][ctx.rows.first : ctx.rows.last] * ctx.group.size, None, None


class _Sum(torch.autograd.Function):
    """The sum over all processes, which depends on the part of each."""

    @staticmethod
    def forward(ctx: Any, part: Tensor, group: Group) -> Tensor:
        ctx.group, total = group, part.clone()
        group.add(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        total = gradients[0].clone()
        ctx.group.add(total)
        return total, None


def _normalised(module: _BatchNorm, group: Group, features: Tensor) -> Tensor:
    """Normalise ``(B, F, *S)`` by the statistics of the whole batch, and update the running ones."""
    if not module.training:
        return type(module).forward(module, features)
    axes = [0, *range(2, features.ndim)]
    shape = (1, -1, *[1] * (features.ndim - 2))
    with torch.autocast(features.device.type, enabled=False):
        values = features.to(torch.promote_types(features.dtype, torch.float32))
        sums = _summed(torch.cat([values.sum(axes), values.new_full((1,), values.numel() / values.shape[1])]), group)
        count = sums[-1].detach()
        mean = sums[:-1] / count
        centred = values - mean.view(shape)
        variance = _summed(centred.square().sum(axes), group) / count
        result = centred * (variance + module.eps).rsqrt().view(shape)
        if module.affine:
            result = result * module.weight.view(shape) + module.bias.view(shape)
    _update(module, mean.detach(), variance.detach() * count / (count - 1).clamp_min(1))
    return result.to(features.dtype)


def _summed(part: Tensor, group: Group) -> Tensor:
    found: Tensor = _Sum.apply(part, group)  # type: ignore[no-untyped-call]
    return found


@torch.no_grad()
def _update(module: _BatchNorm, mean: Tensor, variance: Tensor) -> None:
    """Update running statistics as torch does."""
    if module.running_mean is None or module.running_var is None or module.num_batches_tracked is None:
        return
    module.num_batches_tracked.add_(1)
    share = 1 / module.num_batches_tracked if module.momentum is None else module.momentum
    module.running_mean.lerp_(mean, share)
    module.running_var.lerp_(variance, share)
