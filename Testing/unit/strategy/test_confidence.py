import pytest
import torch
from tiny import BAR, DISC, context, method

from IncrementalSegLib.prototypes.bank import BACKGROUND
from IncrementalSegLib.strategy.confidence import class_medians


@pytest.fixture
def step():
    chosen = method("conuseg")
    return chosen, context(chosen, old=(DISC, BAR))


def lean(ctx, structure, by):
    with torch.no_grad():
        ctx.teacher_model.output.part(structure).bias += by


def test_medians_are_taken_where_a_class_is_found(step):
    chosen, ctx = step
    lean(ctx, DISC, 100.0)
    found = class_medians(chosen, ctx, lambda probability: torch.full_like(probability[:, 0], 0.37))
    assert list(found) == [BACKGROUND, DISC, BAR]
    assert found[DISC] == pytest.approx(0.37, abs=0.01)
    assert (found[BACKGROUND], found[BAR]) == (0, 0)


def test_medians_are_those_of_the_values(step):
    chosen, ctx = step
    seen = []
    found = class_medians(chosen, ctx, lambda probability: seen.append(probability) or probability.amax(1))
    every = torch.cat([item.movedim(1, -1).flatten(0, -2) for item in seen])
    assert len(every) == 24 * 32 * 32, "eight patches of each of three cases"
    # labels leave some voxels out, and bins are 0.01 wide
    for row, key in enumerate((BACKGROUND, DISC, BAR)):
        own = every[every.argmax(1) == row].amax(1)
        if len(own) > 1000:
            assert found[key] == pytest.approx(float(own.median()), abs=0.03)


def test_the_same_step_finds_the_same(step):
    chosen, ctx = step
    assert class_medians(chosen, ctx, lambda item: item.amax(1)) == ctx.memory.data["conuseg/medians"]


def test_what_is_labelled_does_not_count(step):
    chosen, ctx = step
    share = []

    def measure(probability):
        share.append(probability)
        return torch.ones_like(probability[:, 0])

    lean(ctx, DISC, 100.0)
    whole = class_medians(chosen, ctx, measure)
    for item in ctx.cases:
        item.masks.fill_(1)  # the step labels every voxel
    assert whole[DISC] > 0.99
    assert set(class_medians(chosen, ctx, measure).values()) == {0.0}
