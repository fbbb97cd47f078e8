"""A segmenter over a whole scan: slices or windows in portions that fit into memory."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from IncrementalSegLib.inference.budget import MemoryBudget, on_device
from IncrementalSegLib.inference.tiles import Score
from IncrementalSegLib.inference.windows import OVERLAP, windows_of
from IncrementalSegLib.networks.segmenter import Segmenter
from IncrementalSegLib.preprocessing.plan import Plan
from IncrementalSegLib.progress import UNTOLD, Share

log = logging.getLogger(__name__)


class ScanRunner:
    """Run a model on whole scans, in the :class:`Windows` of its plan.

    Args:
        model: The segmenter; set to eval mode.
        plan: The model's plan.
        device: Where to run.
        autocast: Makes the context in which the network runs (mixed precision).
        batch: Slices or windows per pass.
        overlap: Overlap of neighbouring windows of our 3-D networks, 0..1.
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
        self.windows = windows_of(plan, overlap, device)

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
        box = (slice(None), *self.windows.seen(image))
        padded, where = self.windows.padded(image[box].float())
        size = (len(self.model.structures) + 1) * padded[0].numel() * padded.element_size()
        while True:
            budget = self.budget.holding(size)
            try:
                with self.model.as_of(task), self.autocast(), on_device(self.model, self.device, budget.device):
                    maps = self.windows.score(padded, score, budget, progress)
                found = finish(maps[(slice(None), *where)].float())
                if found.shape[1:] == image.shape[1:]:
                    return found
                whole = found.new_zeros((len(found), *image.shape[1:]))
                whole[box] = found
                return whole
            except torch.OutOfMemoryError:
                reduced = budget.reduced()
                if reduced is None:
                    raise
                self.budget = reduced
            log.warning("Out of memory while segmenting; continuing with %s.", self.budget)
            if self.device.type == "cuda":
                torch.cuda.empty_cache()
