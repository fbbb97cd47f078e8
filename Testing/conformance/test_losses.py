"""What the loss of every registered method sees: labels, unknown voxels, exemplars and unlabelled scans."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from every_method import METHODS, family, gradients, loss_of, needs, sources
from tiny import BAR, DISC, SQUARE, batch, bits, cases, changed, context, method

from IncrementalSegLib.registry import find

REHEARSING = [name for name in METHODS if needs(name, "exemplars")]
DRAWING = [name for name in METHODS if find("method", name).draws_unlabelled]


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize(("first", "dimension"), [(True, 2), (False, 2), (False, 3)], ids=["first", "2d", "3d"])
def test_loss_is_finite_and_teaches_the_new_output(name, dimension, first):
    chosen = method(name)
    ctx = context(chosen, old=() if first else (DISC,), dimension=dimension)
    terms = chosen.training_loss(batch(ctx), ctx)
    assert terms
    assert all(term.ndim == 0 and math.isfinite(term.item()) for term in terms.values())
    with torch.no_grad():  # of two factors, one may begin at 0
        for value in ctx.model.parameters():
            value.add_(0.01)
    loss_of(chosen, ctx, batch(ctx))
    assert all(parameter.grad.abs().any() for parameter in ctx.model.output.part(SQUARE).parameters())
    trunk = ctx.model.trunks[ctx.model.trunk_of[SQUARE]]
    assert all(parameter.grad is not None and parameter.grad.abs().any() for parameter in trunk.parameters())


@pytest.mark.parametrize("name", METHODS)
def test_it_works_in_mixed_precision(name):
    chosen = method(name)
    ctx = context(chosen)
    for source in sources(name):
        with torch.autocast("cpu", torch.bfloat16):
            total = loss_of(chosen, ctx, batch(ctx, source))
        assert math.isfinite(total)
        assert all(torch.isfinite(grad).all() for grad in gradients(ctx.model).values())


@pytest.mark.parametrize("name", METHODS)
def test_what_was_not_looked_for_is_not_background(name):
    """Labels under a False flag are turned over: not one bit of loss or gradient may change."""
    chosen = method(name)
    both = [*cases((SQUARE,), 2), *cases((BAR,), 2), *cases((SQUARE, BAR), 1)]
    ctx = context(chosen, new=(SQUARE, BAR), scans=both)
    for source in sources(name):
        drawn = batch(ctx, source)
        known = drawn.looked_for.view(*drawn.looked_for.shape, 1, 1)
        assert not known.all()
        turned = replace(drawn, label=torch.where(known, drawn.label, 1 - drawn.label))
        assert not torch.equal(turned.label, drawn.label)
        found = [(loss_of(chosen, ctx, item), gradients(ctx.model)) for item in (drawn, turned)]
        assert torch.equal(found[0][0], found[1][0])
        assert all(torch.equal(grad, found[1][1][key]) for key, grad in found[0][1].items())


@pytest.mark.parametrize("name", METHODS)
def test_what_was_looked_for_counts_even_where_it_is_absent(name):
    chosen = method(name)
    ctx = context(chosen)
    drawn = batch(ctx)
    empty = replace(drawn, label=torch.zeros_like(drawn.label))
    unknown = replace(empty, looked_for=torch.zeros_like(drawn.looked_for))
    totals = {loss_of(chosen, ctx, item).item() for item in (drawn, empty, unknown)}
    assert len(totals) == 3


@pytest.mark.parametrize("name", METHODS)
def test_ignored_voxels_have_no_effect(name):
    chosen = method(name)
    ctx = context(chosen)
    for source in sources(name):
        drawn = batch(ctx, source)
        ignore = drawn.ignore.clone()
        ignore[:, :16] = True
        label = drawn.label.clone()
        label[:, :, :16] = 1 - label[:, :, :16]
        one, other = replace(drawn, ignore=ignore), replace(drawn, ignore=ignore, label=label)
        assert torch.equal(loss_of(chosen, ctx, one), loss_of(chosen, ctx, other))
        assert not torch.equal(loss_of(chosen, ctx, one), loss_of(chosen, ctx, drawn))


@pytest.mark.parametrize("name", [name for name in REHEARSING if family(name) == "heads"])
def test_exemplars_need_no_labels_and_leave_the_new_output_alone(name):
    chosen = method(name)
    ctx = context(chosen, keep_labels=False)
    assert all(scan.structures == () for scan in chosen.rehearsal(ctx))
    drawn = batch(ctx, "exemplar")
    assert not drawn.looked_for.any()
    before = bits(ctx.model.output.part(SQUARE))
    loss_of(chosen, ctx, drawn)
    assert gradients(ctx.model.output.part(SQUARE)) == {}
    assert all(parameter.grad.abs().any() for parameter in ctx.model.output.part(DISC).parameters())
    assert changed(before, bits(ctx.model.output.part(SQUARE))) == set()
    labelled = replace(drawn, label=torch.ones_like(drawn.label), looked_for=torch.ones_like(drawn.looked_for))
    assert torch.equal(loss_of(chosen, ctx, labelled), loss_of(chosen, ctx, drawn))


@pytest.mark.parametrize("name", DRAWING)
def test_unlabelled_scans_hold_what_the_previous_model_knows_and_have_no_labels(name):
    chosen = method(name)
    plain, other = context(chosen, improve=True), context(chosen, improve=True)  # nothing is old
    assert set(chosen.sources(plain)) == {"new", "unlabelled"}
    drawn = batch(plain)
    none = replace(drawn, source="unlabelled", looked_for=torch.zeros_like(drawn.looked_for))
    with torch.no_grad():
        for value in other.teacher_model.parameters():
            value.add_(torch.randn(value.shape, generator=torch.Generator().manual_seed(1)))
    turned = replace(none, label=1 - none.label)
    assert torch.equal(loss_of(chosen, plain, none), loss_of(chosen, plain, turned))
    assert not torch.equal(loss_of(chosen, plain, none), loss_of(chosen, other, none))
    assert all(grad.isfinite().all() for grad in gradients(plain.model).values())
    assert "unlabelled" not in chosen.sources(context(chosen, old=()))
