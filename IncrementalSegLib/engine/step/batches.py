"""The batches of a training: which pool each comes from, cut, sent to the device and augmented there."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from IncrementalSegLib.engine.step.presets import Preset
from IncrementalSegLib.methods.base.context import StepContext
from IncrementalSegLib.methods.base.method import Method
from IncrementalSegLib.sampling.augmentation import augment
from IncrementalSegLib.sampling.batch import Batch
from IncrementalSegLib.sampling.patches import Cut, PatchPool
from IncrementalSegLib.sampling.prefetch import Prefetch
from IncrementalSegLib.types import Source


@dataclass(frozen=True)
class _Draw:
    """The items of a batch before they are sent, and the generator that chose them."""

    pool: PatchPool
    cuts: list[Cut]
    generator: torch.Generator


class Batches:
    """Make batch ``index`` as a function of seed and index alone.

    Args:
        method: Says how often a batch comes from each pool.
        ctx: The step.
        pools: Pool of each source.
        preset: Size of a batch and strength of the augmentation.
        sources: How often a batch comes from each pool, if not as the method says.
    """

    def __init__(
        self,
        method: Method[Any],
        ctx: StepContext,
        pools: Mapping[Source, PatchPool],
        preset: Preset,
        sources: Mapping[Source, float] | None = None,
    ) -> None:
        self._method, self._ctx, self._pools, self._preset, self._sources = method, ctx, pools, preset, sources
        self._draw = Prefetch(self._drawn)

    def __call__(self, index: int) -> tuple[Batch, torch.Generator]:
        """Return a batch on the device of the step, and the generator of what else is random in its step."""
        drawn = self._draw(index)
        batch = drawn.pool.collate(drawn.cuts).to(self._ctx.device)
        return augment(batch, self._preset.augmentation, drawn.generator), drawn.generator

    def ahead(self) -> AbstractContextManager[None]:
        """Return a context in which a thread cuts the next batch while a step runs.

        There is none where cases lie on the device of the step, as on a CPU: cutting takes no time worth a thread.
        """
        if not any(pool.sends for pool in self._pools.values()):
            return nullcontext()
        device = self._ctx.device
        return self._draw.ahead(partial(torch.cuda.set_device, device) if device.type == "cuda" else lambda: None)

    def _drawn(self, index: int) -> _Draw:
        """Choose pool and items; in the thread, so that nothing here may touch the device or change the step."""
        generator = self._ctx.generator(1 + index)
        wanted = self._sources if self._sources is not None else self._method.sources(self._ctx)
        sources = {name: share for name, share in wanted.items() if name in self._pools}
        names = list(sources)
        shares = torch.tensor([sources[name] for name in names])
        pool = self._pools[names[int(torch.multinomial(shares, 1, generator=generator))]]
        return _Draw(pool, pool.cut(self._preset.batch, generator), generator)
