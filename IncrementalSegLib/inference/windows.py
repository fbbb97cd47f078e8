"""The slices or windows in which a network sees a scan, and what is averaged over them: one class per kind of rules."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import torch
from monai.data.utils import compute_importance_map
from monai.inferers import sliding_window_inference
from torch import Tensor

from IncrementalSegLib.inference.budget import MemoryBudget
from IncrementalSegLib.inference.padding import centred
from IncrementalSegLib.inference.tiles import Score, require_finite, rounded, tile_weights, tiled
from IncrementalSegLib.preprocessing.bundle import BundleRules, foreground
from IncrementalSegLib.preprocessing.plan import Plan
from IncrementalSegLib.preprocessing.rules import Rules
from IncrementalSegLib.progress import Share

OVERLAP = 0.25
"""Overlap of neighbouring windows of a 3-D network, as a share of a window."""

SIGMA = 0.125
"""Standard deviation of their Gaussian weights, as a share of a window."""

Kind = Literal["probabilities", "scores"]
Box = tuple[slice, ...]

_ALL: Box = (slice(None), slice(None), slice(None))


class Windows:
    """Base of the ways to see a scan.

    Args:
        plan: The model's plan.

    Attributes:
        averaged: What is averaged over windows.
        resampled: What is brought back to the scan's own grid.
    """

    averaged: ClassVar[Kind] = "probabilities"

    def __init__(self, plan: Plan) -> None:
        self.plan, self.resampled = plan, self.averaged

    def seen(self, image: Tensor) -> Box:
        """Return the part of an image ``(C, D, H, W)`` outside of which nothing is found."""
        return _ALL

    def padded(self, image: Tensor) -> tuple[Tensor, Box]:
        """Return an image of a size that the network takes, and where the image lies in it."""
        return image, _ALL

    def score(self, image: Tensor, score: Score, budget: MemoryBudget, progress: Share) -> Tensor:
        """Return the maps ``(K, D, H, W)`` of a padded image ``(C, D, H, W)``.

        Args:
            image: The image.
            score: Makes of a batch ``(B, C, *S)`` its maps ``(B, K, *S)``.
            budget: Slices or windows in one pass, where they are scored, and where they are put together.
            progress: Receives the share done.
        """
        raise NotImplementedError

    def kept(self, scores: Tensor) -> Tensor:
        """Return resampled scores as precisely as they are kept."""
        return scores


class Slices(Windows):
    """Whole slices, for our 2-D networks; padded with the least value, as in training."""

    def padded(self, image: Tensor) -> tuple[Tensor, Box]:
        """Return an image of a size that the network takes, and where the image lies in it."""
        multiple = self.plan.multiple
        sizes = [image.shape[1], *(math.ceil(size / multiple) * multiple for size in image.shape[2:])]
        return centred(image, sizes, float(image.amin()))

    def score(self, image: Tensor, score: Score, budget: MemoryBudget, progress: Share) -> Tensor:
        """Return the maps ``(K, D, H, W)`` of a padded image ``(C, D, H, W)``."""
        stack, batch = image.transpose(0, 1), budget.batch
        maps = torch.empty(0)
        for start in range(0, len(stack), batch):
            found = score(stack[start : start + batch].to(budget.device))
            found = found.to(budget.stitch, torch.float32).transpose(0, 1)
            if start == 0:  # the whole result at once: joining parts would hold them twice
                maps = found.new_empty((len(found), len(stack), *found.shape[2:]))
            maps[:, start : start + batch] = found
            progress(min(1.0, (start + batch) / len(stack)))
        return maps


class Patches(Windows):
    """Overlapping windows with Gaussian weights, for our 3-D networks; padded with the least value, as in training."""

    def __init__(self, plan: Plan, overlap: float, device: torch.device) -> None:
        super().__init__(plan)
        self.overlap = (overlap,) * 3
        self._weights = compute_importance_map(plan.patch, mode="gaussian", sigma_scale=SIGMA, device=device)

    def padded(self, image: Tensor) -> tuple[Tensor, Box]:
        """Return an image of a size that the network takes, and where the image lies in it."""
        return centred(image, _at_least(image, self.plan), float(image.amin()))

    def score(self, image: Tensor, score: Score, budget: MemoryBudget, progress: Share) -> Tensor:
        """Return the maps ``(K, D, H, W)`` of a padded image ``(C, D, H, W)``."""
        return _slid(image, self.plan, self.overlap, score, budget, progress, roi_weight_map=self._weights)


class Tiles(Windows):
    """The windows of nnU-Net, whose scores are averaged and resampled."""

    averaged = "scores"

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        self._weights = tile_weights(plan.patch)

    def padded(self, image: Tensor) -> tuple[Tensor, Box]:
        """Return an image of a size that the network takes, and where the image lies in it."""
        return centred(image, _at_least(image, self.plan), 0.0)

    def score(self, image: Tensor, score: Score, budget: MemoryBudget, progress: Share) -> Tensor:
        """Return the maps ``(K, D, H, W)`` of a padded image ``(C, D, H, W)``."""
        return tiled(image, self._weights, score, budget, progress, flat=self.plan.dimension == 2)

    def kept(self, scores: Tensor) -> Tensor:
        """Return resampled scores as precisely as they are kept."""
        return rounded(scores)


class BundleWindows(Windows):
    """The windows of a MONAI bundle, which MONAI pads; scores are averaged, and they or probabilities resampled."""

    averaged = "scores"

    def __init__(self, plan: Plan, rules: BundleRules) -> None:
        super().__init__(plan)
        self.rules, self.resampled = rules, rules.resampled

    def seen(self, image: Tensor) -> Box:
        """Return the part of an image ``(C, D, H, W)`` outside of which nothing is found."""
        return foreground(image) if self.rules.foreground else _ALL

    def score(self, image: Tensor, score: Score, budget: MemoryBudget, progress: Share) -> Tensor:
        """Return the maps ``(K, D, H, W)`` of a padded image ``(C, D, H, W)``."""
        rules = self.rules
        how = {"mode": rules.blend, "sigma_scale": rules.sigma, "padding_mode": rules.padding, "cval": rules.fill}
        return require_finite(_slid(image, self.plan, rules.overlap, score, budget, progress, **how))


def windows_of(plan: Plan, overlap: float, device: torch.device) -> Windows:
    """Return the way in which a model sees scans.

    Args:
        plan: The model's plan.
        overlap: Overlap of the windows of our 3-D networks, as a share of a window, 0..1.
        device: Where they are put together.
    """
    if isinstance(plan.rules, Rules):
        return Tiles(plan)
    if isinstance(plan.rules, BundleRules):
        return BundleWindows(plan, plan.rules)
    return Slices(plan) if plan.dimension == 2 else Patches(plan, overlap, device)


def _at_least(image: Tensor, plan: Plan) -> list[int]:
    """Return the size of an image, along each axis at least that of a patch."""
    return [max(size, patch) for size, patch in zip(image.shape[1:], plan.patch, strict=True)]


def _slid(
    image: Tensor,
    plan: Plan,
    overlap: Sequence[float],
    score: Score,
    budget: MemoryBudget,
    progress: Share,
    **how: Any,
) -> Tensor:
    """Return what MONAI's sliding window makes of an image ``(C, D, H, W)``."""
    counted = _counted(score, _count(image, plan, overlap), progress)

    def flat(windows: Tensor) -> Tensor:
        return counted(windows.squeeze(2)).unsqueeze(2)

    maps: Tensor = sliding_window_inference(
        image[None].to(budget.stitch),
        plan.patch,
        budget.batch,
        flat if plan.dimension == 2 else counted,
        overlap,
        sw_device=budget.device,
        device=budget.stitch,
        **how,
    )[0]
    return maps


def _count(image: Tensor, plan: Plan, overlap: Sequence[float]) -> int:
    """Return in how many windows an image is seen."""
    count = 1
    for size, patch, share in zip(image.shape[1:], plan.patch, overlap, strict=True):
        count *= 1 + math.ceil(max(0, size - patch) / max(1, int(patch * (1 - share))))
    return count


def _counted(score: Score, windows: int, progress: Share) -> Score:
    """Report each batch of windows, so that a long scan can be cancelled."""
    done = 0

    def run(batch: Tensor) -> Tensor:
        nonlocal done
        found = score(batch)
        done += len(batch)
        progress(done / windows)
        return found

    return run
