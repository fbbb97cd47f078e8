"""Throughput: both sides of a pair do the same work, on batches that fill the network's patches."""

from __future__ import annotations

import pytest
import torch

from IncrementalSegLib.engine.runtime import start
from Testing.benchmarks import throughput
from Testing.benchmarks.bench import Bench


@pytest.mark.parametrize(("dimension", "shape"), [(2, (8, 1, 128, 128)), (3, (2, 1, 64, 64, 64))])
def test_batches_fill_the_patches_of_the_preset(dimension, shape) -> None:
    bench = throughput.bench_of(Bench(start("cpu")), dimension, "quick")
    step = bench.step("finetune")
    assert step.batch.image.shape == shape
    assert float(step.batch.ignore.float().mean()) < 0.2  # turned in from outside


def test_the_bare_network_sees_the_batch_of_the_step() -> None:
    step = Bench(start("cpu")).step("finetune")
    model = step.trainer.ctx.model
    seen = []
    model.register_forward_hook(lambda _, inputs, output: seen.append((inputs[0], output.logits)))
    throughput.bare(step)()
    assert len(seen) == 1
    assert torch.equal(seen[0][0], step.batch.image)
    assert all(item.grad is not None for item in model.parameters())


def test_inference_is_that_of_the_sliding_window() -> None:
    pair = throughput.windows(Bench(start("cpu")))
    ours, theirs = pair.one(), pair.other()
    torch.testing.assert_close(ours, theirs[0].float(), rtol=0, atol=1e-3)
