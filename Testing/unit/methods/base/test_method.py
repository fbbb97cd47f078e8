"""The least that a method must say, and what it gets for nothing."""

import pytest
from tiny import BAR, DISC, SQUARE, bits, changed, context, method
from tiny import trainer as trainer_of

from IncrementalSegLib.methods.base.method import Method, MethodOptions, TrainingPhase
from IncrementalSegLib.networks.config import SegmenterConfig


class Least(Method[MethodOptions]):
    """Pull all logits to zero."""

    output = "heads"
    source = "none"

    def training_loss(self, batch, ctx):
        return {"size": ctx.model(batch.image).logits.square().mean()}


def test_the_loss_must_be_given():
    with pytest.raises(TypeError, match="training_loss"):
        Method(MethodOptions())


def test_one_function_makes_a_method_that_trains():
    least = Least(Least.Options())
    ctx = context(method("finetune"))
    before = bits(ctx.model)
    curve = trainer_of(least, ctx, 6).run()
    assert curve.points[0]["size"] > curve.points[-1]["size"]
    assert changed(before, bits(ctx.model))


def test_hooks_do_nothing_by_default():
    least = Least(Least.Options())
    ctx = context(method("finetune"))
    before = bits(ctx.model)
    for hook in (least.begin_step, least.retry_batch, least.after_backward, least.after_update, least.remember):
        assert hook(ctx) is None
    assert changed(before, bits(ctx.model)) == set()
    assert (ctx.memory.tensors, ctx.memory.data) == ({}, {})
    config = SegmenterConfig(network="unet2d")
    assert least.design(config) is config
    assert least.phases(ctx) == (TrainingPhase("train", 1.0, "all", 1.0, False),)
    assert (least.sources(ctx), least.rehearsal(ctx), least.needs) == ({"new": 1.0}, [], frozenset())


def test_growing_adds_an_output_on_the_first_trunk():
    ctx = context(method("finetune"))
    Least(Least.Options()).grow(ctx.model, [BAR], ctx)
    assert ctx.model.trunk_of == {DISC: 0, SQUARE: 0, BAR: 0}


def test_no_option_is_invented():
    with pytest.raises(ValueError, match="Extra"):
        Least.Options(alpha=1)
