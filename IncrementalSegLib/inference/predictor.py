"""From a segmenter and a scan to a prediction on the scan's own grid; knows no method."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch
from monai.data.utils import compute_importance_map
from monai.inferers import sliding_window_inference
from torch import Tensor
from torch.nn import functional as F

from IncrementalSegLib.inference.postprocess import largest_component
from IncrementalSegLib.inference.prediction import Prediction
from IncrementalSegLib.networks.segmenter import Segmenter
from IncrementalSegLib.preprocessing.pipeline import forward, inverse
from IncrementalSegLib.preprocessing.plan import Plan
from IncrementalSegLib.types import StructureId
from IncrementalSegLib.volumes.volume import Volume

UNCERTAINTY_PASSES = 10
"""Monte Carlo passes behind an uncertainty map; our own choice between speed and smoothness."""

Progress = Callable[[float, str], None]
Score = Callable[[Tensor], Tensor]


class Predictor:
    """Run a model on scans, any subset of its structures in one pass.

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
        self.batch = batch
        self.overlap = overlap
        self._window: Tensor | None = None
        if plan.dimension == 3:  # made once, not for every scan
            self._window = compute_importance_map(plan.patch, mode="gaussian", device=device)

    def predict(
        self,
        volume: Volume,
        structures: Sequence[StructureId] | None = None,
        *,
        uncertainty: bool = False,
        largest: bool = False,
        seed: int = 0,
        progress: Progress = lambda fraction, phrase: None,
    ) -> Prediction:
        """Segment a scan.

        Args:
            volume: The scan, on any grid.
            structures: Uuids; all by default.
            uncertainty: Also return a map of uncertainty.
            largest: Keep only the largest component of each structure.
            seed: Decides the dropout masks behind the uncertainty map.
            progress: Called with a fraction 0..1 and a phrase.

        Raises:
            DataError: The scan does not fit the model's plan.
        """
        wanted = self.model.structures if structures is None else tuple(structures)
        self.plan.check(volume, "The scan")
        image, ignore, record = forward(volume, self.plan)
        maps = self.probabilities(image, wanted, progress)
        if ignore is not None:  # nothing is found where the scan holds no valid sample
            maps = maps.masked_fill(ignore, 0.0)
        native = inverse(maps, record)
        masks = (native >= 0.5).numpy()
        entropy = None
        if uncertainty:
            spread = self.uncertainty(image, wanted, seed)
            entropy = inverse(spread[None], record)[0].clamp(0, 1).numpy().astype(np.float32)
        probability = native.half().numpy()
        return Prediction(
            probability={item: probability[row] for row, item in enumerate(wanted)},
            mask={item: largest_component(masks[row]) if largest else masks[row] for row, item in enumerate(wanted)},
            uncertainty=entropy,
            exclusive=self.model.exclusive,
        )

    @torch.no_grad()
    def probabilities(
        self, image: Tensor, structures: Sequence[StructureId], progress: Progress = lambda fraction, phrase: None
    ) -> Tensor:
        """Return ``(K, D, H, W)`` float32 on the CPU for a prepared image ``(C, D, H, W)``."""

        def score(batch: Tensor) -> Tensor:
            return self.model.probabilities(self.model(batch, structures).logits)

        return self._run(image, score, progress)

    @torch.no_grad()
    def uncertainty(self, image: Tensor, structures: Sequence[StructureId], seed: int = 0) -> Tensor:
        """Return the predictive entropy over Monte Carlo dropout passes ``(D, H, W)``, 0..1.

        The entropy of the mean probability in bits, the largest over the structures.
        """
        generator = torch.Generator().manual_seed(seed)

        def score(batch: Tensor) -> Tensor:
            passes = self.model.monte_carlo(batch, UNCERTAINTY_PASSES, generator, structures)
            mean = torch.stack(list(passes)).mean(0).clamp(1e-6, 1 - 1e-6)
            entropy = -(mean * mean.log2() + (1 - mean) * (1 - mean).log2())
            return entropy.amax(dim=1, keepdim=True)

        return self._run(image, score)[0]

    def _run(self, image: Tensor, score: Score, progress: Progress = lambda fraction, phrase: None) -> Tensor:
        """Run ``score`` over slices or windows and return ``(K, D, H, W)`` on the CPU."""
        self.model.eval()  # validation runs between training steps
        padded, where = self._pad(image.float())
        with self.autocast():
            if self.plan.dimension == 2:
                parts = []
                for done, batch in self._slices(padded):
                    parts.append(score(batch.to(self.device)).float().cpu())
                    progress(done, "Segmenting")
                maps = torch.cat(parts).transpose(0, 1)
            else:
                maps = sliding_window_inference(
                    padded[None].to(self.device),
                    self.plan.patch,
                    self.batch,
                    score,
                    self.overlap,
                    roi_weight_map=self._window,
                )[0]
                progress(1.0, "Segmenting")
        return maps[(slice(None), *where)].float().cpu()

    def _slices(self, image: Tensor) -> Iterator[tuple[float, Tensor]]:
        stack = image.transpose(0, 1)
        for start in range(0, len(stack), self.batch):
            yield min(1.0, (start + self.batch) / len(stack)), stack[start : start + self.batch]

    def _pad(self, image: Tensor) -> tuple[Tensor, tuple[slice, ...]]:
        """Pad with the minimum to sizes that the network accepts, as in training."""
        sizes = []
        for axis, (size, patch) in enumerate(zip(image.shape[1:], self.plan.patch, strict=True)):
            if self.plan.dimension == 2:
                sizes.append(size if axis == 0 else math.ceil(size / self.plan.multiple) * self.plan.multiple)
            else:
                sizes.append(max(size, patch))
        if sizes == list(image.shape[1:]):
            return image, (slice(None), slice(None), slice(None))
        starts = [(room - size) // 2 for size, room in zip(image.shape[1:], sizes, strict=True)]
        padding: list[int] = []
        for size, room, start in zip(reversed(image.shape[1:]), reversed(sizes), reversed(starts), strict=True):
            padding += [start, room - size - start]
        where = tuple(slice(start, start + size) for start, size in zip(starts, image.shape[1:], strict=True))
        return F.pad(image, padding, value=float(image.amin())), where
