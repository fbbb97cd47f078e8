"""LwF for instances: the distillation written out, and the teacher of one scan after another."""

import pytest
import torch
from tiny import batch, changed, context, method

from IncrementalSegLib.networks.dropout import ChannelDropout


def moved(**options):
    """Return the method, a step that improves the two structures of a model, and the model moved since."""
    chosen = method("lwf-instances", **options)
    ctx = context(chosen, improve=True)
    shift(ctx)
    return chosen, ctx


@torch.no_grad()
def shift(ctx):
    ctx.model.eval()
    for weight in ctx.model.parameters():
        weight.mul_(1.1)


@pytest.mark.parametrize(("weight", "temperature"), [(1.0, 2.0), (3.0, 1.0)])
def test_all_outputs_are_distilled_with_the_papers_weight_and_temperature(weight, temperature):
    chosen, ctx = moved(distillation=weight, temperature=temperature)
    drawn = batch(ctx)
    drawn.ignore[:, :9] = True
    before, now = (run(drawn.image).logits / temperature for run in (ctx.teacher, ctx.model))
    voxels = -(before.softmax(1) * now.log_softmax(1)).sum(1)
    expected = weight * temperature**2 * voxels[:, 9:].mean()
    found = chosen.training_loss(drawn, ctx)
    torch.testing.assert_close(found["distillation"], expected)
    assert set(found) == {"cross_entropy", "dice", "distillation"}


def test_the_model_before_a_scan_is_its_teacher():
    chosen, ctx = moved(dice=False)
    drawn = batch(ctx)

    def slope():
        """Return the largest gradient of the distillation; it is 0 where the model is the teacher."""
        ctx.model.zero_grad()
        ChannelDropout.seed(ctx.model, torch.Generator().manual_seed(0))
        chosen.training_loss(drawn, ctx)["distillation"].backward()
        return max(float(weight.grad.abs().max()) for weight in ctx.model.parameters())

    version = {name: value.clone() for name, value in ctx.teacher_model.state_dict().items()}
    assert slope() > 1e-3
    chosen.next_scan(ctx)
    assert slope() < 1e-5
    shift(ctx)
    assert slope() > 1e-3
    assert changed(version, dict(ctx.teacher_model.state_dict())) == set()
    chosen.remember(ctx)
    assert ctx.memory.tensors == {}
