"""Replay is MiB, and exemplars that teach what was looked for in them."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from tiny import BAR, DISC, batch, context, method, trainer

from IncrementalSegLib.losses.classes import unbiased_cross_entropies
from IncrementalSegLib.methods.base.softmax_classes import columns


def still(name, **options):
    """Return a method and its step, with a model that has moved since the step began."""
    chosen = method(name, **options)
    ctx = context(chosen)
    ctx.model.eval()
    with torch.no_grad():
        ctx.model.trunks[0].down[0][0].conv.weight.mul_(1.5)
    return chosen, ctx


def test_it_is_mib_with_rehearsal():
    (replay, ctx), (mib, other) = still("replay"), still("mib", rehearsal=True)
    assert replay.sources(ctx) == mib.sources(other)
    assert [item.id for item in replay.rehearsal(ctx)] == [item.id for item in mib.rehearsal(ctx)]
    for source in ("new", "exemplar"):
        drawn = batch(ctx, source)
        mine, theirs = replay.training_loss(drawn, ctx), mib.training_loss(drawn, other)
        assert mine.keys() == theirs.keys()
        assert all(torch.equal(mine[name], theirs[name]) for name in mine)


@pytest.mark.parametrize("name", ["mib", "pcdd", "sdr"])
def test_other_methods_rehearse_on_request_alone(name):
    plain, asked = method(name), method(name, rehearsal=True)
    ctx = context(plain)
    assert (plain.required(), plain.rehearsal(ctx), plain.sources(ctx)) == (plain.needs, [], {"new": 1.0})
    assert asked.required() == plain.needs | {"exemplars"}
    assert {item for scan in asked.rehearsal(ctx) for item in scan.structures} == {DISC}
    assert asked.sources(ctx)["exemplar"] == 0.5
    trained = trainer(asked, ctx, 12)
    trained.run()
    assert all(math.isfinite(value) for point in trained.curve.points for value in point.values() if value is not None)


def test_on_new_scans_it_is_mib():
    (replay, ctx), (mib, other) = still("replay"), still("mib")
    mine, theirs = (chosen.training_loss(batch(one), one) for chosen, one in ((replay, ctx), (mib, other)))
    assert set(mine) == set(theirs) == {"cross_entropy", "dice", "distillation"}
    for name, value in mine.items():
        assert torch.equal(value, theirs[name])


def test_exemplars_teach_by_their_labels():
    chosen, ctx = still("replay")
    drawn = batch(ctx, "exemplar")
    row = ctx.structures.index(DISC)
    assert drawn.looked_for[:, row].all()
    assert drawn.looked_for.sum(1).eq(1).all()
    terms = chosen.training_loss(drawn, ctx)
    logits = ctx.model(drawn.image).logits
    (column,) = columns(ctx.model, [DISC])
    truth = drawn.label[:, row].long() * column
    hidden = torch.ones(logits.shape[:2], dtype=torch.bool)
    hidden[:, column] = False  # it was looked for, so it is not under what is unlabelled
    each = unbiased_cross_entropies(logits, truth, hidden)
    assert terms["cross_entropy"].item() == pytest.approx(each[~drawn.ignore].mean().item(), rel=1e-5)
    found = logits.softmax(1)[:, column][~drawn.ignore]
    shape = truth[~drawn.ignore] == column
    assert terms["dice"].item() == pytest.approx(
        1 - (2 * (found * shape).sum() / (found.sum() + shape.sum())).item(), abs=0.01
    )
    turned = chosen.training_loss(replace(drawn, label=1 - drawn.label), ctx)
    assert turned["cross_entropy"] > terms["cross_entropy"]
    assert torch.equal(turned["distillation"], terms["distillation"])


def test_half_of_the_batches_are_exemplars_of_all_old_structures():
    chosen = method("replay", rehearse=1)
    ctx = context(chosen, old=(DISC, BAR))
    assert chosen.sources(ctx) == {"new": 0.5, "exemplar": 0.5}
    assert {item for scan in chosen.rehearsal(ctx) for item in scan.structures} >= {DISC, BAR}
