"""Finetuning: the trunk moves, old heads stay where they are, and the old structure is forgotten for it."""

import torch
from tiny import DISC, SQUARE, batch, bits, changed, context, method
from tiny import trainer as trainer_of


def test_trunk_and_new_head_move_and_old_heads_stay():
    chosen = method("finetune")
    ctx = context(chosen)
    before = bits(ctx.model)
    trainer_of(chosen, ctx).run()
    kept = set(before) - changed(before, bits(ctx.model))
    assert kept == {f"output.heads.{DISC}.score.weight", f"output.heads.{DISC}.score.bias"}


def test_it_asks_neither_teacher_nor_old_heads():
    chosen = method("finetune")
    ctx = context(chosen)
    ctx.teacher_model = None
    torch.stack(list(chosen.training_loss(batch(ctx), ctx).values())).sum().backward()
    assert all(parameter.grad is None for parameter in ctx.model.output.part(DISC).parameters())
    assert all(parameter.grad.any() for parameter in ctx.model.output.part(SQUARE).parameters())
    assert (chosen.sources(ctx), chosen.rehearsal(ctx)) == ({"new": 1.0}, [])
