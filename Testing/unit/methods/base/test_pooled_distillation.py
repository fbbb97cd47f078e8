"""PLOP: its cross-entropy against a plain loop, its thresholds, its distillation of pooled maps."""

import math
from functools import partial

import pytest
import torch
from tiny import BAR, DISC, SQUARE, batch, cases, context, method, trainer
from torch.nn import functional as F

from IncrementalSegLib.losses.pod import local_pod
from IncrementalSegLib.losses.pseudo_labels import entropy
from IncrementalSegLib.methods.base.softmax_classes import SoftmaxClasses
from IncrementalSegLib.prototypes.bank import BACKGROUND


@pytest.fixture
def step():
    """A step of PLOP whose previous model finds the background and two structures about equally often."""
    chosen = method("plop", dice=False)
    ctx = context(chosen, old=(DISC, BAR), new=(SQUARE,))
    with torch.no_grad():
        for module in ctx.teacher_model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.bias.fill_(1.0)  # no voxel without a feature: such voxels are all alike
        logits = ctx.teacher(batch(ctx).image).logits
        for row, mean in zip(ctx.teacher_model.output.rows.values(), logits.mean((0, 2, 3)), strict=True):
            row.bias -= mean
            row.weight *= 3
        ctx.model.trunks[0].down[0][0].conv.weight.mul_(1.5)  # the model has moved since the step began
    chosen.begin_step(ctx)
    ctx.model.eval()
    return chosen, ctx, batch(ctx)


def test_cross_entropy_equals_the_loop(step):
    chosen, ctx, drawn = step
    drawn.ignore[0, :9] = True
    with torch.no_grad():
        found = chosen.training_loss(drawn, ctx)["cross_entropy"]
        loss = -ctx.model(drawn.image).logits.log_softmax(1)
        p = ctx.teacher(drawn.image).logits.softmax(1)
    limits = chosen.threshold(ctx)
    label = drawn.label[:, ctx.structures.index(SQUARE)].bool()
    total, counts = 0.0, {"accepted": 0, "rejected": 0}
    for item in range(len(label)):
        mine, accepted, unlabelled = 0.0, 0, 0
        for row, column in (~drawn.ignore[item]).nonzero().tolist():
            voxel = (item, slice(None), row, column)
            if label[item, row, column]:
                mine += float(loss[voxel][3])
                continue
            unlabelled += 1
            winner = int(p[voxel].argmax())
            if float(entropy(p[voxel].view(1, -1, 1))) < float(limits[winner]):
                accepted += 1
                mine += float(loss[voxel][winner])
        total += mine * accepted / unlabelled
        counts["accepted"] += accepted
        counts["rejected"] += unlabelled - accepted
    assert min(counts.values()) > 50
    assert found.item() == pytest.approx(total / int((~drawn.ignore).sum()), rel=1e-4)


def test_thresholds_are_medians_but_not_below_the_least(step):
    chosen, ctx, _ = step
    assert set(ctx.memory.data["plop/thresholds"]) == {BACKGROUND, DISC, BAR}
    medians = chosen.threshold(ctx)
    assert (medians > 0.05).all()
    strict = method("plop", threshold=0.9)
    strict.begin_step(ctx)
    assert (strict.threshold(ctx) >= 0.9 - 1e-6).all()


@pytest.mark.parametrize("options", [{"threshold": 0.001}, {}])
def test_the_least_threshold_is_read_in_the_unit_that_is_asked_for(options):
    """In the authors' code the entropy is divided by C log C' too: 3 and log 4 here."""
    ctx = context(method("plop"), old=(DISC, BAR), new=(SQUARE,))
    with torch.no_grad():
        ctx.teacher_model.output.part(DISC).bias += 100  # sure of everything
    for unit, factor in (("normalised", 1.0), ("authors", 3 * math.log(4))):
        chosen = method("plop", threshold_unit=unit, **options)
        chosen.begin_step(ctx)
        wanted = chosen.options.threshold * factor
        assert chosen.threshold(ctx).tolist() == pytest.approx([wanted] * 3)


def test_what_was_measured_is_dropped_at_the_end(step):
    chosen, ctx, _ = step
    chosen.remember(ctx)
    assert ctx.memory.data == {}


@pytest.mark.parametrize(("norm", "weights"), [("relative", (0.1, 0.005)), ("raw", (0.01, 0.0005))])
def test_pod_is_the_mean_over_all_maps_and_logits(step, norm, weights):
    _, ctx, drawn = step
    chosen = method("plop", pod_norm=norm, **({} if norm == "relative" else {"pod": 0.01, "pod_logits": 0.0005}))
    drawn.ignore[0, :, 20:] = True  # padding
    with torch.no_grad():
        now, before = ctx.model(drawn.image), ctx.teacher(drawn.image)
        found = chosen.training_loss(drawn, ctx)["pod"]
    pairs = [*zip(now.features.encoder, before.features.encoder, strict=True)]
    pairs += [(getattr(now.features, name), getattr(before.features, name)) for name in ("abstraction", "decoder")]
    apart = partial(local_pod, valid=~drawn.ignore, relative=norm == "relative")
    terms = [weights[0] * apart(*pair) for pair in pairs]
    merged = torch.cat([now.logits[:, :1] + now.logits[:, 3:], now.logits[:, 1:3]], 1)
    terms.append(weights[1] * apart(merged, before.logits))
    expected = math.sqrt(4 / 1) * sum(terms) / len(terms)
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)
    assert min(terms) > 0


@pytest.mark.parametrize("frozen", [True, False])
def test_nothing_is_distilled_while_nothing_has_changed_if_both_are_normalised_alike(frozen):
    """A model in training is normalised by its batch, the previous one by running statistics."""
    chosen = method("plop", pod_logits=0.0, norm="freeze_after_first_step" if frozen else "train")
    ctx = context(chosen)
    ctx.model.trunks[0].drop.p = 0.0
    drawn = batch(ctx)
    trainer(chosen, ctx)._train_mode(chosen.phases(ctx)[0])
    assert (chosen.training_loss(drawn, ctx)["pod"].item() == 0) is frozen


def test_pod_grows_as_classes_outnumber_new_ones():
    chosen = method("plop", pod=0.0)
    ctx = context(chosen, new=(SQUARE, BAR))
    ctx.model.eval()
    drawn = batch(ctx)
    with torch.no_grad():
        now, before = ctx.model(drawn.image).logits, ctx.teacher(drawn.image).logits
        found = chosen.training_loss(drawn, ctx)["pod"]
    merged = torch.stack([now[:, [0, 2, 3]].sum(1), now[:, 1]], 1)
    term = local_pod(merged, before, ~drawn.ignore, relative=True)
    torch.testing.assert_close(found, math.sqrt(4 / 2) * 0.005 * term / 5)  # four maps and logits


@pytest.mark.parametrize(("options", "rejected"), [({}, "background"), ({"rejected": "ignore"}, "ignore")])
def test_pseudo_label_is_the_cross_entropy_on_both_labels(step, options, rejected):
    _, ctx, drawn = step
    with torch.no_grad():
        p = ctx.teacher(drawn.image).logits.softmax(1)
        logits = ctx.model(drawn.image).logits
    for threshold in (1.0, 0.4):
        sure = entropy(p) < threshold
        column = torch.where(sure, p.argmax(1), 0)
        column = torch.where(drawn.label[:, ctx.structures.index(SQUARE)].bool(), 3, column)
        losses = F.cross_entropy(logits, column, reduction="none")
        if rejected == "ignore":
            losses = losses * (sure | (column == 3))
        chosen = method("pseudo-label", threshold=threshold, dice=False, **options)
        found = chosen.training_loss(drawn, ctx)
        assert set(found) == {"cross_entropy"}
        assert found["cross_entropy"].item() == pytest.approx(losses.mean().item(), rel=1e-5)


def test_a_pseudo_label_of_background_may_hide_what_was_not_looked_for():
    """Where nobody looked for the bar, the previous model's background is background or bar."""
    chosen = method("pseudo-label", dice=False)
    ctx = context(chosen, new=(SQUARE, BAR), scans=cases((SQUARE,), 2))
    with torch.no_grad():
        ctx.teacher_model.output.rows["background"].bias += 100  # finds nothing
    ctx.model.eval()
    drawn = batch(ctx)
    target = SoftmaxClasses.target(drawn, ctx)
    q = ctx.model(drawn.image).logits.softmax(1)
    expected = -torch.where(target.column == 2, q[:, 2], q[:, 0] + q[:, 3]).log().mean()
    torch.testing.assert_close(chosen.training_loss(drawn, ctx)["cross_entropy"], expected)
