"""MiB, LwF, ILT, PLOP and pseudo-labels: terms as defined, and what they keep that finetuning forgets."""

import pytest
import torch
from tiny import CPU, DISC, SQUARE, batch, bits, cases, context, method, plain, plan
from tiny import trainer as trainer_of
from torch.nn import functional as F

from IncrementalSegLib.engine.scores.scoring import validate
from IncrementalSegLib.inference.predictor import Predictor
from IncrementalSegLib.losses.classes import distillation, unbiased_distillation
from IncrementalSegLib.prototypes.bank import class_means

QUICK = plain(learning_rate=2e-2, decay=False)


def dice(ctx, structure):
    return validate(Predictor(ctx.model, plan(), CPU), cases((DISC, SQUARE), 2, seed=9), [structure]).mean


@pytest.fixture(scope="module")
def taught():
    """Weights of a model that knows the disc."""
    first = context(method("mib"), old=(), new=(DISC,))
    trainer_of(method("mib"), first, 60, **QUICK).run()
    assert dice(first, DISC) > 0.8
    return bits(first.model)


def second_step(taught, name, **options):
    chosen = method(name, **options)
    ctx = context(chosen)
    ctx.teacher_model.load_state_dict(taught)
    ctx.model.load_state_dict(taught, strict=False)
    if chosen.balanced:
        ctx.model.output.balance([SQUARE])
    ctx.prototypes = class_means(ctx.teacher_model, cases((DISC,), seed=7), [DISC], CPU)
    chosen.begin_step(ctx)
    return chosen, ctx


@pytest.mark.parametrize(
    ("name", "kept"), [("mib", True), ("pseudo-label", True), ("plop", True), ("finetune-softmax", False)]
)
def test_the_old_structure_is_kept_where_finetuning_loses_it(taught, name, kept):
    chosen, ctx = second_step(taught, name)
    before = dice(ctx, DISC)
    trainer_of(chosen, ctx, 100, **QUICK).run()
    assert dice(ctx, SQUARE) > 0.8
    assert dice(ctx, DISC) > 0.8 * before if kept else dice(ctx, DISC) < 0.3


@pytest.mark.parametrize(
    ("name", "options", "weight", "form"),
    [
        ("mib", {}, 10, unbiased_distillation),
        ("lwf", {}, 100, distillation),
        ("lwf", {"distillation": 2.0}, 2, distillation),
        ("ilt", {}, 100, distillation),
    ],
)
def test_distillation_has_the_authors_form_and_weight(name, options, weight, form):
    chosen = method(name, **options)
    ctx = context(chosen)
    ctx.model.eval()
    with torch.no_grad():
        ctx.model.trunks[0].down[0][0].conv.weight.mul_(1.5)  # the model has moved since the step began
    drawn = batch(ctx)
    drawn.ignore[:, 16:] = True  # padding
    now, before = ctx.model(drawn.image), ctx.teacher(drawn.image)
    terms = chosen.training_loss(drawn, ctx)
    torch.testing.assert_close(terms["distillation"], weight * form(now.logits, before.logits, [1], [1], ~drawn.ignore))
    if name == "ilt":
        upper = [output.features.abstraction[:, :, :4] for output in (now, before)]
        expected = 100 * F.mse_loss(*upper)
        assert expected > 0
        torch.testing.assert_close(terms["features"], expected)


def test_lwf_takes_old_voxels_for_background_and_mib_does_not():
    found = {}
    for name in ("lwf", "mib"):
        chosen = method(name)
        ctx = context(chosen)
        ctx.model.eval()
        drawn = batch(ctx)
        q = ctx.model(drawn.image).logits.softmax(1)
        label = drawn.label[:, 1].bool()
        unlabelled = {"lwf": q[:, 0], "mib": q[:, 0] + q[:, 1]}[name]
        expected = -torch.where(label, q[:, 2], unlabelled).log().mean()
        found[name] = chosen.training_loss(drawn, ctx)["cross_entropy"]
        torch.testing.assert_close(found[name], expected)
    assert found["mib"] != found["lwf"]
