"""Micro-batches: the parts of a batch that memory does not hold; their gradients add up to those of the whole."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace

import torch

from IncrementalSegLib.sampling.batch import Batch

log = logging.getLogger(__name__)


def micro_batches(batch: Batch, parts: int) -> Iterator[tuple[float, Batch]]:
    """Yield ``parts`` smaller batches, each with its share of the items.

    Losses are means, so that the sum of the parts' losses times their shares is the loss of the whole where
    a loss is a mean over items.  A soft Dice, or a mean over what was looked for, is then the parts' average.

    Args:
        batch: B items.
        parts: 1 or more; never more than there are items.
    """
    size = len(batch.image)
    for rows in torch.arange(size).tensor_split(min(parts, size)):
        first, last = int(rows[0]), int(rows[-1]) + 1
        part = replace(
            batch,
            image=batch.image[first:last],
            label=batch.label[first:last],
            looked_for=batch.looked_for[first:last],
            ignore=batch.ignore[first:last],
            cases=batch.cases[first:last],
        )
        yield (last - first) / size, part


def double_micro_batches(parts: int, size: int) -> int | None:
    """Return the next number of micro-batches to try, and log it; ``None`` where each holds one item already.

    Args:
        parts: The number that did not fit.
        size: Items of the batch.
    """
    if parts >= size:
        return None
    more = min(2 * parts, size)
    log.warning(
        "Out of memory: splitting each batch of %d into %d micro-batches from now on.",
        size,
        more,
    )
    return more
