"""Every registered method answers the same questions (design: a method is one file, and the engine trusts it)."""

from __future__ import annotations

import inspect
import json
import math
from dataclasses import replace

import pytest
import torch
from tiny import BAR, DISC, SQUARE, batch, bits, cases, changed, context, method
from tiny import trainer as trainer_of

from IncrementalSegLib.methods.base.incremental_heads import DistillingHeads
from IncrementalSegLib.methods.base.method import TrainingPhase
from IncrementalSegLib.networks.dropout import ChannelDropout
from IncrementalSegLib.networks.sharing import fingerprints
from IncrementalSegLib.prototypes.bank import PrototypeBank
from IncrementalSegLib.registry import find, names

METHODS = names("method")


def family(name):
    return find("method", name).output


def needs(name, what):
    return what in find("method", name).needs


def distils(name):
    return issubclass(find("method", name), DistillingHeads)


REHEARSING = [name for name in METHODS if needs(name, "exemplars")]
DRAWING = [name for name in METHODS if find("method", name).draws_unlabelled]
RECIPES = [
    pytest.param(name, recipe, id=f"{name}-{recipe.get('recipe', 'default')}")
    for name in METHODS
    for recipe in ({}, {"recipe": "official2019"})
    if family(name) == "heads" or not recipe
]


def sources(name):
    return ("new", "exemplar") if needs(name, "exemplars") else ("new",)


def loss_of(chosen, ctx, drawn, seed=3):
    """Return the sum of the terms after back-propagation, with the dropout masks of ``seed``."""
    ctx.model.zero_grad(set_to_none=True)
    ctx.model.train()
    ChannelDropout.seed(ctx.model, torch.Generator().manual_seed(seed))
    total = torch.stack(list(chosen.training_loss(drawn, ctx).values())).sum()
    total.backward()
    return total.detach()


def gradients(module):
    return {name: item.grad.clone() for name, item in module.named_parameters() if item.grad is not None}


def part(structure, names):
    """Return the names of those weights that belong to one structure alone, or else, as for embeddings, to all."""
    return {item for item in names if item.startswith("output.") and (structure in item or ".layers." in item)}


def learned(structure, ctx, moved):
    """Return the moved weights that score a structure: its own, or those of the whole output where it has none."""
    own = next(ctx.model.output.part(structure).parameters(), None) is not None
    return part(structure, moved) if own else {item for item in moved if item.startswith("output.")}


def run(chosen, ctx, steps=4, **more):
    trainer = trainer_of(chosen, ctx, steps, **more)
    trainer.run()
    return trainer


@pytest.mark.parametrize("name", METHODS)
def test_it_is_documented(name):
    kind = find("method", name)
    assert inspect.getdoc(kind).partition("\n")[0].endswith(".")
    assert kind.source == "own" or len(kind.source) > 10
    assert kind.registered_name == name
    own = {need for need in kind.needs if need.startswith("memory:")}
    assert kind.needs - own <= {"teacher", "exemplars", "prototypes"}
    schema = json.loads(json.dumps(kind.Options.model_json_schema(), allow_nan=False))
    assert set(schema["properties"]) == set(kind.Options.model_fields)
    for option, entry in schema["properties"].items():
        assert entry.get("description"), f"{name}: the option {option} has no description"
        assert "default" in entry, f"{name}: the option {option} has no default"


@pytest.mark.parametrize("name", METHODS)
def test_options_survive_the_record_of_a_version(name):
    options = method(name).options
    again = json.loads(json.dumps(options.model_dump(mode="json"), allow_nan=False))
    assert type(options).model_validate(again) == options


@pytest.mark.parametrize("name", METHODS)
def test_it_holds_its_options_and_nothing_else(name):
    chosen = method(name)
    ctx = context(chosen)
    run(chosen, ctx)
    chosen.remember(ctx)
    assert vars(chosen) == {"options": method(name).options}


@pytest.mark.parametrize("name", METHODS)
def test_frozen_normalisation_keeps_the_statistics_of_the_previous_model(name):
    chosen = method(name, norm="freeze_after_first_step")
    ctx = context(chosen)
    before = bits(ctx.model)
    run(chosen, ctx)
    assert not {item for item in changed(before, bits(ctx.model)) if item.startswith("trunks.0.") and "running" in item}


@pytest.mark.parametrize("name", METHODS)
def test_its_phases_and_sources_add_up(name):
    chosen = method(name)
    ctx = context(chosen)
    phases = chosen.phases(ctx)
    assert all(isinstance(phase, TrainingPhase) for phase in phases)
    assert sum(phase.share for phase in phases) == pytest.approx(1)
    shares = chosen.sources(ctx)
    assert set(shares) <= {"new", "exemplar", "unlabelled"}
    assert sum(shares.values()) == pytest.approx(1)
    assert min(shares.values()) >= 0


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
def test_the_loss_falls(name):
    chosen = method(name)
    ctx = context(chosen)
    drawn = batch(ctx)
    before = loss_of(chosen, ctx, drawn)
    run(chosen, ctx, 12)
    assert loss_of(chosen, ctx, drawn) < before


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


@pytest.mark.parametrize(("name", "recipe"), RECIPES)
def test_what_is_promised_frozen_stays_frozen(name, recipe):
    chosen = method(name, **recipe)
    ctx = context(chosen)
    teacher, reached = bits(ctx.teacher_model), False
    for source in sources(name):
        loss_of(chosen, ctx, batch(ctx, source))
        reached |= any(grad.any() for grad in gradients(ctx.model.output.part(DISC)).values())
    model = bits(ctx.model)
    run(chosen, ctx, 6)
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
    run(chosen, ctx, 6)
    model, image = ctx.model.eval(), batch(ctx).image
    before, now = fingerprints(ctx.teacher_model), fingerprints(model)
    assert [before[item] == now[item] for item in (DISC, BAR)] == [chosen.guarantees] * 2
    if chosen.guarantees:
        with torch.no_grad():
            old, new = ctx.teacher_model(image, (DISC, BAR)), model(image, (DISC, SQUARE, BAR))
        assert torch.equal(old.logits, new.logits[:, [0, 2]])


@pytest.mark.parametrize("name", [name for name in METHODS if family(name) == "heads"])
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
    run(chosen, ctx, 6)
    moved = changed(before, bits(ctx.model))
    assert part(SQUARE, moved)
    assert any(item.startswith("output.rows.") for item in moved) is distils(name)
    now = fingerprints(ctx.model)
    assert all(then[item] == now[item] for item in (DISC, BAR)) is chosen.guarantees
    with torch.no_grad():
        new = ctx.model.eval()(image, (SQUARE, BAR)).logits
    assert torch.equal(old, new[:, :3]) is chosen.guarantees


@pytest.mark.parametrize("name", [name for name in METHODS if family(name) == "heads"])
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
    trained = run(chosen, ctx, 6).ctx.model.eval()
    with torch.no_grad():
        now, before = (item(image, (DISC,)).logits for item in (trained, ctx.teacher_model))
    return torch.equal(now, before)


@pytest.mark.parametrize("name", METHODS)
def test_batches_are_homogeneous(name):
    chosen = method(name)
    ctx = context(chosen)
    trainer = trainer_of(chosen, ctx)
    pools = {"new": {item.id for item in ctx.cases}, "exemplar": {item.id for item in ctx.exemplars}}
    assert pools["new"].isdisjoint(pools["exemplar"])
    seen = []
    for index in range(30):
        drawn = trainer.batch(index)
        assert set(drawn.cases) <= pools[drawn.source]
        seen.append(drawn.source)
    assert set(seen) == set(sources(name))


@pytest.mark.parametrize("name", METHODS)
def test_a_step_without_new_structures_works(name):
    chosen = method(name)
    ctx = context(chosen, improve=True, scans=cases((SQUARE,), seed=3))
    assert ctx.structures == ctx.model.structures == (DISC, SQUARE)
    before = bits(ctx.model)
    curve = run(chosen, ctx).curve
    assert curve.steps == 4
    moved = changed(before, bits(ctx.model))
    assert learned(SQUARE, ctx, moved)


@pytest.mark.parametrize("name", METHODS)
def test_improving_the_only_structure_works(name):
    chosen = method(name)
    ctx = context(chosen, old=(), improve=True)
    assert ctx.old == ()
    assert run(chosen, ctx).curve.steps == 4


@pytest.mark.parametrize("name", METHODS)
def test_a_batch_is_a_function_of_seed_and_index(name):
    def losses(indices, seed=0):
        chosen = method(name)
        ctx = context(chosen, seed=seed)
        trainer = trainer_of(chosen, ctx)
        drawn = [(trainer.batch(index), ctx) for index in indices][-1]
        ctx.model.train()
        total = torch.stack(list(chosen.training_loss(*drawn).values())).sum()
        return drawn[0], total

    (alone, one), (after, other) = losses([7]), losses(range(8))
    assert (alone.source, alone.cases) == (after.source, after.cases)
    for part in ("image", "label", "looked_for", "ignore"):
        assert torch.equal(getattr(alone, part), getattr(after, part))
    assert torch.equal(one, other), "dropout is seeded by the step too"
    assert not torch.equal(losses([7], seed=1)[0].image, alone.image)


@pytest.mark.parametrize("name", METHODS)
def test_a_stopped_step_goes_on_exactly(name):
    """State of model, optimiser and memory, and the number of the step, are all there is."""

    def begin():
        chosen = method(name)
        ctx = context(chosen)
        trainer = trainer_of(chosen, ctx)
        return trainer, chosen.phases(ctx)[0], torch.optim.Adam(ctx.model.parameters(), lr=1e-2)

    whole, phase, optimiser = begin()
    for index in range(6):
        whole.step(index, phase, optimiser)
    first, phase, optimiser = begin()
    for index in range(3):
        first.step(index, phase, optimiser)
    second, phase, resumed = begin()
    second.ctx.model.load_state_dict(bits(first.ctx.model))
    second.ctx.memory = first.ctx.memory
    resumed.load_state_dict(optimiser.state_dict())
    for index in range(3, 6):
        second.step(index, phase, resumed)
    assert changed(bits(whole.ctx.model), bits(second.ctx.model)) == set()
    assert changed(bits(whole.ctx.model), bits(first.ctx.model)) != set()
