"""REMINDER: old classes weigh by their likeness to the batch's new structures."""

import pytest
import torch
from tiny import BAR, DISC, SQUARE, batch, cases, context, method
from torch.nn import functional as F

from IncrementalSegLib.losses.similarity import similarity_weighted_distillation
from IncrementalSegLib.prototypes.bank import BACKGROUND


@pytest.fixture
def step():
    ctx = context(method("reminder"), new=(SQUARE, BAR), scans=cases((SQUARE, BAR), 2))
    ctx.model.eval()
    return ctx, batch(ctx)


def expected(ctx, drawn, delta=0.0):
    """The term from its definition: means of the new structures in the batch, cosines, softmax."""
    output, teacher = ctx.model(drawn.image), ctx.teacher(drawn.image)
    masks = [drawn.label[:, ctx.structures.index(item)].bool() for item in (SQUARE, BAR)]
    features = output.features.decoder.detach().movedim(1, -1)
    old = torch.stack([ctx.prototypes[key].mean.float() for key in (BACKGROUND, DISC)])
    means = [features[mask].mean(0) if mask.any() else torch.zeros(features.shape[-1]) for mask in masks]
    weights = torch.stack([F.cosine_similarity(mean[None], old) for mean in means]).softmax(1)
    weights = torch.where(weights < delta / 2, 0.0, weights)
    label = torch.where(masks[1], 1, torch.where(masks[0], 0, -1))
    return similarity_weighted_distillation(output.logits[:, :2], teacher.logits, label, weights, 3.0)


@pytest.mark.parametrize("delta", [0.0, 1.0])
def test_the_term_follows_its_definition(step, delta):
    found = method("reminder", delta=delta).training_loss(step[1], step[0])["similarity"]
    torch.testing.assert_close(found, 0.5 * expected(*step, delta), rtol=1e-5, atol=1e-7)


def test_a_structure_absent_from_the_batch_is_no_nan(step):
    """Public code stops with "NaN in prototype" (A0.5, 9)."""
    ctx, drawn = step
    drawn.label[:, ctx.structures.index(BAR)] = 0
    found = method("reminder").training_loss(drawn, ctx)["similarity"]
    torch.testing.assert_close(found, 0.5 * expected(ctx, drawn), rtol=1e-5, atol=1e-7)
    drawn.label.zero_()
    assert method("reminder").training_loss(drawn, ctx)["similarity"].item() == 0


def test_without_it_it_is_plop(step):
    terms = method("reminder", similarity=0).training_loss(step[1], step[0])
    step[0].memory.data["plop/thresholds"] = step[0].memory.data["reminder/thresholds"]
    assert terms == method("plop").training_loss(step[1], step[0])
