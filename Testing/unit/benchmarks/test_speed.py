"""Speed: both sides of a pair do the same work, and all methods get the same batch."""

from __future__ import annotations

import pytest
import torch

from IncrementalSegLib.engine.runtime import start
from Testing.benchmarks import speed
from Testing.benchmarks.bench import Bench


@pytest.mark.parametrize("number", [0, 1])
def test_the_plain_form_of_a_loss_has_its_value(number: int) -> None:
    _, fused, plain = speed.losses(torch.device("cpu"))[number]
    torch.testing.assert_close(fused(), plain())


def test_what_the_backward_pass_keeps_is_counted_once() -> None:
    value = torch.randn(100, requires_grad=True)
    for loss, kept in ((value.square, 400), (lambda: value.exp() + value.exp(), 800)):
        assert speed.kept_bytes(loss) == kept


def test_methods_are_timed_on_the_same_batch_of_the_new_structures() -> None:
    bench = Bench(start("cpu"))
    one, other = bench.step("pcdd", old=4, new=2), bench.step("mib", old=4, new=2)
    assert torch.equal(one.batch.image, other.batch.image)
    ctx = one.trainer.ctx
    assert (len(ctx.old), len(ctx.new)) == (4, 2)
    assert one.batch.looked_for.sum(0).tolist() == [0] * 4 + [len(one.batch.image)] * 2
    assert bool(torch.isfinite(one.loss()))
