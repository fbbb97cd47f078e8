from dataclasses import replace

import pytest
import torch
from tiny import BAR, DISC, batch, context, method

from IncrementalSegLib.losses.pseudo_labels import entropy
from IncrementalSegLib.methods.base import confidence
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
    assert found[DISC] == pytest.approx(0.37)
    assert (found[BACKGROUND], found[BAR]) == (0, 0)


def sharpen(ctx, factor=100.0):
    """Make the previous model sure of every class, about equally often."""
    with torch.no_grad():
        for module in ctx.teacher_model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.bias.fill_(1.0)  # no voxel without a feature: such voxels are all alike
        logits = ctx.teacher(batch(ctx).image).logits
        for row, mean in zip(ctx.teacher_model.output.rows.values(), logits.mean((0, 2, 3)), strict=True):
            row.bias -= mean
            row.weight *= factor
            row.bias *= factor


def medians_of(seen, measure):
    """The median of each class over what was seen, one value after another."""
    every = torch.cat([item.movedim(1, -1).flatten(0, -2) for item in seen])
    values, found = measure(every.T[None])[0], every.argmax(1)
    return {key: float(values[found == row].median()) for row, key in enumerate((BACKGROUND, DISC, BAR))}


def test_medians_are_exact_where_all_values_are_small(ctx):
    """The entropies of a trained network: a histogram of 100 bins has most of them in its first."""
    sharpen(ctx)
    for item in ctx.cases:
        item.masks.zero_()  # no label leaves a voxel out
    seen = []
    found = class_medians(ctx, lambda probability: seen.append(probability) or entropy(probability))
    assert sum(len(item) for item in seen) == 24, "eight patches of each of three cases"
    wanted = medians_of(seen, entropy)
    assert 0 < max(wanted.values()) < 0.01
    assert found == pytest.approx(wanted, rel=1e-5)


def test_a_large_patch_is_thinned_out_at_random_and_alike_each_time(ctx, monkeypatch):
    sharpen(ctx, 5.0)
    wanted = class_medians(ctx, entropy)
    monkeypatch.setattr(confidence, "_MOST_VALUES", 1000)
    found = class_medians(ctx, entropy)
    assert found != wanted
    assert found == class_medians(ctx, entropy)
    assert found == pytest.approx(wanted, abs=0.02)


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
