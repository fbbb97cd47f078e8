"""Speed as ratios: each figure is the median of alternating pairs in one process, with quartiles.

Ratios hold on any machine; absolute times do not.  Run it alone and on one thread (``OMP_NUM_THREADS=1``).
"""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import torch
from monai.inferers import sliding_window_inference

from IncrementalSegLib.benchmarks.ratios import Ratio, compare, duration
from IncrementalSegLib.engine.progress import Progress, silent
from IncrementalSegLib.engine.runtime import Runtime, start
from IncrementalSegLib.engine.step.presets import Preset, find_preset
from IncrementalSegLib.engine.step.request import build_method
from IncrementalSegLib.engine.step.trainer import Trainer
from IncrementalSegLib.exemplars.content import content_distances
from IncrementalSegLib.exemplars.coverage import cover_by_similarity
from IncrementalSegLib.exemplars.memory import ExemplarMemory
from IncrementalSegLib.inference.predictor import Predictor
from IncrementalSegLib.methods.base.context import Memory, StepContext
from IncrementalSegLib.methods.base.method import TrainingPhase
from IncrementalSegLib.networks.config import SegmenterConfig
from IncrementalSegLib.networks.segmenter import Segmenter
from IncrementalSegLib.networks.vgg import VGG
from IncrementalSegLib.preprocessing.pipeline import forward
from IncrementalSegLib.preprocessing.plan import Plan, plan_for
from IncrementalSegLib.prototypes.bank import PrototypeBank
from IncrementalSegLib.sampling.batch import PreparedCase
from IncrementalSegLib.sampling.cases import Case
from IncrementalSegLib.sampling.patches import PatchPool
from IncrementalSegLib.sampling.phantom import phantom_case
from IncrementalSegLib.sampling.prepare import prepare
from IncrementalSegLib.types import DeviceName, Json
from IncrementalSegLib.volumes.volume import Volume

OLD, NEW = "0" * 32, "1" * 32


def measure(device: DeviceName = "auto", pairs: int = 15, progress: Progress = silent) -> Json:
    """Measure every ratio.

    Args:
        device: ``auto``, ``cpu`` or ``cuda``.
        pairs: Alternating pairs of each.
        progress: Receives progress.

    Returns:
        ``{"device", "threads", "torch", "ratios": [...]}``.
    """
    bench = Bench(start(device), pairs)
    parts = (bench.loading, bench.distilling, bench.heads, bench.dropout, bench.coverage, bench.content, bench.windows)
    ratios = []
    for done, part in enumerate(parts):
        progress("Measuring", done / len(parts))
        ratios.append(part().to_json())
    return {
        "device": bench.runtime.name,
        "precision": bench.runtime.precision,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "ratios": ratios,
    }


class Bench:
    """What the figures share: phantom cases, a small model and a trainer per method."""

    def __init__(self, runtime: Runtime, pairs: int) -> None:
        self.runtime, self.pairs = runtime, pairs
        self.preset: Preset = find_preset("quick", 2)
        scans = [phantom_case(seed, "A", structures=("humerus", "scapula")) for seed in range(4)]
        self.volume: Volume = scans[0][0]
        grids = [volume.grid for volume, _ in scans]
        self.plan: Plan = plan_for(grids, 1, 2, 2 ** (len(self.preset.widths) - 1), 128, 128)
        self.cases: list[PreparedCase] = [
            prepare(Case(str(seed), str(seed), (Path(),), frozenset()), volume, {NEW: masks["scapula"]}, self.plan)
            for seed, (volume, masks) in enumerate(scans)
        ]

    def loading(self) -> Ratio:
        """Return a training step with loading over the same step on a ready batch."""
        trainer, phase, optimiser = self._trainer("finetune")
        ready = trainer.batch(0)
        counter = iter(range(10**6))
        return compare(
            "training step with loading / on a ready batch",
            lambda: trainer.step(next(counter), phase, optimiser),
            lambda: trainer.update(ready, phase, optimiser),
            self.pairs,
            1.18,
        )

    def distilling(self) -> Ratio:
        """Return a LwfSeg step over a finetune step."""
        first, phase, optimiser = self._trainer("lwfseg")
        second, other_phase, other = self._trainer("finetune")
        batch = first.batch(0)
        return compare(
            "lwfseg step / finetune step",
            lambda: first.update(batch, phase, optimiser),
            lambda: second.update(batch, other_phase, other),
            self.pairs,
            1.5 if self.runtime.device.type == "cpu" else 1.4,
        )

    def heads(self) -> Ratio:
        """Return inference with eight heads over one head."""
        model = self._model([f"{index:032x}" for index in range(8)])
        predictor = Predictor(model, self.plan, self.runtime.device, self.runtime.autocast)
        image = self.cases[0].image
        return compare(
            "inference with 8 heads / 1 head",
            lambda: predictor.probabilities(image, model.structures),
            lambda: predictor.probabilities(image, model.structures[:1]),
            self.pairs,
            1.1,
        )

    def dropout(self) -> Ratio:
        """Return Monte Carlo passes with the shared half over naive passes."""
        model = self._model([OLD])
        image = self.runtime.layout(self.cases[0].image.transpose(0, 1).float()[:8])

        def shared() -> None:
            for _ in model.monte_carlo(image, 29, torch.Generator().manual_seed(0)):
                pass

        def naive() -> None:
            for seed in range(29):
                next(iter(model.monte_carlo(image, 1, torch.Generator().manual_seed(seed))))

        return compare("29 dropout passes, half shared / naive", shared, naive, self.pairs, None)

    def coverage(self) -> Ratio:
        """Return greedy coverage of 10,000 slices over the 0.3 s that it may take."""
        similarity = np.random.default_rng(0).random((50, 10_000), dtype=np.float32)
        times = [duration(lambda: cover_by_similarity(similarity, 30)) for _ in range(self.pairs)]
        ratios = tuple(seconds / 0.3 for seconds in times)
        return Ratio("greedy coverage, 10,000 slices / 0.3 s", 1.0, ratios, (float(np.median(times)), 0.3))

    def content(self) -> Ratio:
        """Return content distances by streamed Gram products over holding all features."""
        describe = _UntrainedVGG(self.runtime.device)
        images = torch.cat([case.image.transpose(0, 1) for case in self.cases])[::2].float()
        candidates = list(range(0, len(images), 5))

        @torch.no_grad()
        def direct() -> None:
            features = [
                describe(images[start : start + 8].to(self.runtime.device)) for start in range(0, len(images), 8)
            ]
            for layer in range(len(features[0])):
                flat = torch.cat([maps[layer] for maps in features]).flatten(1)
                for candidate in candidates:
                    (flat - flat[candidate]).square().mean(1)

        return compare(
            "content distance by Gram products / direct",
            lambda: content_distances(describe, images.__getitem__, len(images), candidates, self.runtime.device),
            direct,
            self.pairs,
            None,
        )

    def windows(self) -> Ratio:
        """Return the 3-D predictor over a plain sliding-window loop with the same windows."""
        preset = find_preset("quick", 3)
        plan = plan_for([self.volume.grid], 1, 3, 2 ** (len(preset.widths) - 1), 96, 32)
        model = Segmenter(SegmenterConfig(network="unet3d", widths=preset.widths, dropout=0.1))
        model.add([OLD])
        self.runtime.place(model, 3)
        predictor = Predictor(model.eval(), plan, self.runtime.device, self.runtime.autocast)
        image, _, _ = forward(self.volume, plan)

        @torch.no_grad()
        def plain() -> None:
            with self.runtime.autocast():
                sliding_window_inference(
                    image[None].float().to(self.runtime.device), plan.patch, predictor.room.batch,
                    lambda window: model.probabilities(model(window).logits), predictor.overlap, mode="gaussian",
                )  # fmt: skip

        return compare(
            "predictor / plain sliding window",
            lambda: predictor.probabilities(image, [OLD]),
            plain,
            self.pairs,
            1.0,
        )

    def _model(self, structures: list[str]) -> Segmenter:
        torch.manual_seed(0)
        model = Segmenter(self.preset.config("unet2d", 1))
        model.add(structures)
        self.runtime.place(model, 2)
        return model.eval()

    def _trainer(self, method: str) -> tuple[Trainer, TrainingPhase, torch.optim.Optimizer]:
        model = self._model([OLD])
        teacher = copy.deepcopy(model).eval()
        self.runtime.place(teacher, 2)
        model.add([NEW])
        self.runtime.place(model, 2)
        ctx = StepContext(
            model, teacher, (OLD, NEW), (NEW,), Memory(), ExemplarMemory(), PrototypeBank(), self.cases, {},
            self.runtime.device, 2, 0, self.plan,
        )  # fmt: skip
        pools = {"new": PatchPool(self.cases, (OLD, NEW), (NEW,), self.plan, "new")}
        trainer = Trainer(build_method(method, {}), ctx, pools, self.preset, 10, self.runtime, lambda: None, silent)
        phase = trainer.method.phases(trainer.ctx)[0]
        optimiser = trainer.optimiser(phase)
        return trainer, phase, optimiser


class _UntrainedVGG:
    """All convolutions of VGG16; how long they take does not depend on the weights."""

    planar = True
    version = "vgg16, untrained"

    def __init__(self, device: torch.device) -> None:
        self.network = VGG(16).eval().to(device)

    def __call__(self, image: torch.Tensor) -> list[torch.Tensor]:
        maps: list[torch.Tensor] = self.network(image.expand(-1, 3, -1, -1))
        return maps
