"""PackNet: which weights are freed and held, and the network of an earlier task to the bit."""

import copy

import pytest
import torch
from tiny import BAR, DISC, SQUARE, batch, bits, cases, changed, context, method, trainer

from IncrementalSegLib.engine.scores.scoring import Validation
from IncrementalSegLib.errors import ModelError
from IncrementalSegLib.methods.packnet import RETRAIN, smallest, task_weights

KERNEL = "trunks.0.down.0.0.conv.weight"


def masks(ctx):
    start = "packnet/masks/"
    return {key.removeprefix(start): item for key, item in ctx.memory.tensors.items() if key.startswith(start)}


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


def test_the_network_of_an_earlier_task_is_that_of_then_to_the_bit():
    chosen = method("packnet")
    ctx = context(chosen, new=(SQUARE,))
    then = copy.deepcopy(ctx.model)  # the free weights are 0, the masks were made from a model of another method
    first = {name: value == 1 for name, value in masks(ctx).items()}
    trainer(chosen, ctx, 4).run()
    chosen.remember(ctx)
    now = bits(ctx.model)
    assert {int(value) for mask in masks(ctx).values() for value in mask.unique()} == {0, 1, 2}
    moved = changed(bits(then), now)
    assert KERNEL in moved
    assert {name for name in moved if name.startswith("trunks.")} <= set(first), "biases and normalisation are fixed"
    old = task_weights(now, ctx.memory.tensors, 1)
    for name, mask in first.items():
        assert torch.equal(now[name][mask], bits(then)[name][mask])
        assert torch.equal(old[name], bits(then)[name])
    then.load_state_dict(old)
    image = batch(ctx).image
    teacher = copy.deepcopy(ctx.teacher_model)
    with torch.no_grad():
        for name, mask in first.items():
            teacher.get_parameter(name).mul_(mask)
        found, expected = (item.eval()(image).logits for item in (then, teacher))
    assert torch.equal(found[:, :2], expected)
    latest = task_weights(now, ctx.memory.tensors, 2)
    assert changed(now, latest) == set()
    with pytest.raises(KeyError):
        task_weights(now, ctx.memory.tensors, 3)


def test_normalisation_may_be_that_of_each_task():
    chosen = method("packnet", fixed=False)
    ctx = context(chosen, new=(SQUARE,))
    before = bits(ctx.model)
    trainer(chosen, ctx, 4).run()
    chosen.remember(ctx)
    now = bits(ctx.model)
    own = [name for name in changed(before, now) if name.startswith("trunks.") and name not in masks(ctx)]
    assert {name.rpartition(".")[2] for name in own} >= {"weight", "bias", "running_mean"}
    old = task_weights(now, ctx.memory.tensors, 1)
    assert changed({name: before[name] for name in own}, {name: old[name] for name in own}) == set()


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
