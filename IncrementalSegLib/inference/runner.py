"""A segmenter over a whole scan: slices or windows in portions that fit into memory."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
from monai.data.utils import compute_importance_map
from monai.inferers import sliding_window_inference
from torch import Tensor

from IncrementalSegLib.inference.budget import MemoryBudget, on_device
from IncrementalSegLib.inference.padding import centred
from IncrementalSegLib.inference.tiles import Score, tile_weights, tiled
from IncrementalSegLib.networks.segmenter import Segmenter
from IncrementalSegLib.preprocessing.plan import Plan
from IncrementalSegLib.progress import UNTOLD, Share

log = logging.getLogger(__name__)


class ScanRunner:
    """Run a model on whole scans.

    Slices go through a 2-D network whole and in batches; a 3-D network slides its patch over the volume.

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
        overlap: float = 0.25,
    ) -> None:
        self.model = model.eval()
        self.plan = plan
        self.device = device
        self.autocast = autocast
        self.budget = MemoryBudget(batch, device, device)
        self.overlap = overlap
        self._window: Tensor | None = None
        if plan.rules is not None:  # made once, not for every scan
            self._window = tile_weights(plan.patch)
        elif plan.dimension == 3:
            self._window = compute_importance_map(plan.patch, mode="gaussian", device=device)

    def run(self, image: Tensor, score: Score, progress: Share = UNTOLD, task: int = 0) -> Tensor:
        """Return ``(K, D, H, W)`` on the CPU for slices or windows that ``score`` sees; make do with less memory.

        Args:
            image: A prepared image ``(C, D, H, W)``.
            score: Runs the model on a batch ``(B, C, *S)``.
            progress: Receives the share done.
            task: Position of the task whose network runs.
        """
        self.model.eval()  # validation runs between training steps
        padded, where = self._pad(image.float())
        while True:
            try:
                device = self.budget.device
                with self.model.as_of(task), self.autocast(), on_device(self.model, self.device, device):
                    maps = self._pass(padded, score, progress)
                return maps[(slice(None), *where)].float().cpu()
            except torch.OutOfMemoryError:
                reduced = self.budget.reduced(windows=self.plan.dimension == 3)
                if reduced is None:
                    raise
                self.budget = reduced
            log.warning("Out of memory while segmenting; continuing with %s.", self.budget)
            if self.device.type == "cuda":
                torch.cuda.empty_cache()

    def _pass(self, padded: Tensor, score: Score, progress: Share) -> Tensor:
        """Run ``score`` over everything in portions of the present size and return ``(K, D, H, W)``."""
        if self.plan.rules is not None and self._window is not None:
            return tiled(padded, self._window, score, self.budget, progress, flat=self.plan.dimension == 2)
        if self.plan.dimension == 2:
            return self._slices(padded, score, progress)
        maps: Tensor = sliding_window_inference(
            padded[None].to(self.budget.stitch),
            self.plan.patch,
            self.budget.batch,
            _counted(score, self._windows(padded), progress),
            self.overlap,
            sw_device=self.budget.device,
            device=self.budget.stitch,
            roi_weight_map=self._window,
        )[0]
        return maps

    def _slices(self, image: Tensor, score: Score, progress: Share) -> Tensor:
        stack, batch = image.transpose(0, 1), self.budget.batch
        maps = torch.empty(0)
        for start in range(0, len(stack), batch):
            found = score(stack[start : start + batch].to(self.budget.device)).float().cpu().transpose(0, 1)
            if start == 0:  # the whole result at once: joining parts would hold them twice
                maps = found.new_empty((len(found), len(stack), *found.shape[2:]))
            maps[:, start : start + batch] = found
            progress(min(1.0, (start + batch) / len(stack)))
        return maps

    def _windows(self, image: Tensor) -> int:
        """Return in how many windows a padded image is seen."""
        count = 1
        for size, patch in zip(image.shape[1:], self.plan.patch, strict=True):
            count *= 1 + math.ceil((size - patch) / max(1, int(patch * (1 - self.overlap))))
        return count

    def _pad(self, image: Tensor) -> tuple[Tensor, tuple[slice, ...]]:
        """Pad with the minimum, with zero by rules of nnU-Net, to sizes that the network accepts, as in training."""
        sizes = []
        for axis, (size, patch) in enumerate(zip(image.shape[1:], self.plan.patch, strict=True)):
            if self.plan.dimension == 2 and self.plan.rules is None:
                sizes.append(size if axis == 0 else math.ceil(size / self.plan.multiple) * self.plan.multiple)
            else:
                sizes.append(max(size, patch))
        return centred(image, sizes, float(image.amin()) if self.plan.rules is None else 0.0)


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
