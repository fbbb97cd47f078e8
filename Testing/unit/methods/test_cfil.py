"""CFIL: its loss against plain loops, what holds the previous model, and the directions of new structures."""

import logging
import math
from dataclasses import replace

import pytest
import torch
from tiny import BAR, DISC, SQUARE, batch, cases, context, method
from torch.nn import functional as F

from IncrementalSegLib.networks.outputs.embedding import TEMPERATURE
from IncrementalSegLib.networks.text import TextEmbedding, seeded_direction


def unlabelled(ctx):
    """Return a batch of scans in which nobody looked for anything."""
    drawn = batch(ctx)
    nothing = {"label": torch.zeros_like(drawn.label), "looked_for": torch.zeros_like(drawn.looked_for)}
    return replace(drawn, source="unlabelled", **nothing)


def two_sources():
    """Return a first step with scans of two sources, each annotated for one of three structures."""
    chosen = method("cfil", dice=False)
    ctx = context(chosen, old=(), new=(SQUARE, BAR, DISC), scans=[*cases((SQUARE,), 2), *cases((BAR,), 2, seed=1)])
    ctx.model.eval()
    return chosen, ctx, batch(ctx, seed=1)


def test_the_loss_of_labels_equals_a_loop_over_voxels():
    chosen, ctx, drawn = two_sources()
    assert not drawn.looked_for.all(0).any()
    cosines = ctx.model(drawn.image).logits * TEMPERATURE
    losses = []
    for item in range(len(drawn.image)):
        for row in range(0, 32, 5):
            for column in range(0, 32, 5):
                powers = [math.exp(value / 0.1) for value in cosines[item, :, row, column].tolist()]
                labelled = [k for k in range(3) if drawn.looked_for[item, k] and drawn.label[item, k, row, column]]
                possible = [1 + labelled[0]] if labelled else [0]
                if not labelled:  # the background, or whatever nobody looked for
                    possible += [1 + k for k in range(3) if not drawn.looked_for[item, k]]
                losses.append(-math.log(sum(powers[k] for k in possible) / sum(powers)))
    keep = torch.zeros(32, 32, dtype=torch.bool)
    keep[::5, ::5] = True
    thinned = replace(drawn, ignore=drawn.ignore | ~keep)
    terms = chosen.training_loss(thinned, ctx)
    assert set(terms) == {"cross_entropy"}
    assert terms["cross_entropy"].item() == pytest.approx(sum(losses) / len(losses), rel=1e-4)


def test_distillation_on_new_scans_equals_a_loop_over_voxels():
    chosen = method("cfil", distillation=1)
    ctx = context(chosen)
    drawn = batch(ctx)
    ctx.model.eval()
    now, before = ctx.model(drawn.image).logits.softmax(1), ctx.teacher(drawn.image).logits.softmax(1)
    losses = []
    for voxel, target in zip(now.movedim(1, -1).reshape(-1, 3), before.movedim(1, -1).reshape(-1, 2), strict=True):
        background, disc, square = voxel.tolist()
        losses.append(-(target[0] * math.log(background + square) + target[1] * math.log(disc)) / 2)
    term = chosen.training_loss(drawn, ctx)["distillation"]
    torch.testing.assert_close(term, torch.stack(losses).mean(), rtol=1e-4, atol=1e-5)


def test_unlabelled_scans_distil_everything_that_the_previous_model_knows():
    chosen = method("cfil", distillation=1)
    ctx = context(chosen, improve=True)  # nothing is old: the new scans alone distil the disc
    ctx.model.eval()
    terms = chosen.training_loss(unlabelled(ctx), ctx)
    assert set(terms) == {"distillation"}
    image = batch(ctx).image
    now, before = ctx.model(image).logits, ctx.teacher(image).logits
    expected = -(before.softmax(1) * now.log_softmax(1)).sum(1).mean() / 3
    torch.testing.assert_close(terms["distillation"], expected)


def test_unlabelled_scans_are_drawn_only_where_there_is_a_previous_model():
    chosen = method("cfil", p_unlabelled=0.25)
    assert chosen.sources(context(chosen)) == {"new": 0.75, "unlabelled": 0.25}
    assert chosen.sources(context(chosen, old=())) == {"new": 1.0}


def test_feature_distillation_is_one_minus_the_cosine_of_the_feature_vectors():
    chosen = method("cfil", feature_distillation=1)
    ctx = context(chosen)
    ctx.model.eval()
    drawn = batch(ctx)
    assert chosen.training_loss(drawn, ctx)["features"].item() == pytest.approx(0, abs=1e-5)
    with torch.no_grad():
        for value in ctx.model.parameters():
            value.add_(0.02 * torch.randn(value.shape, generator=torch.Generator().manual_seed(1)))
    vectors = []
    for model in (ctx.model, ctx.teacher_model):
        features = model(drawn.image).features.decoder
        hidden = model.output.layers["hidden"](features).relu()
        vectors.append(F.normalize(model.output.layers["project"](hidden), dim=1))
    expected = 1 - (vectors[0] * vectors[1]).sum(1)
    term = chosen.training_loss(drawn, ctx)["features"]
    torch.testing.assert_close(term, expected[~drawn.ignore].mean(), atol=1e-5, rtol=1e-4)
    assert term > 0.001


def test_directions_come_from_the_names_and_a_twin_is_told(caplog):
    chosen = method("cfil")
    ctx = context(chosen)
    output = ctx.model.output
    before = output.directions.clone()
    ctx.model.remove(SQUARE)
    ctx.text = {
        SQUARE: TextEmbedding("left kidney", seeded_direction("kidney"), "table"),
        BAR: TextEmbedding("right kidney", seeded_direction("kidney"), "table"),
    }
    with caplog.at_level(logging.WARNING):
        chosen.grow(ctx.model, (SQUARE, BAR), ctx)
    assert torch.equal(output.directions[0], before[0])
    assert [output.places[item].source for item in (SQUARE, BAR)] == ["table", "seeded"]
    assert output.directions[1] @ torch.tensor(seeded_direction("kidney")).float() > 0.99
    assert "'right kidney' lies in the span of earlier ones" in caplog.text
    assert "left kidney" not in caplog.text


def test_no_structure_is_confused_by_the_order_in_which_it_was_removed():
    chosen = method("cfil")
    ctx = context(chosen, old=(DISC, SQUARE), new=(BAR,))
    ctx.model.eval()
    image = batch(ctx).image
    before = ctx.model(image).logits
    ctx.model.remove(DISC)
    torch.testing.assert_close(ctx.model(image).logits, before[:, [0, 2, 3]])
