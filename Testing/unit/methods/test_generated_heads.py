"""Generated heads: scans of several sources at once, and the sigmoid of the previous model in later steps."""

import pytest
import torch
from tiny import BAR, DISC, SQUARE, batch, cases, context, method
from torch.nn import functional as F

METHODS = ["dodnet", "clip-driven"]


@pytest.mark.parametrize("name", METHODS)
def test_each_scan_teaches_only_what_was_looked_for_in_it(name):
    chosen = method(name)
    sources = [*cases((SQUARE,), 2), *cases((BAR,), 2, seed=1)]
    ctx = context(chosen, old=(), new=(SQUARE, BAR), scans=sources)
    drawn = batch(ctx, seed=1)
    assert (drawn.looked_for.sum(1) == 1).all()
    assert drawn.looked_for.any(0).all()
    ctx.model.eval()
    terms = chosen.training_loss(drawn, ctx)
    scores = ctx.model(drawn.image).logits
    rows = [
        F.binary_cross_entropy_with_logits(scores[known, row], drawn.label[known, row].float())
        for row, known in enumerate(drawn.looked_for.T)
    ]
    assert set(terms) == {"cross_entropy", "dice"}
    torch.testing.assert_close(terms["cross_entropy"], torch.stack(rows).mean())


@pytest.mark.parametrize("name", METHODS)
def test_a_later_step_distils_the_sigmoid_of_the_previous_model(name):
    chosen, without = method(name), method(name, distillation=0)
    ctx = context(chosen)
    drawn = batch(ctx)
    ctx.model.eval()
    terms = chosen.training_loss(drawn, ctx)
    before = ctx.teacher(drawn.image, (DISC,)).logits.sigmoid()
    now = ctx.model(drawn.image, (DISC,)).logits
    torch.testing.assert_close(terms["distillation"], F.binary_cross_entropy_with_logits(now, before))
    assert "distillation" not in without.training_loss(drawn, ctx)


@pytest.mark.parametrize("name", METHODS)
def test_a_new_structure_leaves_the_old_outputs_as_they_were(name):
    ctx = context(method(name))
    image = batch(ctx).image
    ctx.model.eval()
    assert torch.equal(ctx.model(image, (DISC,)).logits, ctx.teacher(image, (DISC,)).logits)
