"""From a segmenter and a scan to a prediction on the scan's own grid; knows no method."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from monai.data.utils import compute_importance_map
from monai.inferers import sliding_window_inference
from numpy.typing import NDArray
from torch import Tensor

from IncrementalSegLib.errors import ModelError
from IncrementalSegLib.inference.budget import MemoryBudget, on_device
from IncrementalSegLib.inference.padding import centred
from IncrementalSegLib.inference.postprocess import largest_component
from IncrementalSegLib.inference.prediction import Prediction
from IncrementalSegLib.inference.tiles import mirrored, rounded, tile_weights, tiled, untied
from IncrementalSegLib.inference.uncertainty import Uncertainty, uncertainty_of
from IncrementalSegLib.networks.decision import decide, joined
from IncrementalSegLib.networks.outputs.embedding import Embedding
from IncrementalSegLib.networks.segmenter import Segmenter
from IncrementalSegLib.preprocessing.pipeline import Record, forward, inverse
from IncrementalSegLib.preprocessing.plan import Plan
from IncrementalSegLib.progress import UNTOLD, Share
from IncrementalSegLib.types import StructureId
from IncrementalSegLib.volumes.volume import Volume

log = logging.getLogger(__name__)

UNCERTAINTY_PASSES = 10
"""Monte Carlo passes behind an uncertainty map; our own choice between speed and smoothness."""

ENCODINGS = 4
"""Draws of all but the last convolution of a Bayesian network behind an uncertainty map, for the sake of time."""

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
        self.budget = MemoryBudget(batch, device, device)
        self.overlap = overlap
        self._window: Tensor | None = None
        if plan.rules is not None:  # made once, not for every scan
            self._window = tile_weights(plan.patch)
        elif plan.dimension == 3:
            self._window = compute_importance_map(plan.patch, mode="gaussian", device=device)

    def predict(
        self,
        volume: Volume,
        structures: Sequence[StructureId] | None = None,
        *,
        probability: bool = False,
        uncertainty: bool = False,
        parts: bool = False,
        similarity: Sequence[StructureId] = (),
        unknown: bool = False,
        largest: bool = False,
        mirror: bool = False,
        seed: int = 0,
        task: int | None = None,
        progress: Share = UNTOLD,
        on_image: Callable[[Tensor], None] = lambda image: None,
        revise: Callable[[Tensor, Tensor], Tensor] | None = None,
    ) -> Prediction:
        """Segment a scan.

        Args:
            volume: The scan, on any grid.
            structures: Uuids; all by default.
            probability: Also return how probable each structure is at each voxel, 2 bytes each.
            uncertainty: Also return a map of uncertainty.
            parts: Also return the aleatoric and the epistemic part of it.
            similarity: Structures of which the cosine is returned too.
            unknown: Also return which voxels are similar to nothing.
            largest: Keep only the largest component of each structure.
            mirror: Average over the scan mirrored along the axes that the plan allows.
            seed: Decides the dropout masks behind the uncertainty map.
            task: Position of the task whose network is used; by default that of the most similar scan that taught.
            progress: Receives the share done.
            on_image: Called with the scan as the network sees it, ``(C, D, H, W)``.
            revise: Receives the same scan and the probability of each structure, ``(K, D, H, W)``, and returns those
                that are decided on; the structures are those asked for, or all where they exclude each other.

        Raises:
            DataError: The scan does not fit the model's plan.
            ModelError: Similarities are asked for, and the model's output has none.
        """
        wanted = self.model.structures if structures is None else tuple(structures)
        self.plan.check(volume, "The scan")
        image, ignore, record = forward(volume, self.plan)
        on_image(image)
        scored = self._scored(wanted)
        compared = bool(similarity) or unknown
        share = 1 / (1 + UNCERTAINTY_PASSES * uncertainty + compared)
        maps, probable = self._scores(image, scored, progress.sub(0.0, share), task, mirror=mirror)
        if revise is not None or ignore is not None:
            maps, probable = probable(maps), _same
        if revise is not None:
            maps = revise(image, maps)
        if ignore is not None:  # nothing is found where the scan holds no valid sample
            maps = maps.masked_fill(ignore, 0.0)
        rows = [scored.index(item) for item in wanted]
        masks = inverse(maps, record, lambda slab: decide(probable(slab), self.model.exclusive)[rows])
        likely = inverse(maps, record, lambda slab: probable(slab)[rows].half()) if probability else None
        if volume.unlabelled is not None:  # nor where there is nothing to compare it with
            masks[:, volume.unlabelled] = False
            if likely is not None:
                likely[:, volume.unlabelled] = 0
        entropy = aleatoric = None
        if uncertainty:
            found = self.uncertainty(image, wanted, seed, progress.sub(share, 1 - share * compared), task=task)
            spread = torch.stack([found.total, found.aleatoric]) if parts else found.total[None]
            if ignore is not None:
                spread = spread.masked_fill(ignore, 0.0)
            entropy, aleatoric = (*inverse(spread, record, lambda slab: slab.clamp(0, 1)), None)[:2]
        cosines: dict[StructureId, NDArray[np.float32]] = {}
        strange = None
        if compared:
            cosines, strange = self._compared(image, ignore, record, similarity, progress.sub(1 - share, 1.0))
            if volume.unlabelled is not None:
                strange[volume.unlabelled] = False
        return Prediction(
            probability={} if likely is None else dict(zip(wanted, likely, strict=True)),
            mask={item: largest_component(masks[row]) if largest else masks[row] for row, item in enumerate(wanted)},
            uncertainty=entropy,
            exclusive=self.model.exclusive,
            similarity=cosines,
            unknown=strange if unknown else None,
            aleatoric=aleatoric,
        )

    @torch.no_grad()
    def probabilities(self, image: Tensor, structures: Sequence[StructureId], progress: Share = UNTOLD) -> Tensor:
        """Return ``(K, D, H, W)`` float32 on the CPU for a prepared image ``(C, D, H, W)``.

        Structures that came after the task of the scan are scored by the networks of later ones.
        """
        maps, probable = self._scores(image, structures, progress)
        return probable(maps)

    @torch.no_grad()
    def _scores(
        self,
        image: Tensor,
        structures: Sequence[StructureId],
        progress: Share,
        task: int | None = None,
        *,
        mirror: bool = False,
    ) -> tuple[Tensor, Score]:
        """Return what :meth:`_scores_of` does for each structure by the network of its task."""
        tasks = self.model.tasks_for(image, structures, task)
        used, found = sorted(set(tasks)), list[Tensor]()
        for number, each in enumerate(used):
            share = progress.sub(number / len(used), (number + 1) / len(used))
            maps, probable = self._scores_of(image, structures, share, each, mirror)
            if len(used) == 1:
                return maps, probable
            maps = probable(maps)
            maps[[other != each for other in tasks]] = 0.0
            found.append(maps)
        return joined(found), _same

    def _scores_of(
        self, image: Tensor, structures: Sequence[StructureId], progress: Share, task: int, mirror: bool
    ) -> tuple[Tensor, Score]:
        """Return what is averaged over windows, ``(M, D, H, W)``, and the function that makes probabilities of it."""
        model = self.model

        def likely(batch: Tensor) -> Tensor:
            return model.probabilities(model(batch, structures).logits, structures)

        if self.plan.rules is None:
            return self._run(image, likely, progress, task), _same
        form: list[int] = []

        def score(batch: Tensor) -> Tensor:
            logits: Tensor = model(batch, structures).logits
            form[:] = logits.shape[1 : 2 - batch.ndim]
            return logits.float().flatten(1, len(form))

        first = 3 - self.plan.dimension
        axes = [axis - first for axis in self.plan.rules.mirror] if mirror else []
        maps = self._run(image, mirrored(score, axes), progress, task)
        return maps, lambda slab: untied(model.probabilities(rounded(slab).unflatten(0, form)[None], structures)[0])

    @torch.no_grad()
    def similarities(self, image: Tensor, structures: Sequence[StructureId], progress: Share = UNTOLD) -> Tensor:
        """Return ``(K + 1, D, H, W)`` on the CPU: the cosine with each structure, then the largest with anything.

        Raises:
            ModelError: The model's output has no cosines.
        """
        output = embedding_of(self.model)
        return self._run(image, lambda batch: output.similarities(self.model(batch).logits, structures), progress)

    def masks(self, image: Tensor, structures: Sequence[StructureId], progress: Share = UNTOLD) -> Tensor:
        """Return ``(K, D, H, W)`` bool on the CPU for a prepared image ``(C, D, H, W)``, on its grid."""
        scored = self._scored(structures)
        found = decide(self.probabilities(image, scored, progress), self.model.exclusive)
        return found[[scored.index(item) for item in structures]]

    @torch.no_grad()
    def uncertainty(
        self,
        image: Tensor,
        structures: Sequence[StructureId],
        seed: int = 0,
        progress: Share = UNTOLD,
        *,
        task: int | None = None,
        independent: bool = False,
    ) -> Uncertainty:
        """Return the uncertainty over Monte Carlo passes, each map ``(D, H, W)`` on the CPU.

        Args:
            image: A prepared image ``(C, D, H, W)``.
            structures: Uuids.
            seed: Decides the passes.
            progress: Receives the share done.
            task: The task of the scan; the network is the first one since then that knows all of the structures.
            independent: Draw the whole of a Bayesian network for each pass, which takes about twice the time and shows
                more of the epistemic part.
        """
        generator = torch.Generator().manual_seed(seed)

        def score(batch: Tensor) -> Tensor:
            draws = None if independent else ENCODINGS
            passes = self.model.monte_carlo(batch, UNCERTAINTY_PASSES, generator, structures, draws)
            found = uncertainty_of(passes, self.model.exclusive)
            return torch.stack([found.total, found.aleatoric], dim=1)

        return Uncertainty(*self._run(image, score, progress, max(self.model.tasks_for(image, structures, task))))

    def _compared(
        self, image: Tensor, ignore: Tensor | None, record: Record, structures: Sequence[StructureId], progress: Share
    ) -> tuple[dict[StructureId, NDArray[Any]], NDArray[np.bool_]]:
        """Return the cosine with each structure, and the unknown voxels, on the scan's grid."""
        maps = self.similarities(image, structures, progress)
        if ignore is not None:  # no valid sample is similar to anything, and none is unknown
            maps[:-1].masked_fill_(ignore, 0.0)
            maps[-1].masked_fill_(ignore, 1.0)
        found = inverse(maps, record, lambda slab: slab.clamp(-1, 1))
        return dict(zip(structures, found, strict=False)), found[-1] < float(embedding_of(self.model).known_above)

    def _scored(self, wanted: Sequence[StructureId]) -> tuple[StructureId, ...]:
        """Return what must be scored to decide on ``wanted``: everything where structures exclude each other."""
        return self.model.structures if self.model.exclusive else tuple(wanted)

    def _run(self, image: Tensor, score: Score, progress: Share = UNTOLD, task: int = 0) -> Tensor:
        """Run ``score`` over slices or windows and return ``(K, D, H, W)`` on the CPU; make do with less memory."""
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


def _same(maps: Tensor) -> Tensor:
    return maps


def embedding_of(model: Segmenter) -> Embedding:
    """Return the output of a model of the embedding family.

    Raises:
        ModelError: It is of another family.
    """
    if not isinstance(model.output, Embedding):
        raise ModelError(
            "The model has no directions of structures to compare voxels with.",
            f"Its output is {model.config.output}, not embedding.",
            "Teach a model with the method cfil.",
        )
    return model.output


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
