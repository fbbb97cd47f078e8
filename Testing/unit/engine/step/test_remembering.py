"""What every step leaves behind, whatever its method."""

from dataclasses import replace

import pytest
import torch
from tiny import BAR, CPU, DISC, SQUARE, bits, cases, changed, context, method, plan

from IncrementalSegLib.engine.step.remembering import descriptor_weights, remember, voxel_counts
from IncrementalSegLib.errors import MissingNeedError, UnknownNameError
from IncrementalSegLib.progress import silent
from IncrementalSegLib.prototypes.bank import BACKGROUND, class_means
from IncrementalSegLib.sampling.batch import PreparedCase


def finished(name="finetune", dimension=2, **more):
    chosen = method(name)
    ctx = context(chosen, dimension=dimension, **more)
    ctx.model.eval()
    return chosen, ctx


def remembered(chosen, ctx, keep=True):
    patch = plan(ctx.model.trunk(0).dimension).patch
    return remember(chosen, ctx, ctx.new, patch=patch, weights=None, keep_exemplars=keep, progress=silent)


def test_voxels_are_counted_where_a_structure_was_looked_for():
    masks = torch.zeros(2, 1, 2, 5, dtype=torch.uint8)
    masks[0, 0, 0, :3] = 1
    both = PreparedCase("x", "x", torch.zeros(1, 1, 2, 5), (DISC, SQUARE), masks)
    one = PreparedCase("y", "y", torch.zeros(1, 1, 1, 4), (DISC,), torch.ones(1, 1, 1, 4, dtype=torch.uint8))
    assert voxel_counts([both, one], (DISC, SQUARE, BAR)) == {DISC: (7, 7), SQUARE: (10, 0), BAR: (0, 0)}


@pytest.mark.parametrize("dimension", [2, 3])
def test_prototypes_and_exemplars_are_kept(dimension):
    chosen, ctx = finished(dimension=dimension)
    known = {item.id for item in ctx.exemplars}
    before = bits(ctx.model)
    report = remembered(chosen, ctx)
    assert changed(before, bits(ctx.model)) == set()
    assert set(ctx.prototypes.items) == {SQUARE, BACKGROUND}
    assert ctx.prototypes[SQUARE].count == sum(int(case.masks.sum()) for case in ctx.cases)
    fresh = [item for item in ctx.exemplars if item.id not in known]
    assert known < {item.id for item in ctx.exemplars}
    assert {item.case for item in fresh} <= {case.id for case in ctx.cases}
    assert {item.step for item in fresh} == {2}
    for order in ("abstraction", "content", "random"):
        assert sorted(item.ranks[SQUARE][order] for item in fresh if order in item.ranks[SQUARE]) == [1, 2]
    assert report["descriptor"] == "trunk"


def test_without_exemplars_only_aggregates_are_kept():
    chosen, ctx = finished()
    before = ctx.exemplars
    assert remembered(chosen, ctx, keep=False) == {}
    assert ctx.exemplars == before
    assert SQUARE in ctx.prototypes


def test_doing_it_again_changes_nothing():
    chosen, ctx = finished()
    remembered(chosen, ctx)
    one = ctx.exemplars.to_files(), ctx.prototypes.to_files()
    remembered(chosen, ctx)
    other = ctx.exemplars.to_files(), ctx.prototypes.to_files()
    for (document, tensors), (again, others) in zip(one, other, strict=True):
        assert list(document.items()) == list(again.items())
        assert changed(tensors, others) == set()


def test_improving_replaces_the_prototype_because_the_features_moved():
    chosen, ctx = finished(improve=True)
    ctx.prototypes = class_means(ctx.model, cases((DISC, SQUARE), seed=7), (DISC, SQUARE), CPU)
    old = ctx.prototypes
    remembered(chosen, ctx)
    expected = class_means(ctx.model, ctx.cases, (SQUARE,), CPU)
    assert torch.equal(ctx.prototypes[SQUARE].mean, expected[SQUARE].mean)
    assert torch.equal(ctx.prototypes[DISC].mean, old[DISC].mean)


def test_a_method_adds_what_it_alone_needs(monkeypatch):
    chosen, ctx = finished()

    def own(self, ctx):
        assert SQUARE in ctx.prototypes, "the engine's part comes first"
        ctx.memory.data["mine"] = 1

    monkeypatch.setattr(type(chosen), "remember", own)
    remembered(chosen, ctx, keep=False)
    assert ctx.memory.data == {"mine": 1}


def test_cancelling_is_passed_on():
    chosen, ctx = finished()

    def stop(phase, fraction, numbers=None):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        remember(chosen, ctx, ctx.new, patch=plan().patch, weights=None, keep_exemplars=True, progress=stop)


def test_options_of_the_method_say_how_to_choose():
    chosen, ctx = finished()
    chosen = method("finetune", keep=1, keep_labels=False)
    ctx.exemplars = replace(ctx.exemplars, items=(), scans={})
    remembered(chosen, ctx)
    assert 1 <= len(ctx.exemplars) <= 3
    assert not any(item.labelled for item in ctx.exemplars)


class TestDescriptorWeights:
    @pytest.fixture(autouse=True)
    def no_cache(self, monkeypatch, tmp_path):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))

    @pytest.mark.parametrize("descriptor", ["auto", "trunk"])
    def test_none_are_needed_by_default(self, descriptor):
        assert descriptor_weights(method("coriseg", descriptor=descriptor).options) is None

    def test_a_descriptor_that_needs_them_says_so(self):
        with pytest.raises(MissingNeedError, match="vgg16"):
            descriptor_weights(method("coriseg", descriptor="vgg16").options)

    def test_a_named_file_that_is_not_there_is_refused(self, tmp_path):
        gone = str(tmp_path / "gone.safetensors")
        with pytest.raises(MissingNeedError, match="gone"):
            descriptor_weights(method("coriseg", descriptor_weights=gone).options)

    def test_an_unknown_descriptor_is_named(self):
        with pytest.raises(UnknownNameError, match="vgg16"):
            descriptor_weights(method("coriseg", descriptor="vgg17").options)
