"""Deep supervision: the labels teach coarser levels too, alike for every method, and nothing else changes."""

from __future__ import annotations

import pytest
import torch
from monai.losses import DiceLoss
from supervised import TOPOLOGY, supervised_step
from tiny import BAR, DISC, SQUARE, batch, context, method, trainer
from torch.nn import functional as F

from IncrementalSegLib.engine.step.deep_supervision import TERM, DeepSupervision
from IncrementalSegLib.methods.base.method import LABEL_TERMS, TrainingPhase

WEIGHTS = (4 / 7, 2 / 7, 1 / 7)
ONE_OF_EACH_OUTPUT = ("finetune", "lwfseg", "adapter", "decoder", "separate", "mib", "cfil", "dodnet")


def losses(chosen, ctx, deep, part):
    """Return the terms of a batch without and with deep supervision."""
    with deep.watching():
        plain = chosen.training_loss(part, ctx)
        return plain, deep.added(plain, part, ctx, chosen.label_share(part, ctx))


@pytest.mark.parametrize("name", ONE_OF_EACH_OUTPUT)
def test_labels_teach_the_coarser_levels_and_the_rest_of_the_loss_keeps_its_weight(name):
    chosen, ctx, deep = supervised_step(name)
    part = batch(ctx)
    plain, added = losses(chosen, ctx, deep, part)
    assert set(added) == {*plain, TERM}
    for term, value in plain.items():
        torch.testing.assert_close(added[term], value * (WEIGHTS[0] if term in LABEL_TERMS else 1.0))
    assert LABEL_TERMS & set(plain)
    torch.stack(list(added.values())).sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in deep.parameters())


def test_the_term_is_that_of_a_plain_loop_over_levels_and_structures():
    chosen, ctx, deep = supervised_step("finetune", new=(SQUARE, BAR))
    part, maps = batch(ctx), []
    stages = ctx.model.trunk(0).decoders[0].stages
    for stage in (stages[2], stages[1]):
        stage.register_forward_hook(lambda module, given, found: maps.append(found))
    _, added = losses(chosen, ctx, deep, part)
    expected = 0.0
    for level, (weight, head) in enumerate(zip(WEIGHTS[1:], deep.heads, strict=True)):
        (features,) = [found for found in maps if found.shape[-1] == 16 >> level]
        scores, offset = head(features), (2 << level) // 2  # the nearest voxel of those that became one
        for row, structure in enumerate((SQUARE, BAR)):
            place = ctx.structures.index(structure)
            label = part.label[:, place : place + 1, offset :: 2 << level, offset :: 2 << level].float()
            own = scores[:, row : row + 1]
            loss = F.binary_cross_entropy_with_logits(own, label) + DiceLoss(sigmoid=True, batch=True)(own, label)
            expected = expected + weight * loss / 2
    torch.testing.assert_close(added[TERM], expected)


def test_alpha_weighs_it_as_it_weighs_the_labels():
    shares = []
    for alpha in (0.5, 0.25):
        chosen = method("lwfseg", alpha=alpha)
        other, ctx, deep = supervised_step("lwfseg")
        part = batch(ctx)
        with deep.watching():
            chosen.training_loss(part, ctx)
            shares.append(deep.added({}, part, ctx, chosen.label_share(part, ctx))[TERM])
        assert chosen.label_share(batch(ctx), ctx) == alpha
        assert other.label_share(batch(ctx), ctx) == 0.5
    torch.testing.assert_close(shares[0], 2 * shares[1])


def test_without_labels_of_the_step_the_loss_is_that_of_the_method():
    chosen, ctx, deep = supervised_step("coriseg")
    plain, added = losses(chosen, ctx, deep, batch(ctx, "exemplar"))
    assert added == plain


def test_adopted_networks_and_those_of_few_levels_have_none():
    assert supervised_step("finetune", TOPOLOGY.model_copy(update={"deep": False}))[2] is None
    chosen = method("finetune")
    assert DeepSupervision.of(context(chosen)) is None


def test_the_loop_trains_the_convolutions_with_the_network_and_a_checkpoint_keeps_them():
    chosen, ctx, deep = supervised_step("mib")
    loop = trainer(chosen, ctx, steps=2, batch=2)
    loop.deep, loop.state.deep = deep, deep.state_dict()
    before = {name: value.clone() for name, value in deep.state_dict().items()}
    loop.run()
    assert all(not torch.equal(before[name], value) for name, value in deep.state_dict().items())
    _, tensors = loop.state.to_files(ctx)
    kept = {name.removeprefix("deep/"): value for name, value in tensors.items() if name.startswith("deep/")}
    assert kept.keys() == before.keys()
    assert all(torch.equal(kept[name], value) for name, value in deep.state_dict().items())
    assert TERM in loop.curve.points[-1]


def test_a_phase_that_trains_outputs_alone_has_none():
    chosen, ctx, deep = supervised_step("finetune")
    loop = trainer(chosen, ctx)
    loop.deep = deep
    phase = TrainingPhase("outputs", trains="new_outputs")
    own = {id(item) for item in deep.parameters()}
    optimiser = loop.optimiser(phase)
    assert not own & {id(item) for group in optimiser.param_groups for item in group["params"]}
    assert TERM not in loop.step(0, phase, optimiser)


def test_branches_supervise_their_own_decoder_and_leave_the_trunk():
    for name in ("adapter", "decoder"):
        chosen, ctx, deep = supervised_step(name)
        trunk = {key: value.clone() for key, value in ctx.model.trunks[0].state_dict().items()}
        loop = trainer(chosen, ctx, steps=1, batch=2)
        loop.deep = deep
        terms = loop.step(0, chosen.phases(ctx)[0], loop.optimiser(chosen.phases(ctx)[0]))
        assert terms[TERM] > 0
        assert all(torch.equal(trunk[key], value) for key, value in ctx.model.trunks[0].state_dict().items())
        assert DISC in ctx.old
