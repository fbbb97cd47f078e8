"""Share of each loss term in the gradient: ``python -m Testing.benchmarks.gradients OUT.json --methods mib,pcdd``.

A term whose gradient is a hundredth of the others' decides nothing, whatever its value.  Each method teaches a model
some structures of phantoms and begins a second step with two more; after a number of optimiser steps the terms are
differentiated one by one.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Annotated

import torch
import typer
from torch import Tensor

from IncrementalSegLib.cli.output import Device, print_table, progress_bar
from IncrementalSegLib.engine.runtime import start
from IncrementalSegLib.files import write_json
from IncrementalSegLib.methods.base.context import StepContext
from IncrementalSegLib.progress import Progress, silent
from IncrementalSegLib.sampling.phantom import STRUCTURES
from IncrementalSegLib.types import Json
from Testing.benchmarks.bench import Bench, TrainingStep
from Testing.benchmarks.command import run_command
from Testing.benchmarks.protocols.pcdd2026 import read
from Testing.benchmarks.variants import Variant, find_variants

NEW = 2
"""Structures of the second step."""


def main(
    out: Annotated[Path, typer.Argument(metavar="FILE", help="JSON file to write.")],
    methods: Annotated[str, typer.Option(metavar="NAMES", help="METHOD or METHOD+OPTION=VALUE, comma-separated.")],
    old: Annotated[int, typer.Option(min=1, max=len(STRUCTURES) - NEW, metavar="N", help="Old structures.")] = 4,
    first: Annotated[int, typer.Option(min=1, metavar="N", help="Optimiser steps of the first step.")] = 150,
    steps: Annotated[int, typer.Option(min=0, metavar="N", help="Optimiser steps of the second one.")] = 50,
    batches: Annotated[int, typer.Option(min=1, metavar="N", help="Batches over which is averaged.")] = 8,
    device: Device = "auto",
) -> None:
    """Share of each term of a method's loss in the gradient of the trunk."""
    protocol = read("phantom-3-2")
    assert protocol is not None
    variants = find_variants(methods, replace(protocol, first=""))  # of any family
    bench = Bench(start(device))
    with progress_bar() as progress:
        found = {item.name: gradient_shares(bench, item, old, first, steps, batches, progress) for item in variants}
    numbers = {"old": old, "new": NEW, "first": first, "steps": steps, "batches": batches}
    write_json(out, {"device": bench.runtime.name, "precision": bench.runtime.precision} | numbers | {"methods": found})
    rows = [
        (name, term, f"{item['loss']:.4g}", f"{item['norm']:.3g}", f"{item['share']:.3f}")
        for name, terms in found.items()
        for term, item in terms.items()
    ]
    print_table(f"After {steps} steps", ("method", "term", "loss", "gradient", "share"), rows)


def gradient_shares(
    bench: Bench, variant: Variant, old: int, first: int, steps: int, batches: int, progress: Progress = silent
) -> Json:
    """Teach ``old`` structures, train on two more, and measure each term on batches of these.

    Returns:
        By term ``loss``, its value; ``norm``, the Euclidean norm of its gradient in the trunk; ``share``, that norm
        over the sum of all terms' norms; each a mean over batches.
    """
    before = bench.step(variant.method, 0, old, variant.options)
    _train(before, first, f"{variant.name}: first step", progress)
    before.trainer.method.remember(before.trainer.ctx)
    step = bench.step(variant.method, old, NEW, variant.options, before.trainer.ctx)
    _train(step, steps, f"{variant.name}: second step", progress)
    measured = [_norms(step, steps + number) for number in range(batches)]
    return {
        name: {
            "loss": fmean(terms[name][0] for terms in measured),
            "norm": fmean(terms[name][1] for terms in measured),
            "share": fmean(terms[name][1] / (sum(norm for _, norm in terms.values()) or 1.0) for terms in measured),
        }
        for name in measured[0]
    }


def _train(step: TrainingStep, count: int, title: str, progress: Progress) -> None:
    for number in range(count):
        step.trainer.step(number, step.phase, step.optimiser)
        progress(title, (number + 1) / count)


def _norms(step: TrainingStep, index: int) -> dict[str, tuple[float, float]]:
    """Return value and gradient norm of each term on batch ``index``."""
    trainer = step.trainer
    with trainer.runtime.autocast():
        terms = trainer.method.training_loss(trainer.batch(index), trainer.ctx)
    return {name: (float(term.detach()), _norm(term, trainer.ctx)) for name, term in terms.items()}


def _norm(term: Tensor, ctx: StepContext) -> float:
    if not term.requires_grad:
        return 0.0
    parameters = list(ctx.model.trunks.parameters())
    gradients = torch.autograd.grad(term, parameters, retain_graph=True, allow_unused=True)
    squares = [gradient.double().square().sum() for gradient in gradients if gradient is not None]
    return float(torch.stack(squares).sum().sqrt()) if squares else 0.0


if __name__ == "__main__":
    run_command(main)
