"""PackNet: which weights are freed and held, and the network of an earlier task to the bit."""

import copy
from dataclasses import replace

import pytest
import torch
from tiny import BAR, DISC, SQUARE, batch, bits, cases, changed, context, method, trainer

from IncrementalSegLib.engine.scores.scoring import Validation
from IncrementalSegLib.errors import MissingNeedError, ModelError
from IncrementalSegLib.methods.packnet import RETRAIN, smallest

KERNEL = "trunks.0.down.0.0.conv.weight"


def masks(ctx):
    return {name: item.clone() for name, item in ctx.model.tasks.networks.owners.items()}


def network(ctx):
    """Return a copy of the weights and statistics that segment."""
    return {name: item for name, item in bits(ctx.model).items() if not name.startswith("tasks.")}


def test_the_smallest_weights_of_a_task_are_chosen():
    weight = torch.tensor([0.1, -4.0, 0.3, -0.2, 5.0, 0.0])
    among = torch.tensor([True, True, True, True, False, False])
    assert smallest(weight, among, 0.5).tolist() == [True, False, False, True, False, False]
    assert smallest(weight, among, 0.0).tolist() == [False] * 6
    assert not smallest(weight, torch.zeros_like(among), 0.5).any()


def test_the_first_step_frees_half_of_each_layer_and_trains_the_rest_again():
    chosen = method("packnet")
    ctx = context(chosen, old=(), new=(DISC,))
    drawn = batch(ctx)
    whole = trainer(chosen, ctx, 4)
    train, retrain = chosen.phases(ctx)
    optimiser = torch.optim.Adam(ctx.model.parameters(), lr=1e-3)
    whole.update(drawn, train, optimiser)
    before = bits(ctx.model)
    assert all((mask == 1).all() for mask in masks(ctx).values())
    for _ in range(2):
        whole.update(drawn, retrain, optimiser)
    chosen.remember(ctx)
    assert retrain.name == RETRAIN
    assert retrain.starts_over
    assert set(masks(ctx)) == {
        name for name, value in ctx.model.named_parameters() if "trunks" in name and value.ndim > 2
    }
    after = bits(ctx.model)
    for name, mask in masks(ctx).items():
        assert mask.dtype == torch.uint8
        assert float((mask == 0).float().mean()) == pytest.approx(0.5, abs=0.5 / min(mask.numel(), 50))
        assert (after[name][mask == 0] == 0).all()
        assert before[name][mask == 0].abs().max() <= before[name][mask == 1].abs().min()
        assert not torch.equal(after[name][mask == 1], before[name][mask == 1])
    assert ctx.memory.data["packnet/masks"] == {"structures": [DISC], "task": 1, "pruned": True}


@pytest.mark.parametrize("fixed", [True, False])
def test_the_network_of_an_earlier_task_is_that_of_then_to_the_bit(fixed):
    chosen = method("packnet", fixed=fixed)
    ctx = context(chosen, old=(), new=(DISC,))
    trainer(chosen, ctx, 4).run()
    chosen.remember(ctx)
    tasks, drawn = ctx.model.tasks, batch(ctx).image
    tasks.begin(ctx.model, {})
    then, first = network(ctx), {name: value == 1 for name, value in masks(ctx).items()}
    with torch.no_grad():
        expected = ctx.model.eval()(drawn).logits
    later = replace(
        ctx, teacher_model=copy.deepcopy(ctx.model), structures=(DISC, SQUARE), new=(SQUARE,), cases=cases((SQUARE,))
    )
    tasks.networks.store(ctx.model)
    chosen.grow(ctx.model, (SQUARE,), later)
    chosen.begin_step(later)
    tasks.begin(ctx.model, {})
    trainer(chosen, later, 4).run()
    chosen.remember(later)
    now = network(later)
    assert {int(value) for mask in masks(later).values() for value in mask.unique()} == {0, 1, 2}
    moved = changed(then, {name: now[name] for name in then})
    assert KERNEL in moved
    assert ("trunks.0.down.0.0.adn.N.running_mean" in moved) is not fixed
    assert all(torch.equal(now[name][mask], then[name][mask]) for name, mask in first.items())
    with torch.no_grad(), ctx.model.eval().as_of(0):
        assert changed(then, {name: ctx.model.state_dict()[name] for name in then}) == set()
        found = ctx.model(drawn).logits
        assert torch.equal(found[:, :2], expected)
        assert (found.softmax(1)[:, 2] == 0).all(), "the first task does not know the square"
    assert changed(now, network(later)) == set()


def test_a_scan_of_a_session_is_a_task_and_momentum_does_not_move_what_is_held():
    chosen = method("packnet")
    ctx = context(chosen, improve=True, scans=cases((SQUARE,), 1))
    whole, phase = trainer(chosen, ctx, 4), chosen.phases(ctx)[0]
    optimiser = torch.optim.Adam(ctx.model.parameters(), lr=1e-2)
    whole.update(batch(ctx), phase, optimiser)
    chosen.next_scan(ctx)
    before, of = bits(ctx.model), masks(ctx)
    assert ctx.memory.data["packnet/masks"]["task"] == 3
    whole.update(batch(ctx), phase, optimiser)
    after = bits(ctx.model)
    assert all(torch.equal(after[name][mask < 3], before[name][mask < 3]) for name, mask in of.items())
    assert not torch.equal(after[KERNEL], before[KERNEL])


def test_another_method_changes_the_weights_of_all_tasks():
    chosen = method("packnet")
    ctx = context(chosen, new=(BAR,))
    ctx.model.tasks = None  # as the engine leaves it after a step with another method
    chosen.grow(ctx.model, (), ctx)
    with pytest.raises(MissingNeedError, match="another network"):
        chosen.begin_step(ctx)


def test_networks_and_tasks_that_it_cannot_have_are_refused():
    chosen = method("packnet")
    ctx = context(chosen, new=(BAR,))
    ctx.memory.data["packnet/masks"]["task"] = 255
    with pytest.raises(ModelError, match="255 steps"):
        chosen.begin_step(ctx)
    ctx = context(method("clis"), old=())
    with pytest.raises(ModelError, match="Bayesian"):
        chosen.begin_step(ctx)


def test_a_version_has_the_weights_after_something_was_freed_though_those_before_scored_higher():
    chosen = method("packnet")
    ctx = context(chosen, old=(), new=(DISC,))
    scores = iter([0.9, 0.8, 0.5, 0.4, 0.3])
    run = trainer(chosen, ctx, 4, lambda done: Validation(((DISC, next(scores)),)), evaluations=4, patience=9)
    curve = run.run()
    assert curve.best_step > 2
    assert ctx.memory.data["packnet/masks"]["pruned"]
