from dataclasses import replace

import pytest
import torch
from tiny import BAR, DISC, context, method

from IncrementalSegLib.methods.base.confidence import class_medians
from IncrementalSegLib.prototypes.bank import BACKGROUND


@pytest.fixture
def ctx():
    return context(method("conuseg"), old=(DISC, BAR))


def lean(ctx, structure, by):
    with torch.no_grad():
        ctx.teacher_model.output.part(structure).bias += by


def test_medians_are_taken_where_a_class_is_found(ctx):
    lean(ctx, DISC, 100.0)
    found = class_medians(ctx, lambda probability: torch.full_like(probability[:, 0], 0.37))
    assert list(found) == [BACKGROUND, DISC, BAR]
    assert found[DISC] == pytest.approx(0.37, abs=0.01)
    assert (found[BACKGROUND], found[BAR]) == (0, 0)


def test_medians_are_those_of_the_values(ctx):
    seen = []
    found = class_medians(ctx, lambda probability: seen.append(probability) or probability.amax(1))
    every = torch.cat([item.movedim(1, -1).flatten(0, -2) for item in seen])
    assert len(every) == 24 * 32 * 32, "eight patches of each of three cases"
    # labels leave some voxels out, and bins are 0.01 wide
    for row, key in enumerate((BACKGROUND, DISC, BAR)):
        own = every[every.argmax(1) == row].amax(1)
        if len(own) > 1000:
            assert found[key] == pytest.approx(float(own.median()), abs=0.03)


def test_the_same_step_finds_the_same(ctx):
    assert class_medians(ctx, lambda item: item.amax(1)) == ctx.memory.data["conuseg/medians"]


def test_what_is_labelled_does_not_count(ctx):
    share = []

    def measure(probability):
        share.append(probability)
        return torch.ones_like(probability[:, 0])

    lean(ctx, DISC, 100.0)
    whole = class_medians(ctx, measure)
    for item in ctx.cases:
        item.masks.fill_(1)  # the step labels every voxel
    assert whole[DISC] > 0.99
    assert set(class_medians(ctx, measure).values()) == {0.0}


def test_what_is_ignored_does_not_count(ctx):
    ctx.cases = [replace(item, ignore=torch.ones(item.image.shape[1:], dtype=torch.bool)) for item in ctx.cases]
    assert set(class_medians(ctx, lambda probability: torch.ones_like(probability[:, 0])).values()) == {0.0}
