"""From a segmenter and a scan to a prediction on the scan's own grid; knows no method."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from IncrementalSegLib.errors import ModelError
from IncrementalSegLib.inference.budget import where_it_fits
from IncrementalSegLib.inference.postprocess import largest_component
from IncrementalSegLib.inference.prediction import Prediction
from IncrementalSegLib.inference.runner import ScanRunner
from IncrementalSegLib.inference.tiles import Score, mirrored, untied
from IncrementalSegLib.inference.uncertainty import Uncertainty, uncertainty_of
from IncrementalSegLib.networks.decision import decide, joined
from IncrementalSegLib.networks.host import picked
from IncrementalSegLib.networks.outputs.embedding import Embedding
from IncrementalSegLib.networks.segmenter import Segmenter
from IncrementalSegLib.preprocessing.pipeline import Record, forward, inverse
from IncrementalSegLib.progress import UNTOLD, Share
from IncrementalSegLib.types import StructureId
from IncrementalSegLib.volumes.volume import Volume

UNCERTAINTY_PASSES = 10
"""Monte Carlo passes behind an uncertainty map; our own choice between speed and smoothness."""

ENCODINGS = 4
"""Draws of all but the last convolution of a Bayesian network behind an uncertainty map, for the sake of time."""


class Predictor(ScanRunner):
    """Run a model on scans, any subset of its structures in one pass; see :class:`ScanRunner`."""

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
                that are decided on; the structures are those of :meth:`Segmenter.deciding`.

        Raises:
            DataError: The scan does not fit the model's plan.
            ModelError: Similarities are asked for, and the model's output has none.
        """
        wanted = self.model.structures if structures is None else tuple(structures)
        self.plan.check(volume, "The scan")
        image, ignore, record = where_it_fits(self.budget.device, lambda device: forward(volume, self.plan, device))
        on_image(image)
        scored = self.model.deciding(wanted)
        compared = bool(similarity) or unknown
        share = 1 / (1 + UNCERTAINTY_PASSES * uncertainty)
        maps, probable, alike = self._scores(
            image, scored, progress.sub(0.0, share), task, mirror=mirror, similarity=similarity if compared else None
        )
        if revise is not None or ignore is not None:
            maps, probable = _made(maps, probable), _same
        if revise is not None:
            maps = revise(image, maps)
        if ignore is not None:  # nothing is found where the scan holds no valid sample
            maps = maps.masked_fill(ignore, 0.0)
        rows = [scored.index(item) for item in wanted]
        exclusive = self.model.excluding(scored)
        masks = self._on_scan(
            maps, record, lambda slab: picked(decide(probable(slab), exclusive), rows, 0), decides=True
        )
        likely = (
            self._on_scan(maps, record, lambda slab: picked(probable(slab), rows, 0).half()) if probability else None
        )
        if volume.unlabelled is not None:  # nor where there is nothing to compare it with
            masks[:, volume.unlabelled] = False
            if likely is not None:
                likely[:, volume.unlabelled] = 0
        entropy = aleatoric = None
        if uncertainty:
            found = self.uncertainty(image, wanted, seed, progress.sub(share, 1.0), task=task)
            spread = torch.stack([found.total, found.aleatoric]) if parts else found.total[None]
            if ignore is not None:
                spread = spread.masked_fill(ignore, 0.0)
            entropy, aleatoric = (*self._on_scan(spread, record, lambda slab: slab.clamp(0, 1)), None)[:2]
        cosines: dict[StructureId, NDArray[np.float32]] = {}
        strange = None
        if compared:
            cosines, strange = self._compared(alike, ignore, record, similarity)
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
        maps, probable, _ = self._scores(image, structures, progress)
        return _made(maps, probable)

    @torch.no_grad()
    def _scores(
        self,
        image: Tensor,
        structures: Sequence[StructureId],
        progress: Share,
        task: int | None = None,
        *,
        mirror: bool = False,
        similarity: Sequence[StructureId] | None = None,
    ) -> tuple[Tensor, Score, Tensor]:
        """Return what :meth:`_scores_of` does for each structure by the network of its task, and :meth:`similarities`.

        The cosines, where they are asked for, come from the same pass.
        """
        tasks = self.model.tasks_for(image, structures, task)
        used, found = sorted(set(tasks)), list[Tensor]()
        for number, each in enumerate(used):
            share = progress.sub(number / len(used), (number + 1) / len(used))
            maps, probable = self._scores_of(image, structures, share, each, mirror, similarity)
            if len(used) == 1:
                count = len(maps) - (0 if similarity is None else len(similarity) + 1)
                return maps[:count], probable, maps[count:]
            maps = _made(maps, probable)
            maps[[other != each for other in tasks]] = 0.0
            found.append(maps)
        return joined(found), _same, maps[:0]

    def _scores_of(
        self,
        image: Tensor,
        structures: Sequence[StructureId],
        progress: Share,
        task: int,
        mirror: bool,
        similarity: Sequence[StructureId] | None,
    ) -> tuple[Tensor, Score]:
        """Return what is averaged over windows, ``(M, D, H, W)``, and the function that makes probabilities of it.

        Cosines follow the maps where they are asked for.
        """
        model, output = self.model, None if similarity is None else embedding_of(self.model)

        def compared(maps: Tensor, logits: Tensor) -> Tensor:
            if output is None or similarity is None:
                return maps
            return torch.cat([maps, output.similarities(logits, similarity)], dim=1)

        def likely(batch: Tensor) -> Tensor:
            logits = model(batch, structures).logits
            return compared(model.probabilities(logits, structures), logits)

        windows, rules = self.windows, self.plan.rules
        if windows.averaged == "probabilities":
            return self.run(image, likely, progress, task), _same
        form: list[int] = []

        def score(batch: Tensor) -> Tensor:
            logits: Tensor = model(batch, structures).logits
            form[:] = logits.shape[1 : 2 - batch.ndim]
            return compared(logits.float().flatten(1, len(form)), logits)

        def decided(scores: Tensor) -> Tensor:
            return untied(model.probabilities(scores.unflatten(0, form)[None], structures)[0])

        axes = [axis - 3 + self.plan.dimension for axis in rules.mirror] if mirror and rules is not None else []
        mean = mirrored(score, axes)
        if windows.resampled == "scores":
            return self.run(image, mean, progress, task), lambda slab: decided(windows.kept(slab))
        return self.run(image, mean, progress, task, decided), _same

    @torch.no_grad()
    def similarities(self, image: Tensor, structures: Sequence[StructureId], progress: Share = UNTOLD) -> Tensor:
        """Return ``(K + 1, D, H, W)`` on the CPU: the cosine with each structure, then the largest with anything.

        Raises:
            ModelError: The model's output has no cosines.
        """
        output = embedding_of(self.model)
        return self.run(image, lambda batch: output.similarities(self.model(batch).logits, structures), progress).cpu()

    def masks(self, image: Tensor, structures: Sequence[StructureId], progress: Share = UNTOLD) -> Tensor:
        """Return ``(K, D, H, W)`` bool on the CPU for a prepared image ``(C, D, H, W)``, on its grid."""
        scored = self.model.deciding(structures)
        found = decide(self.probabilities(image, scored, progress), self.model.excluding(scored))
        return picked(found, [scored.index(item) for item in structures], 0)

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
        generator, exclusive = torch.Generator().manual_seed(seed), self.model.excluding(structures)

        def score(batch: Tensor) -> Tensor:
            draws = None if independent else ENCODINGS
            passes = self.model.monte_carlo(batch, UNCERTAINTY_PASSES, generator, structures, draws)
            found = uncertainty_of(passes, exclusive)
            return torch.stack([found.total, found.aleatoric], dim=1)

        return Uncertainty(*self.run(image, score, progress, max(self.model.tasks_for(image, structures, task))).cpu())

    def _on_scan(self, maps: Tensor, record: Record, finish: Score, *, decides: bool = False) -> NDArray[Any]:
        """Return what is kept of maps on the scan's own grid, as :func:`inverse` does."""
        return where_it_fits(self.budget.device, lambda device: inverse(maps, record, finish, device, decides=decides))

    def _compared(
        self, maps: Tensor, ignore: Tensor | None, record: Record, structures: Sequence[StructureId]
    ) -> tuple[dict[StructureId, NDArray[Any]], NDArray[np.bool_]]:
        """Return the cosine with each structure, and the unknown voxels, on the scan's grid."""
        if ignore is not None:  # no valid sample is similar to anything, and none is unknown
            maps = maps.cpu()
            maps[:-1].masked_fill_(ignore, 0.0)
            maps[-1].masked_fill_(ignore, 1.0)
        found = self._on_scan(maps, record, lambda slab: slab.clamp(-1, 1))
        return dict(zip(structures, found, strict=False)), found[-1] < float(embedding_of(self.model).known_above)


def _made(maps: Tensor, finish: Score) -> Tensor:
    """Return what is made of whole maps, on the CPU; it is made there where the memory of their device runs out."""
    return where_it_fits(maps.device, lambda device: finish(maps.to(device)).cpu())


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
