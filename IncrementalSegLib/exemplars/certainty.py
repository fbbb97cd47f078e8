"""Certainty of the model about a structure in a slice or crop, by Monte Carlo dropout (Ozdemir 2018, Sec. 2.2)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from IncrementalSegLib.errors import MissingNeedError
from IncrementalSegLib.exemplars.together import ALONE, Together
from IncrementalSegLib.exemplars.units import Unit, batches
from IncrementalSegLib.networks.padding import crop_to, pad_to_multiple
from IncrementalSegLib.networks.segmenter import Segmenter
from IncrementalSegLib.networks.stochastic import Stochastic
from IncrementalSegLib.progress import UNTOLD, Share
from IncrementalSegLib.sampling.batch import PreparedCase
from IncrementalSegLib.types import StructureId

Measure = Literal["variance", "entropy", "mutual_information"]
Aggregate = Literal["all", "dilated_foreground"]

Masks = Literal["common", "independent"]

MARGIN = 5
"""Voxels by which ``dilated_foreground`` grows the outline."""

_ROUNDING = 1e-12  # identical float32 probabilities never differ by more than 1e-6


def uncertainty(passes: Iterable[Tensor], measure: Measure = "variance") -> tuple[Tensor, Tensor]:
    """Reduce stochastic passes to a map, one pass at a time.

    Args:
        passes: Foreground probabilities ``(B, K, *S)`` of each pass.
        measure: ``variance`` over the passes (population), ``entropy`` of their mean, or
            ``mutual_information``: that entropy minus the mean entropy of the passes.

    Returns:
        The map ``(B, K, *S)`` and the variance, which is the same tensor for ``variance``.

    Raises:
        ValueError: There is no pass.
    """
    count = 0
    mean = squares = entropies = torch.empty(0)
    for sample in passes:
        count += 1
        if count == 1:
            mean, squares = torch.zeros_like(sample), torch.zeros_like(sample)
            entropies = torch.zeros_like(sample)
        step = sample - mean
        mean = mean + step / count
        squares = squares + step * (sample - mean)  # Welford: no difference of large sums
        if measure == "mutual_information":
            entropies = entropies + _entropy(sample)
    if count == 0:
        raise ValueError("no passes")
    variance = squares / count
    if measure == "variance":
        return variance, variance
    total = _entropy(mean)
    return (total if measure == "entropy" else (total - entropies / count).clamp(min=0)), variance


def score_units(
    model: Segmenter,
    cases: Sequence[PreparedCase],
    items: Sequence[Unit],
    present: NDArray[np.bool_],
    structures: Sequence[StructureId],
    device: torch.device,
    seed: int,
    passes: int = 29,
    measure: Measure = "variance",
    aggregate: Aggregate = "all",
    masks: Masks = "common",
    batch: int = 16,
    progress: Share = UNTOLD,
    together: Together = ALONE,
) -> NDArray[np.float64]:
    """Score the uncertainty of each structure in each unit that contains it; small is certain.

    The paper aggregates over all pixels; the mean makes units of different size comparable.  A score varies more
    with the masks of so few passes than from unit to unit, so that ranks are noise where each unit has its own.

    Args:
        model: The model; dropout is active and batch normalisation in eval mode.
        cases: Prepared cases.
        items: N units.
        present: ``(N, K)`` bool; only these are scored.
        structures: K uuids.
        device: Where the model lies.
        seed: Seed of the dropout masks.
        passes: Stochastic passes.
        measure: See :func:`uncertainty`.
        aggregate: Mean over ``all`` voxels, or over the outline grown by :data:`MARGIN`.
        masks: ``common``: pass i has the same masks for all units; ``independent``: each unit has its own.
        batch: Units per pass.
        progress: Receives the share done.
        together: The processes that share out the units; with independent masks each works on all.

    Returns:
        ``(N, K)`` float64, infinite where a structure is not present.

    Raises:
        MissingNeedError: The passes do not differ, so certainty has no meaning.
    """
    scores = np.full(present.shape, np.inf)
    wanted = np.flatnonzero(present.any(axis=1)).tolist()
    if not wanted:
        return scores
    if passes < 2 or not any(isinstance(part, Stochastic) and part.varies for part in model.modules()):
        raise _identical(passes)
    generator = torch.Generator().manual_seed(seed)
    together = together if masks == "common" else ALONE
    groups = list(batches(items, wanted, batch))
    own = together.own(groups)
    found: list[NDArray[np.float64]] = []  # scores, and in the last column the largest variance
    for done, group in enumerate(own):
        progress(done / len(own))
        if masks == "common":
            generator.manual_seed(seed)
        image = torch.stack([items[number].image(cases) for number in group]).to(device)
        sizes = tuple(image.shape[2:])
        padded = pad_to_multiple(image, model.config.multiple, model.config.multiples)
        samples = model.monte_carlo(padded, passes, generator, structures, common=masks == "common")
        score, variance = uncertainty((crop_to(sample, sizes) for sample in samples), measure)
        weights = _weights(cases, items, group, structures, aggregate).to(device)
        axes = tuple(range(2, score.ndim))
        means = (score * weights).sum(axes, dtype=torch.float64) / weights.sum(axes, dtype=torch.float64).clamp(min=1)
        found.append(np.pad(means.cpu().numpy(), ((0, 0), (0, 1)), constant_values=float(variance.max())))
    whole = together.arrays(found)
    for group, rows in zip(groups, whole, strict=True):
        scores[group] = np.where(present[group], rows[:, :-1], np.inf)
    progress(1.0)
    if max(rows[0, -1] for rows in whole) <= _ROUNDING:
        raise _identical(passes)
    return scores


def _entropy(probability: Tensor) -> Tensor:
    return -(torch.xlogy(probability, probability) + torch.xlogy(1 - probability, 1 - probability))


def _weights(
    cases: Sequence[PreparedCase],
    items: Sequence[Unit],
    group: Sequence[int],
    structures: Sequence[StructureId],
    aggregate: Aggregate,
) -> Tensor:
    """Return (B, K, *S) float32: 1 where a voxel counts."""
    rows = []
    for number in group:
        unit, case = items[number], cases[items[number].case]
        valid = torch.ones(unit.size) if case.ignore is None else (~case.ignore[unit.box]).float()
        masks = [
            case.mask(structure)[unit.box] if structure in case.structures else torch.zeros(unit.size)
            for structure in structures
        ]
        near = torch.stack([mask.float() for mask in masks])
        if aggregate == "all":
            near = torch.ones_like(near)
        else:
            reach = 0 if unit.planar else MARGIN  # a slice grows within its plane
            kernel = (2 * reach + 1, 2 * MARGIN + 1, 2 * MARGIN + 1)
            near = F.max_pool3d(near, kernel, stride=1, padding=(reach, MARGIN, MARGIN))
            near[~near.flatten(1).any(1)] = 1  # a background slice has no outline to grow
        rows.append(unit.flat(near * valid))
    return torch.stack(rows)


def _identical(passes: int) -> MissingNeedError:
    return MissingNeedError(
        f"The {passes} Monte Carlo passes gave the same result, so no slice is more certain than another.",
        "The network has no active dropout.",
        "Train with a dropout probability above 0 and at least 2 passes, or learn with exemplars none.",
    )
