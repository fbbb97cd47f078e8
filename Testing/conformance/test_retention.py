"""What every registered method keeps of earlier steps, and what it says of that."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from every_method import METHODS, family, gradients, learned, loss_of, part, run, sources
from tiny import BAR, DISC, SQUARE, batch, bits, cases, changed, context, method

from IncrementalSegLib.methods.base.incremental_heads import DistillingHeads
from IncrementalSegLib.networks.sharing import fingerprints
from IncrementalSegLib.prototypes.bank import PrototypeBank
from IncrementalSegLib.registry import find

HEADS = [name for name in METHODS if family(name) == "heads"]
RECIPES = [
    pytest.param(name, recipe, id=f"{name}-{recipe.get('recipe', 'default')}")
    for name in METHODS
    for recipe in ({}, {"recipe": "official2019"})
    if family(name) == "heads" or not recipe
]


def distils(name):
    return issubclass(find("method", name), DistillingHeads)


@pytest.mark.parametrize(("name", "recipe"), RECIPES)
def test_what_is_promised_frozen_stays_frozen(name, recipe):
    chosen = method(name, **recipe)
    ctx = context(chosen)
    teacher, reached = bits(ctx.teacher_model), False
    for source in sources(name):
        loss_of(chosen, ctx, batch(ctx, source))
        reached |= any(grad.any() for grad in gradients(ctx.model.output.part(DISC)).values())
    model = bits(ctx.model)
    run(chosen, ctx, 4)
    moved = changed(model, bits(ctx.model))
    assert changed(teacher, bits(ctx.teacher_model)) == set()
    assert not ctx.teacher_model.training
    assert all(parameter.grad is None for parameter in ctx.teacher_model.parameters())
    assert learned(SQUARE, ctx, moved)
    old_trunk = {item for item in moved if item.startswith("trunks.0")}
    assert bool(part(DISC, moved)) is bool(reached or ctx.model.exclusive)  # one softmax joins all of its rows
    assert bool(old_trunk) is not chosen.guarantees


@pytest.mark.parametrize("name", METHODS)
def test_it_retains_unless_it_says_otherwise(name):
    """A term or an update depends on a need, or on a prior in the network; or training keeps the old outputs."""
    chosen = method(name)
    assert find("method", name).retains is (_a_need_matters(chosen) or _old_outputs_stay(chosen))


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("dimension", [2, 3])
def test_a_guarantee_holds_to_the_bit(name, dimension):
    chosen = method(name)
    ctx = context(chosen, old=(DISC, BAR), dimension=dimension)
    run(chosen, ctx, 3)
    model, image = ctx.model.eval(), batch(ctx).image
    before, now = fingerprints(ctx.teacher_model), fingerprints(model)
    assert [before[item] == now[item] for item in (DISC, BAR)] == [chosen.guarantees] * 2
    if chosen.guarantees:
        with torch.no_grad():
            old, new = ctx.teacher_model(image, (DISC, BAR)), model(image, (DISC, SQUARE, BAR))
        assert torch.equal(old.logits, new.logits[:, [0, 2]])


@pytest.mark.parametrize("name", HEADS)
def test_a_head_method_continues_a_softmax(name):
    """Heads grow beside it, exemplars and the previous model count for it, and a guarantee covers it."""
    chosen = method(name)
    ctx = context(chosen, old=(DISC, BAR), softmax=True)
    assert ctx.model.exclusive == {DISC, BAR}
    for source in sources(name):
        loss_of(chosen, ctx, batch(ctx, source))
        held = all(item.grad is not None and item.grad.any() for item in ctx.model.output.rows.parameters())
        assert held is distils(name)
    image, before, then = batch(ctx).image, bits(ctx.model), fingerprints(ctx.model)
    with torch.no_grad():
        old = ctx.model.eval()(image, (DISC,)).logits
    run(chosen, ctx, 4)
    moved = changed(before, bits(ctx.model))
    assert part(SQUARE, moved)
    assert any(item.startswith("output.rows.") for item in moved) is distils(name)
    now = fingerprints(ctx.model)
    assert all(then[item] == now[item] for item in (DISC, BAR)) is chosen.guarantees
    with torch.no_grad():
        new = ctx.model.eval()(image, (SQUARE, BAR)).logits
    assert torch.equal(old, new[:, :3]) is chosen.guarantees


@pytest.mark.parametrize("name", HEADS)
def test_a_head_method_improves_a_softmax(name):
    chosen = method(name)
    ctx = context(chosen, softmax=True, improve=True, scans=cases((SQUARE,), seed=3))
    drawn = batch(ctx)
    before = loss_of(chosen, ctx, drawn)
    run(chosen, ctx, 12)
    assert loss_of(chosen, ctx, drawn) < before


@pytest.mark.parametrize("name", METHODS)
def test_each_need_matters(name):
    chosen = method(name)
    assert {need for need in chosen.needs if not _matters(chosen, need)} == set()


def _a_need_matters(chosen):
    return any(_matters(chosen, need) for need in ("teacher", "exemplars", "prototypes", "memory:", "prior"))


def _move_buffers(model, mark):
    for key, value in model.named_buffers():
        if mark in key:
            value.add_(1)


def _matters(chosen, need):
    """Return whether the loss, the batches, or the weights after an update, change with what earlier steps left."""
    if need == "exemplars":
        return bool(chosen.rehearsal(context(chosen))) and chosen.sources(context(chosen)).get("exemplar", 0) > 0
    plain, other = context(chosen), context(chosen)
    if need == "teacher":
        with torch.no_grad():
            for value in other.teacher_model.parameters():
                value.add_(torch.randn(value.shape, generator=torch.Generator().manual_seed(1)))
    elif need == "prototypes":
        moved = {key: replace(item, mean=item.mean + 1) for key, item in other.prototypes.items.items()}
        other.prototypes = PrototypeBank(moved)
    elif need == "prior":
        _move_buffers(other.model, ".prior_")
    else:
        prefix = chosen.key(need.removeprefix("memory:"))
        tensors = {key: value + 1 if key.startswith(prefix) else value for key, value in other.memory.tensors.items()}
        other.memory.tensors = tensors
        _move_buffers(other.model, "owner/")  # masks lie in the network
    losses, updated = [], []
    for ctx in (plain, other):
        with torch.no_grad():  # a distance from the previous weights is 0 before the first update
            for value in ctx.model.parameters():
                value.add_(0.01)
        losses.append(loss_of(chosen, ctx, batch(ctx)))
        chosen.after_backward(ctx)
        with torch.no_grad():
            for value in ctx.model.parameters():
                if value.grad is not None:
                    value.sub_(value.grad)
        chosen.after_update(ctx)
        updated.append({name: value.detach() for name, value in ctx.model.named_parameters()})
    return not torch.equal(*losses) or bool(changed(*updated))


def _old_outputs_stay(chosen):
    ctx = context(chosen)
    image = batch(ctx).image
    trained = run(chosen, ctx, 4).ctx.model.eval()
    with torch.no_grad():
        now, before = (item(image, (DISC,)).logits for item in (trained, ctx.teacher_model))
    return torch.equal(now, before)
