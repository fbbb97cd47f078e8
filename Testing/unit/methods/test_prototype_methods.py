"""Methods with class means keep an old structure that finetuning forgets, and learn the new one."""

import pytest
import torch
from tiny import CPU, DISC, SQUARE, cases, context, method, plain, plan
from tiny import trainer as trainer_of

from IncrementalSegLib.engine.scores.scoring import validate
from IncrementalSegLib.inference.predictor import Predictor
from IncrementalSegLib.networks.segmenter import Segmenter
from IncrementalSegLib.prototypes.bank import class_means

FAST = plain(learning_rate=3e-2, decay=True)
OTHERS = [pytest.param(name, marks=pytest.mark.slow) for name in ("sdr", "conuseg", "inseg")]


def dice(ctx, structure):
    return validate(Predictor(ctx.model, plan(), CPU), cases((DISC, SQUARE), 2, seed=9), [structure]).mean


@pytest.fixture(scope="module")
def taught():
    """A model that knows the disc."""
    chosen = method("finetune-softmax")
    first = context(chosen, old=(), new=(DISC,))
    trainer_of(chosen, first, 60, **FAST).run()
    assert dice(first, DISC) > 0.8
    return first


def second_step(taught, name, steps):
    """Teach the square to it; return the old structure's Dice as a share of what it was, and the new one's."""
    chosen = method(name)
    ctx = context(chosen)
    ctx.prototypes = class_means(taught.model, taught.cases, (DISC,), CPU)
    ctx.teacher_model = Segmenter.from_architecture(taught.model.architecture(), taught.model.state_dict()).eval()
    ctx.model = Segmenter.from_architecture(taught.model.architecture(), taught.model.state_dict())
    torch.manual_seed(0)
    chosen.grow(ctx.model, (SQUARE,), ctx)
    chosen.begin_step(ctx)
    before = dice(taught, DISC)
    trainer_of(chosen, ctx, steps, **FAST).run()
    return dice(ctx, DISC) / before, dice(ctx, SQUARE)


@pytest.mark.parametrize("name", ["pcdd", *OTHERS])
def test_the_old_is_kept_and_the_new_is_learned(taught, name):
    old, new = second_step(taught, name, 200)
    assert old > 0.85
    assert new > 0.7


def test_finetuning_forgets(taught):
    old, new = second_step(taught, "finetune-softmax", 100)
    assert old < 0.5
    assert new > 0.7
