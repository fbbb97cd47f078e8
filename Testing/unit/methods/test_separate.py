"""Separate networks: nothing is shared, so nothing can be forgotten."""

import torch
from tiny import BAR, DISC, SQUARE, bits, changed, context, method
from tiny import trainer as trainer_of


def test_each_structure_has_a_trunk_of_its_own():
    ctx = context(method("separate"), old=(DISC,), new=(SQUARE, BAR))
    assert ctx.model.trunk_of == {DISC: 0, SQUARE: 1, BAR: 2}


def test_old_trunk_and_head_are_bit_identical_afterwards():
    chosen = method("separate")
    ctx = context(chosen)
    image = torch.randn(2, 1, 32, 32)
    ctx.model.eval()
    opinion, before = ctx.model(image, [DISC]).logits, bits(ctx.model)
    trainer_of(chosen, ctx, 6).run()
    moved = changed(before, bits(ctx.model))
    assert moved
    assert all(name.startswith(("trunks.1", f"output.heads.{SQUARE}")) for name in moved)
    ctx.model.eval()
    assert torch.equal(ctx.model(image, [DISC]).logits, opinion)


def test_the_first_structure_is_learned_as_by_finetune():
    weights = []
    for name in ("separate", "finetune"):
        chosen = method(name)
        ctx = context(chosen, old=())
        trainer_of(chosen, ctx).run()
        weights.append(bits(ctx.model))
    assert changed(*weights) == set()
