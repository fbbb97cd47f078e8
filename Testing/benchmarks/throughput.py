"""Time of data and bookkeeping beside the network's: ``python -m Testing.benchmarks.throughput OUT.json``.

As in :mod:`.speed`: the median of alternating pairs in one process, with quartiles.  Run it alone, on a CPU on one
thread.  A CPU is measured with the preset ``quick``, a GPU with every preset.  With ``--trained FOLDER`` (a folder that
nnU-Net v2 trained; nnunetv2 must be installed) inference is compared with nnU-Net's own predictor, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from itertools import chain, count, product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, get_args

import torch
import typer
from monai.inferers import sliding_window_inference

from IncrementalSegLib.cli.output import Device, progress_bar
from IncrementalSegLib.engine.adoption.adopt import adopt_nnunet
from IncrementalSegLib.engine.models import load
from IncrementalSegLib.engine.runtime import start
from IncrementalSegLib.engine.settings import PresetName
from IncrementalSegLib.engine.step.presets import find_preset
from IncrementalSegLib.inference.predictor import Predictor
from IncrementalSegLib.inference.windows import OVERLAP
from IncrementalSegLib.preprocessing.pipeline import forward
from IncrementalSegLib.store.versions import open_model
from IncrementalSegLib.types import Dimension
from Testing.benchmarks.bench import Bench, TrainingStep
from Testing.benchmarks.command import run_command
from Testing.benchmarks.speed import Pair, ratios, report

DIMENSIONS: tuple[Dimension, ...] = (2, 3)

DEPTH = 24
"""Slices of a phantom for a 2-D network."""


def main(
    out: Annotated[Path, typer.Argument(metavar="FILE", help="JSON file to write.")],
    trained: Annotated[Path | None, typer.Option(metavar="FOLDER", help="A folder that nnU-Net v2 trained.")] = None,
    pairs: Annotated[int, typer.Option(min=1, metavar="N", help="Alternating pairs of each figure.")] = 15,
    device: Device = "auto",
) -> None:
    """Measure what data and bookkeeping add to the time of the network; run it alone, on a CPU on one thread."""
    bench = Bench(start(device))
    with progress_bar() as progress, TemporaryDirectory() as folder:
        timed = throughput_pairs(bench)
        if trained is not None:
            timed = chain(timed, [against_nnunet(bench, trained, Path(folder) / "model")])
        report(out, ratios(bench.runtime, timed, pairs, progress))


def throughput_pairs(bench: Bench) -> Iterator[Pair]:
    """Yield training with its data over training on a ready batch, and inference over MONAI's sliding window."""
    fast = bench.runtime.device.type == "cuda"
    for preset, dimension in product(get_args(PresetName) if fast else ["quick"], DIMENSIONS):
        yield from training_pairs(bench_of(bench, dimension, preset), 1 / 0.85 if fast else 1.05)
    yield windows(bench)


def bench_of(bench: Bench, dimension: Dimension, preset: str) -> Bench:
    """Return a bench on the same device whose phantoms fill the patches of a preset."""
    side = find_preset(preset, dimension).patch_side
    return Bench(bench.runtime, dimension, preset, (DEPTH if dimension == 2 else side, side, side))


def training_pairs(bench: Bench, limit: float) -> Iterator[Pair]:
    """Yield, over a step on a ready batch: a step that draws its data, the data alone, and the bare network."""
    step, title = bench.step("finetune"), f"{bench.preset.name}, {bench.dimension}-D: "
    numbers = count()

    def with_data() -> None:
        step.trainer.step(next(numbers), step.phase, step.optimiser)

    yield Pair(f"{title}step with data / on a ready batch", with_data, step.update, limit)
    yield Pair(f"{title}data / step", lambda: step.trainer.batch(next(numbers)), step.update)
    yield Pair(f"{title}bare network / step", bare(step), step.update)


def bare(step: TrainingStep) -> Callable[[], None]:
    """Return forward and backward of the network alone, on the batch of a step."""
    model, runtime = step.trainer.ctx.model, step.trainer.runtime

    def run() -> None:
        model.train()
        model.zero_grad(set_to_none=True)
        with runtime.autocast():
            logits = model(step.batch.image).logits
        logits.float().mean().backward()

    return run


def windows(bench: Bench) -> Pair:
    """Return 3-D inference over MONAI's sliding window with the same network and windows."""
    bench = Bench(bench.runtime, 3, size=(48, 96, 96))
    model, plan = bench.model(["0" * 32]), bench.plan
    predictor = Predictor(model, plan, bench.runtime.device, bench.runtime.autocast)
    image, _, _ = forward(bench.scans[0][0], plan)

    @torch.no_grad()
    def plain() -> object:
        with bench.runtime.autocast():
            return sliding_window_inference(
                image[None].float().to(bench.runtime.device),
                plan.patch,
                predictor.budget.batch,
                lambda window: model.probabilities(model(window).logits),
                OVERLAP,
                mode="gaussian",
            )

    return Pair("inference / plain sliding window", partial(predictor.probabilities, image, ["0" * 32]), plain, 1.0)


def against_nnunet(bench: Bench, trained: Path, model: Path) -> Pair:
    """Return the inference of an adopted network over nnU-Net's own, without mirroring, on a scan of twice its patch.

    Args:
        bench: The device.
        trained: Folder of nnU-Net v2 with a trained network.
        model: Where the adopted model is written.
    """
    nnunet = import_module("nnunetv2.inference.predict_from_raw_data")  # no dependency
    adopt_nnunet(trained, model)
    loaded = load(open_model(model), bench.runtime)
    folds = [name.removeprefix("fold_") for name in sorted(path.name for path in trained.glob("fold_*"))]
    theirs = nnunet.nnUNetPredictor(use_mirroring=False, device=bench.runtime.device, allow_tqdm=False)
    theirs.initialize_from_trained_model_folder(str(trained), folds)
    image = torch.randn(loaded.plan.channels, *(2 * side for side in loaded.plan.patch))
    return Pair(
        "inference of an adopted network / by nnU-Net",
        partial(loaded.predictor(bench.runtime).probabilities, image, loaded.segmenter.structures),
        partial(theirs.predict_logits_from_preprocessed_data, image),
        0.8,
    )


if __name__ == "__main__":
    run_command(main)
