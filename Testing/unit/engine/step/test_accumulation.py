import re

import pytest
import torch
from tiny import DISC, FEW, SQUARE, batch, context, method, trainer

from IncrementalSegLib.engine.learn import learn
from IncrementalSegLib.engine.step.accumulation import double_micro_batches, micro_batches
from IncrementalSegLib.methods.finetune import Finetune
from IncrementalSegLib.store.versions import open_model


def holds_at_most(items, loss):
    """Wrap a method's loss so that larger batches run out of memory, as CUDA says it."""

    def limited(self, part, ctx):
        if len(part.image) > items:
            raise torch.OutOfMemoryError(f"CUDA out of memory with {len(part.image)} items")
        return loss(self, part, ctx)

    return limited


@pytest.mark.parametrize("parts", [1, 2, 3, 4, 9])
def test_parts_cover_the_batch_once(parts):
    whole = batch(context(method("lwfseg")))
    found = list(micro_batches(whole, parts))
    assert len(found) == min(parts, 4)
    assert sum(share for share, _ in found) == pytest.approx(1)
    assert torch.equal(torch.cat([part.image for _, part in found]), whole.image)
    assert torch.equal(torch.cat([part.label for _, part in found]), whole.label)
    assert sum((part.cases for _, part in found), ()) == whole.cases


@pytest.mark.parametrize("parts", [2, 3, 4])
def test_the_gradients_of_the_parts_add_up(parts):
    chosen = method("lwfseg", dice=False)
    ctx = context(chosen)
    ctx.model.eval()  # normalisation by the batch is the one thing that smaller batches change
    whole = batch(ctx)
    gradients = []
    for count in (1, parts):
        ctx.model.zero_grad()
        for share, part in micro_batches(whole, count):
            (share * sum(chosen.training_loss(part, ctx).values())).backward()
        gradients.append(
            torch.cat([value.grad.flatten() for value in ctx.model.parameters() if value.grad is not None])
        )
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-3, atol=1e-6)


def test_the_batch_is_halved_until_it_fits(monkeypatch, caplog):
    monkeypatch.setattr(Finetune, "training_loss", holds_at_most(1, Finetune.training_loss))
    chosen = method("finetune")
    loop = trainer(chosen, context(chosen, old=(), new=(DISC, SQUARE)), steps=3)
    assert loop.run().accumulate == 4
    assert loop.curve.steps == 3
    assert re.findall(r"into \d micro-batches", caplog.text) == ["into 2 micro-batches", "into 4 micro-batches"]


@pytest.mark.parametrize("name", ["pcdd", "sdr", "conuseg", "inseg"])
def test_a_batch_that_is_tried_again_counts_once_in_the_running_means(name, monkeypatch):
    counts = []
    for tight in (False, True):
        chosen = method(name)
        loop = trainer(chosen, context(chosen), steps=2)
        if tight:
            _runs_out_once(monkeypatch, type(chosen))
        for index in range(2):
            loop.step(index, chosen.phases(loop.ctx)[0], loop.optimiser(chosen.phases(loop.ctx)[0]))
        assert loop.curve.accumulate == (2 if tight else 1)
        counts.append(loop.ctx.memory.tensors[f"{name}/counts"].tolist())
        assert loop.ctx.memory.tensors.keys() == {f"{name}/means", f"{name}/counts"}
    assert counts[0] == counts[1] != [0]


def _runs_out_once(monkeypatch, kind):
    """Let the loss of the first batch run out of memory after its terms are known."""
    loss, seen = kind.training_loss, []

    def limited(self, part, ctx):
        terms = loss(self, part, ctx)
        seen.append(part)
        if len(seen) == 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return terms

    monkeypatch.setattr(kind, "training_loss", limited)


def test_what_does_not_fit_one_by_one_ends_the_step_as_a_crash(monkeypatch):
    monkeypatch.setattr(Finetune, "training_loss", holds_at_most(0, Finetune.training_loss))
    chosen = method("finetune")
    with pytest.raises(torch.OutOfMemoryError):
        trainer(chosen, context(chosen, old=(), new=(DISC,)), steps=1).run()


def test_a_part_of_one_item_is_the_last():
    assert double_micro_batches(1, 8) == 2
    assert double_micro_batches(4, 5) == 5
    assert double_micro_batches(8, 8) is None


def test_the_version_says_it(monkeypatch, small_presets, data, tmp_path):
    monkeypatch.setattr(Finetune, "training_loss", holds_at_most(1, Finetune.training_loss))
    learn(tmp_path / "model", data / "humerus", "humerus", options=FEW, preset="quick", steps=2, device="cpu")
    step = open_model(tmp_path / "model").record().step
    assert (step["batch"], step["accumulate"]) == (2, 2)
