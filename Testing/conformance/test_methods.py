"""Every registered method answers the same questions (design: a method is one file, and the engine trusts it)."""

from __future__ import annotations

import inspect
import json

import pytest
import torch
from every_method import METHODS, learned, loss_of, run, sources
from tiny import DISC, SQUARE, batch, bits, cases, changed, context, method
from tiny import trainer as trainer_of

from IncrementalSegLib.methods.base.method import TrainingPhase
from IncrementalSegLib.registry import find


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
def test_the_loss_falls(name):
    chosen = method(name)
    ctx = context(chosen)
    drawn = batch(ctx)
    before = loss_of(chosen, ctx, drawn)
    run(chosen, ctx, 12)
    assert loss_of(chosen, ctx, drawn) < before


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
