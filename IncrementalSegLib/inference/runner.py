"""A segmenter over a whole scan: slices or windows in portions that fit into memory."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from monai.data.utils import compute_importance_map
from monai.inferers import sliding_window_inference
from torch import Tensor

from IncrementalSegLib.inference.budget import MemoryBudget, on_device
from IncrementalSegLib.inference.padding import centred
from IncrementalSegLib.inference.tiles import Score, require_finite, tile_weights, tiled
from IncrementalSegLib.networks.segmenter import Segmenter
from IncrementalSegLib.preprocessing.bundle import BundleRules, foreground
from IncrementalSegLib.preprocessing.plan import Plan
from IncrementalSegLib.preprocessing.rules import Rules
from IncrementalSegLib.progress import UNTOLD, Share

OVERLAP = 0.25
"""Overlap of neighbouring windows of a 3-D network, as a share of a window."""

SIGMA = 0.125
"""Standard deviation of their Gaussian weights, as a share of a window."""

log = logging.getLogger(__name__)


class ScanRunner:
    """Run a model on whole scans.

    Slices go through a 2-D network whole and in batches; a 3-D network slides its patch over the volume.  Adopted
    models do it by their rules.

    Args:
        model: The segmenter; set to eval mode.
        plan: The model's plan.
        device: Where to run.
        autocast: Makes the context in which the network runs (mixed precision).
        batch: Slices or windows per pass.
        overlap: Overlap of neighbouring windows, 0..1.
    """

    def __init__(
        self,
        model: Segmenter,
        plan: Plan,
        device: torch.device,
        autocast: Callable[[], AbstractContextManager[object]] = nullcontext,
        batch: int = 8,
        overlap: float = OVERLAP,
    ) -> None:
        self.model = model.eval()
        self.plan = plan
        self.device = device
        self.autocast = autocast
        self.budget = MemoryBudget(batch, device, device)
        self.overlap = overlap
        self._window: Tensor | None = None
        if isinstance(plan.rules, Rules):  # made once, not for every scan
            self._window = tile_weights(plan.patch)
        elif plan.rules is None and plan.dimension == 3:
            self._window = compute_importance_map(plan.patch, mode="gaussian", sigma_scale=SIGMA, device=device)

    def run(
        self,
        image: Tensor,
        score: Score,
        progress: Share = UNTOLD,
        task: int = 0,
        finish: Score = lambda maps: maps,
    ) -> Tensor:
        """Return ``(K, D, H, W)`` for slices or windows that ``score`` sees; make do with less memory.

        The result lies where it was put together: on the GPU, or on the CPU if it is large.

        Args:
            image: A prepared image ``(C, D, H, W)``.
            score: Runs the model on a batch ``(B, C, *S)``.
            progress: Receives the share done.
            task: Position of the task whose network runs.
            finish: Makes other maps of those of the part that windows cover; outside of it all are 0.
        """
        self.model.eval()  # validation runs between training steps
        box = foreground(image) if isinstance(self.plan.rules, BundleRules) and self.plan.rules.foreground else ()
        padded, where = self._pad(image[(slice(None), *box)].float())
        size = (len(self.model.structures) + 1) * padded[0].numel() * padded.element_size()
        while True:
            budget = self.budget.holding(size)
            try:
                with self.model.as_of(task), self.autocast(), on_device(self.model, self.device, budget.device):
                    maps = self._pass(padded, score, budget, progress)
                found = finish(maps[(slice(None), *where)].float())
                if not box:
                    return found
                whole = found.new_zeros((len(found), *image.shape[1:]))
                whole[(slice(None), *box)] = found
                return whole
            except torch.OutOfMemoryError:
                reduced = budget.reduced()
                if reduced is None:
                    raise
                self.budget = reduced
            log.warning("Out of memory while segmenting; continuing with %s.", self.budget)
            if self.device.type == "cuda":
                torch.cuda.empty_cache()

    def _pass(self, padded: Tensor, score: Score, budget: MemoryBudget, progress: Share) -> Tensor:
        """Run ``score`` over everything in the portions of the budget and return ``(K, D, H, W)``."""
        rules, flat = self.plan.rules, self.plan.dimension == 2
        if isinstance(rules, Rules) and self._window is not None:
            return tiled(padded, self._window, score, budget, progress, flat=flat)
        if rules is None and flat:
            return _slices(padded, score, budget, progress)
        overlap: Sequence[float] = (self.overlap,) * 3
        how: dict[str, Any] = {"roi_weight_map": self._window}
        if isinstance(rules, BundleRules):
            overlap = rules.overlap
            how = {"mode": rules.blend, "sigma_scale": rules.sigma, "padding_mode": rules.padding, "cval": rules.fill}
        counted = _counted(score, self._windows(padded, overlap), progress)
        maps: Tensor = sliding_window_inference(
            padded[None].to(budget.stitch),
            self.plan.patch,
            budget.batch,
            (lambda windows: counted(windows.squeeze(2)).unsqueeze(2)) if flat else counted,
            overlap,
            sw_device=budget.device,
            device=budget.stitch,
            **how,
        )[0]
        return maps if rules is None else require_finite(maps)

    def _windows(self, image: Tensor, overlap: Sequence[float]) -> int:
        """Return in how many windows an image is seen."""
        count = 1
        for size, patch, share in zip(image.shape[1:], self.plan.patch, overlap, strict=True):
            count *= 1 + math.ceil(max(0, size - patch) / max(1, int(patch * (1 - share))))
        return count

    def _pad(self, image: Tensor) -> tuple[Tensor, tuple[slice, ...]]:
        """Pad with the minimum, with zero by rules of nnU-Net, to sizes that the network accepts, as in training.

        By those of a bundle MONAI pads.
        """
        if isinstance(self.plan.rules, BundleRules):
            return image, (slice(None), slice(None), slice(None))
        sizes = []
        for axis, (size, patch) in enumerate(zip(image.shape[1:], self.plan.patch, strict=True)):
            if self.plan.dimension == 2 and self.plan.rules is None:
                sizes.append(size if axis == 0 else math.ceil(size / self.plan.multiple) * self.plan.multiple)
            else:
                sizes.append(max(size, patch))
        return centred(image, sizes, float(image.amin()) if self.plan.rules is None else 0.0)


def _slices(image: Tensor, score: Score, budget: MemoryBudget, progress: Share) -> Tensor:
    stack, batch = image.transpose(0, 1), budget.batch
    maps = torch.empty(0)
    for start in range(0, len(stack), batch):
        found = score(stack[start : start + batch].to(budget.device)).to(budget.stitch, torch.float32).transpose(0, 1)
        if start == 0:  # the whole result at once: joining parts would hold them twice
            maps = found.new_empty((len(found), len(stack), *found.shape[2:]))
        maps[:, start : start + batch] = found
        progress(min(1.0, (start + batch) / len(stack)))
    return maps


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
