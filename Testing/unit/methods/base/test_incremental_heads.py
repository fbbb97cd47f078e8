"""Eq. 1 of Ozdemir 2018, its two recipes, and the equivalences that follow from it."""

from dataclasses import replace

import pytest
import torch
from pydantic import ValidationError
from tiny import BAR, DISC, SQUARE, batch, bits, cases, changed, context, method
from tiny import trainer as trainer_of
from torch import nn

from IncrementalSegLib.losses.heads import cross_entropy, inverse_frequency, margin, soft_dice
from IncrementalSegLib.methods.base.incremental_heads import DistillingOptions, HeadOptions, RehearsingOptions
from IncrementalSegLib.networks.config import SegmenterConfig
from IncrementalSegLib.networks.dropout import ChannelDropout

OFFICIAL = {"recipe": "official2019"}


def seeded(ctx):
    ctx.model.train()
    ChannelDropout.seed(ctx.model, torch.Generator().manual_seed(1))


def terms_of(chosen, ctx, drawn):
    seeded(ctx)
    return chosen.training_loss(drawn, ctx)


def student(ctx, drawn, *structures):
    """Logits of the same pass with the same dropout masks."""
    seeded(ctx)
    return ctx.model(drawn.image, structures).logits


def teacher(ctx, drawn, *structures):
    with torch.no_grad():
        return torch.sigmoid(margin(ctx.teacher_model(drawn.image, structures).logits))


EVERYWHERE = torch.ones(1, 1, 1, 1, dtype=torch.bool)


class TestEquation1:
    @pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
    def test_new_data_weigh_new_against_old_by_alpha(self, alpha):
        chosen = method("lwfseg", alpha=alpha)
        ctx = context(chosen)
        drawn = batch(ctx)
        terms = terms_of(chosen, ctx, drawn)
        logits, label = student(ctx, drawn, SQUARE, DISC), drawn.label[:, [1]]
        assert set(terms) == {"cross_entropy", "dice", "distillation"}
        torch.testing.assert_close(terms["cross_entropy"], alpha * cross_entropy(logits[:, :1], label, EVERYWHERE))
        torch.testing.assert_close(terms["dice"], alpha * soft_dice(logits[:, :1], label, EVERYWHERE))
        expected = (1 - alpha) * cross_entropy(logits[:, 1:], teacher(ctx, drawn, DISC), EVERYWHERE)
        torch.testing.assert_close(terms["distillation"], expected)

    def test_exemplars_distil_alone_and_with_full_weight(self):
        chosen = method("aeiseg", alpha=0.3)
        ctx = context(chosen)
        drawn = batch(ctx, "exemplar")
        terms = terms_of(chosen, ctx, drawn)
        expected = cross_entropy(student(ctx, drawn, DISC), teacher(ctx, drawn, DISC), EVERYWHERE)
        assert set(terms) == {"distillation"}
        torch.testing.assert_close(terms["distillation"], expected)

    def test_without_old_structures_there_is_no_alpha(self):
        chosen = method("lwfseg", alpha=0.3)
        ctx = context(chosen, old=())
        drawn = batch(ctx)
        terms = terms_of(chosen, ctx, drawn)
        expected = cross_entropy(student(ctx, drawn, SQUARE), drawn.label, EVERYWHERE)
        assert set(terms) == {"cross_entropy", "dice"}
        torch.testing.assert_close(terms["cross_entropy"], expected)

    @pytest.mark.parametrize(("reduction", "factor"), [("sum", 2.0), ("mean", 1.0)])
    def test_old_heads_are_joined_as_asked(self, reduction, factor):
        chosen = method("lwfseg", distill_reduction=reduction)
        ctx = context(chosen, old=(DISC, BAR))
        drawn = batch(ctx)
        found = terms_of(chosen, ctx, drawn)["distillation"]
        logits = student(ctx, drawn, SQUARE, DISC, BAR)[:, 1:]
        heads = [
            cross_entropy(logits[:, [row]], teacher(ctx, drawn, item), EVERYWHERE)
            for row, item in enumerate((DISC, BAR))
        ]
        torch.testing.assert_close(found, 0.5 * factor * (heads[0] + heads[1]) / 2)

    def test_dice_can_be_left_out(self):
        chosen = method("finetune", dice=False)
        ctx = context(chosen)
        assert set(terms_of(chosen, ctx, batch(ctx))) == {"cross_entropy"}

    @pytest.mark.parametrize("options", [{}, {"norm": "freeze_after_first_step"}])
    def test_alpha_one_without_exemplars_has_the_gradients_of_finetune(self, options):
        """Old heads without batch normalisation and decay: their gradients are zero."""
        found = []
        for chosen in (method("lwfseg", alpha=1.0, **options), method("finetune", **options)):
            ctx = context(chosen)
            total = torch.stack(list(terms_of(chosen, ctx, batch(ctx)).values())).sum()
            total.backward()
            found.append((total.detach(), dict(ctx.model.named_parameters())))
        (one, distilled), (other, plain) = found
        torch.testing.assert_close(one, other)
        for name, parameter in plain.items():
            if name.startswith(f"output.heads.{DISC}"):
                assert parameter.grad is None
                assert not distilled[name].grad.any()
            else:
                assert parameter.grad.any()
                torch.testing.assert_close(distilled[name].grad, parameter.grad, rtol=1e-4, atol=1e-6)


class TestExemplarTarget:
    def drawn(self, ctx):
        """Exemplars of which two items know their label."""
        found = batch(ctx, "exemplar")
        known = torch.zeros_like(found.looked_for)
        known[:2, 0] = True
        return replace(found, looked_for=known)

    @pytest.mark.parametrize(("kind", "share"), [("teacher", 0.0), ("gt", 1.0), ("mix", 0.5)])
    def test_labels_stand_in_where_they_are_known(self, kind, share):
        chosen = method("aeiseg", exemplar_target=kind)
        ctx = context(chosen)
        drawn = self.drawn(ctx)
        target = teacher(ctx, drawn, DISC)
        target[:2] = share * drawn.label[:2, [0]] + (1 - share) * target[:2]
        expected = cross_entropy(student(ctx, drawn, DISC), target, EVERYWHERE)
        torch.testing.assert_close(terms_of(chosen, ctx, drawn)["distillation"], expected)

    @pytest.mark.parametrize("kind", ["gt", "mix"])
    def test_unknown_labels_have_no_say(self, kind):
        chosen = method("aeiseg", exemplar_target=kind)
        ctx = context(chosen)
        drawn = self.drawn(ctx)
        label = drawn.label.clone()
        label[2:] = 1 - label[2:]
        one, other = (terms_of(chosen, ctx, item)["distillation"] for item in (drawn, replace(drawn, label=label)))
        assert torch.equal(one, other)

    def test_new_data_always_follow_the_teacher(self):
        losses = []
        for kind in ("teacher", "gt"):
            chosen = method("aeiseg", exemplar_target=kind)
            ctx = context(chosen)
            drawn = replace(batch(ctx), looked_for=torch.ones(4, 2, dtype=torch.bool))
            losses.append(terms_of(chosen, ctx, drawn)["distillation"])
        assert torch.equal(*losses)


class TestOfficial2019:
    def test_its_loss_is_the_weighted_cross_entropy_without_alpha(self):
        chosen = method("lwfseg", alpha=0.1, **OFFICIAL)
        ctx = context(chosen, old=(DISC, BAR))
        ctx.voxel_counts = {DISC: (900, 100), BAR: (200, 800), SQUARE: (700, 300)}
        drawn = batch(ctx)
        terms = terms_of(chosen, ctx, drawn)
        logits = student(ctx, drawn, SQUARE, DISC, BAR)
        new = inverse_frequency(torch.tensor([[700.0, 300.0]]))
        old = inverse_frequency(torch.tensor([[900.0, 100.0], [200.0, 800.0]]))
        assert set(terms) == {"cross_entropy", "distillation"}
        expected = cross_entropy(logits[:, :1], drawn.label[:, [2]], EVERYWHERE, new)
        torch.testing.assert_close(terms["cross_entropy"], expected)
        expected = cross_entropy(logits[:, 1:], teacher(ctx, drawn, DISC, BAR), EVERYWHERE, old, "sum")
        torch.testing.assert_close(terms["distillation"], expected)

    def test_it_designs_deeper_heads(self):
        plain = SegmenterConfig(network="unet2d")
        assert method("finetune").design(plain) == plain
        deeper = method("finetune", **OFFICIAL).design(plain)
        assert (deeper.head_depth, deeper.head_norm) == (2, True)
        assert (deeper.dropout, deeper.norm_momentum) == (0.5, 0.01)
        same = {"head_depth": 0, "head_norm": False, "dropout": plain.dropout, "norm_momentum": plain.norm_momentum}
        assert deeper.model_copy(update=same) == plain

    @pytest.mark.parametrize("options", [HeadOptions, DistillingOptions, RehearsingOptions])
    def test_it_sets_its_defaults_and_what_is_named_wins(self, options):
        paper, official = options(), options(recipe="official2019")
        assert (paper.dice, paper.candidates, paper.keep, paper.select_background) == (True, 50, 30, False)
        assert (official.dice, official.candidates, official.keep, official.select_background) == (
            False,
            1000,
            100,
            True,
        )
        named = options.model_validate({"recipe": "official2019", "dice": "true", "keep": "7"})
        assert (named.dice, named.keep, named.candidates) == (True, 7, 1000)
        if options is RehearsingOptions:
            assert (paper.rehearse, official.rehearse) == (30, 100)
        again = options.model_validate(named.model_dump())
        assert again == named


@pytest.mark.parametrize(
    ("options", "wrong"),
    [
        (HeadOptions, {"alpha": 0.5}),
        (HeadOptions, {"recipe": "paper2017"}),
        (DistillingOptions, {"alpha": 1.1}),
        (DistillingOptions, {"alpha": "nan"}),
        (DistillingOptions, {"p_exemplar": 0.5}),
        (RehearsingOptions, {"p_exemplar": 1.0}),
        (RehearsingOptions, {"rehearse": 0}),
        (RehearsingOptions, {"recipe": "official2019", "colour": 3}),
    ],
)
def test_wrong_options_are_refused(options, wrong):
    with pytest.raises(ValidationError):
        options(**wrong)


def test_defaults_are_those_of_the_paper():
    options = RehearsingOptions()
    assert (options.recipe, options.alpha, options.p_exemplar) == ("paper2018", 0.5, 0.5)
    assert (options.candidates, options.keep, options.passes) == (50, 30, 29)
    assert (options.exemplar_target, options.distill_reduction, options.norm) == ("teacher", "sum", "train")


@pytest.mark.parametrize(("norm", "moves"), [("train", True), ("freeze_after_first_step", False)])
@pytest.mark.parametrize("first", [True, False])
def test_statistics_of_the_trunk_are_frozen_after_the_first_step_on_request(norm, moves, first):
    chosen = method("finetune", norm=norm)
    ctx = context(chosen, old=() if first else (DISC,))
    before = bits(ctx.model)
    trainer_of(chosen, ctx).run()
    moved = {name for name in changed(before, bits(ctx.model)) if "running" in name}
    assert bool(moved) is (moves or first)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in ctx.model.output.modules())


def test_frozen_statistics_leave_those_of_new_heads_free():
    chosen = method("lwfseg", norm="freeze_after_first_step", **OFFICIAL)
    ctx = context(chosen)
    before = bits(ctx.model)
    trainer_of(chosen, ctx).run()
    moved = {name for name in changed(before, bits(ctx.model)) if "running" in name}
    assert moved
    assert all(name.startswith("output") for name in moved)


def test_several_new_structures_are_taught_at_once():
    chosen = method("lwfseg")
    ctx = context(chosen, new=(SQUARE, BAR), scans=cases((BAR, SQUARE)))
    drawn = batch(ctx)
    terms = terms_of(chosen, ctx, drawn)
    logits = student(ctx, drawn, SQUARE, BAR, DISC)[:, :2]
    torch.testing.assert_close(terms["dice"], 0.5 * soft_dice(logits, drawn.label[:, 1:], EVERYWHERE))
