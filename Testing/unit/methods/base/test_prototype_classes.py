import pytest
import torch
from tiny import BAR, DISC, SQUARE, batch, cases, context, method

from IncrementalSegLib.methods.base.prototype_classes import certain, class_masks
from IncrementalSegLib.methods.base.softmax_classes import ClassTarget
from IncrementalSegLib.prototypes.bank import BACKGROUND


def target(column, seen=(True, True, True), valid=None):
    column = torch.as_tensor(column)
    valid = torch.ones_like(column, dtype=torch.bool) if valid is None else torch.as_tensor(valid)
    return ClassTarget(column, torch.tensor([seen] * len(column)), valid)


@pytest.fixture
def step():
    chosen = method("pcdd")
    return chosen, context(chosen)


def test_stored_means_are_those_of_earlier_steps_by_column(step):
    chosen, ctx = step
    means = chosen.stored(ctx)
    assert means.known.tolist() == [True, True, False]
    assert torch.equal(means.values[:2], ctx.prototypes.matrix([BACKGROUND, DISC]))
    ctx.prototypes = ctx.prototypes.without(BACKGROUND).without(DISC)
    assert not chosen.stored(ctx).known.any()
    assert chosen.stored(ctx).values.abs().max() == 0


def test_a_structure_that_is_improved_starts_anew():
    chosen = method("pcdd")
    ctx = context(chosen, improve=True)
    assert SQUARE in ctx.prototypes
    assert chosen.stored(ctx).known.tolist() == [True, True, False]


def test_running_means_are_those_of_all_voxels_so_far(step):
    chosen, ctx = step
    random = torch.Generator().manual_seed(0)
    vectors = []
    for size in (5, 7):
        features = torch.rand(2, 4, size, size, generator=random).requires_grad_()
        column = torch.randint(0, 3, (2, size, size), generator=random)
        valid = torch.rand(2, size, size, generator=random) < 0.8
        found = chosen.add_batch(features, target(column, valid=valid), ctx)
        vectors.append(features.detach().movedim(1, -1)[(column == 2) & valid].double())
    torch.testing.assert_close(found.values[2], torch.cat(vectors).mean(0))
    assert found.known.tolist() == [True, True, True]
    assert not found.values.requires_grad
    assert torch.equal(found.values[:2], chosen.stored(ctx).values[:2]), "older means stay"
    assert ctx.memory.tensors["pcdd/counts"].tolist() == [sum(map(len, vectors))]


def test_a_structure_without_voxels_stays_unknown(step):
    chosen, ctx = step
    assert chosen.add_batch(torch.ones(1, 4, 2, 2), target([[[0, 1], [1, 0]]]), ctx).known.tolist() == [
        True,
        True,
        False,
    ]


def test_the_engine_remembers_instead(step):
    chosen, ctx = step
    chosen.training_loss(batch(ctx), ctx)
    assert set(ctx.memory.tensors) == {f"pcdd/means{state}" for state in ("", " before", " before counts")} | {
        "pcdd/counts"
    }
    chosen.remember(ctx)
    assert ctx.memory.tensors == {}


@pytest.mark.parametrize("name", ["sdr", "conuseg", "inseg", "pcdd"])
def test_a_step_begins_without_running_means(name):
    """A model from elsewhere may bring some, of whatever shape."""
    chosen = method(name)
    ctx = context(chosen)
    for kind in ("means", "counts"):
        ctx.memory.tensors[f"{name}/{kind}"] = torch.ones(1, 3)
    chosen.begin_step(ctx)
    assert not ctx.memory.tensors


def test_background_is_certain_only_where_all_was_looked_for():
    chosen = method("pcdd")
    ctx = context(chosen, new=(SQUARE, BAR), scans=cases((SQUARE, BAR)))
    column = torch.tensor([[0, 1, 2]])
    every, some = ((True, False, True, True), (True, False, True, False))
    assert certain(column, target(column, every), ctx).tolist() == [[True, True, True]]
    assert certain(column, target(column, some), ctx).tolist() == [[False, True, True]]
    nothing = target(column, every, valid=[[True, False, True]])
    assert certain(column, nothing, ctx).tolist() == [[True, False, True]]


def test_masks_of_classes():
    column, valid = torch.tensor([[0, 2, 2]]), torch.tensor([[True, True, False]])
    assert class_masks(column, [2, 0], valid).tolist() == [[[False, True, False], [True, False, False]]]
