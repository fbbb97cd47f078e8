"""Speed of generated heads: both sides of a pair do the same work."""

from __future__ import annotations

import torch

from IncrementalSegLib.engine.runtime import start
from Testing.benchmarks.bench import Bench
from Testing.benchmarks.generated_speed import scores


def test_passes_one_by_one_give_what_one_pass_gives() -> None:
    bench = Bench(start("cpu"))
    alone, together = scores(bench, "dodnet", 3, one_by_one=True), scores(bench, "dodnet", 3)
    torch.testing.assert_close(alone(), together(), rtol=0.05, atol=0.05)  # in mixed precision
    assert together().shape[1] == 3
