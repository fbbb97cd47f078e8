"""What a step hands to its method."""

import pytest
import torch
from tiny import BAR, DISC, SQUARE, context, method


def test_old_structures_are_those_that_are_not_taught():
    assert context(method("finetune"), old=(DISC, BAR)).old == (DISC, BAR)
    assert context(method("finetune"), old=(DISC, BAR), improve=True).old == (DISC, BAR)
    assert context(method("finetune"), old=()).old == ()


def test_rows_are_places_in_the_list_of_all_structures():
    ctx = context(method("finetune"), old=(DISC, BAR))
    assert ctx.structures == (DISC, BAR, SQUARE)
    assert ctx.rows([SQUARE, DISC]) == [2, 0]
    assert ctx.rows([]) == []


def test_the_teacher_gives_an_opinion_without_gradient_or_dropout():
    ctx = context(method("lwfseg"))
    image = torch.randn(2, 1, 16, 16, requires_grad=True)
    one, other = ctx.teacher(image, [DISC]), ctx.teacher(image)
    assert not one.logits.requires_grad
    assert tuple(one.logits.shape) == (2, 1, 2, 16, 16)
    assert torch.equal(one.logits, other.logits)


def test_generators_depend_on_seed_and_purpose_alone():
    def drawn(seed, purpose):
        ctx = context(method("finetune"), old=(), seed=seed)
        torch.rand(3)
        return torch.rand(4, generator=ctx.generator(purpose)).tolist()

    assert drawn(1, 5) == drawn(1, 5)
    assert len({tuple(drawn(seed, purpose)) for seed in (0, 1) for purpose in (0, 1, 2)}) == 6


def test_a_missing_teacher_is_a_fault_of_the_method():
    with pytest.raises(AssertionError, match="needs"):
        context(method("lwfseg"), old=()).teacher(torch.zeros(1, 1, 16, 16))
