"""The loss terms of a training, summed on the device, because reading a number waits for it."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping

import torch
from torch import Tensor

from IncrementalSegLib.errors import CommandRef, Hint, ModelError, OptionRef

SHOWN_EVERY = 0.5
"""Seconds between two reads for progress: seldom on a fast device, at every step on a slow one."""


class LossSums:
    """Sums of loss terms, in double precision.

    Args:
        sums: What an interrupted training has added up.
    """

    def __init__(self, sums: Mapping[str, float] | None = None) -> None:
        self._sums: dict[str, float | Tensor] = dict(sums or {})
        self._loss: Tensor | None = None
        self._diverged: Tensor | None = None
        self._shown = -math.inf

    def clear(self) -> None:
        """Begin again at 0."""
        self._sums.clear()

    def add(self, terms: Mapping[str, Tensor], step: int) -> None:
        """Add the terms (scalars, float64) of optimiser step ``step``, counted from 1, without waiting for them."""
        for name, term in terms.items():
            self._sums[name] = self._sums.get(name, 0.0) + term
        self._loss = torch.stack(list(terms.values())).sum()
        diverged = torch.where(self._loss.isfinite(), math.inf, float(step))
        self._diverged = diverged if self._diverged is None else torch.minimum(self._diverged, diverged)

    def read(self) -> dict[str, float]:
        """Return the sums.

        Raises:
            ModelError: A loss was not finite: since then, neither are the weights.
        """
        return self._read()[0]

    def shown(self) -> dict[str, float]:
        """Return the loss of the last step as ``{"loss": ...}``, or nothing shortly after the last time.

        Raises:
            ModelError: A loss was not finite.
        """
        now = time.monotonic()
        if now - self._shown < SHOWN_EVERY:
            return {}
        self._shown = now
        return {"loss": self._read()[1]}

    def _read(self) -> tuple[dict[str, float], float]:
        """Return the sums and the loss of the last step, in one copy."""
        if self._loss is None or self._diverged is None:
            return {name: float(value) for name, value in self._sums.items()}, math.nan
        values = [torch.as_tensor(value).to(self._loss) for value in (*self._sums.values(), self._loss, self._diverged)]
        *sums, loss, diverged = torch.stack(values).tolist()
        if math.isfinite(diverged):
            raise ModelError(
                f"The loss is not a finite number since step {diverged:.0f}.",
                "The training diverged, or a scan holds extreme values.",
                Hint("Look at the scans with ", CommandRef("check"), ", or try another ", OptionRef("seed"), "."),
            )
        return dict(zip(self._sums, sums, strict=True)), loss
