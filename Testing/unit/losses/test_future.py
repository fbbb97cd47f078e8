import math

import pytest
import torch

from IncrementalSegLib.losses.classes import merged_log_softmax, unbiased_distillation
from IncrementalSegLib.losses.future import background_split, compatible_distillation


def case(seed=0, batch=2, size=(3, 4)):
    random = torch.Generator().manual_seed(seed)
    logits, teacher = torch.randn(batch, 5, *size, generator=random), torch.randn(batch, 3, *size, generator=random)
    column = torch.tensor([0, 3, 4])[torch.randint(0, 3, (batch, *size), generator=random)]
    return logits, teacher, column, torch.rand(batch, *size, generator=random) < 0.7


def hidden(*columns):
    found = torch.zeros(2, 5, dtype=torch.bool)
    found[:, [0, *columns]] = True
    return found


@pytest.mark.parametrize("size", [(3, 4), (2, 2, 3)])
def test_distillation_equals_a_loop(size):
    logits, teacher, column, valid = case(size=size)
    found = compatible_distillation(logits, teacher, [1, 2], [1, 2], column, hidden(1, 2), valid)
    total = 0.0
    for item, *place in valid.nonzero().tolist():
        q, p = (entry[(item, slice(None), *place)].softmax(0) for entry in (logits, teacher))
        label = int(column[(item, *place)])
        total -= float(p[0] * q[label].log() + p[1] * q[1].log() + p[2] * q[2].log()) / 3
    assert float(found) == pytest.approx(total / int(valid.sum()), rel=1e-5)


def test_what_was_not_looked_for_may_be_what_was_background():
    """Without labels, and with no new structure looked for, this is MiB's distillation."""
    logits, teacher, column, valid = case()
    nothing = torch.zeros_like(column)
    found = compatible_distillation(logits, teacher, [1, 2], [1, 2], nothing, hidden(1, 2, 3, 4), valid)
    torch.testing.assert_close(found, unbiased_distillation(logits, teacher, [1, 2], [1, 2], valid))


def test_a_labelled_structure_receives_the_background():
    """Where the previous model saw background, only the labelled column gains."""
    teacher = torch.tensor([9.0, -9.0, -9.0]).view(1, 3, 1)
    logits = torch.zeros(1, 5, 1, requires_grad=True)
    args = ([1, 2], [1, 2], torch.full((1, 1), 4), hidden()[:1], torch.ones(1, 1, dtype=torch.bool))
    compatible_distillation(logits, teacher, *args).backward()
    assert (logits.grad.flatten() < 0).tolist() == [False, False, False, False, True]


def test_a_labelled_old_structure_does_not():
    logits, teacher, _, valid = case()
    args = (logits, teacher, [1, 2], [1, 2])
    old = compatible_distillation(*args, torch.ones_like(valid).long(), hidden(), valid)
    none = compatible_distillation(*args, torch.zeros_like(valid).long(), hidden(), valid)
    assert torch.equal(old, none)


def test_the_split_is_what_a_channel_adds_to_the_cross_entropy():
    """Cross-entropy with a channel for the future = that of both together + the split within the two."""
    logits = torch.randn(2, 4, 6, generator=torch.Generator().manual_seed(0))  # background, structures, future
    future = torch.rand(2, 6, generator=torch.Generator().manual_seed(1)) < 0.5
    every = torch.ones_like(future)
    whole = torch.nn.functional.cross_entropy(logits, torch.where(future, 3, 0))
    together = -merged_log_softmax(logits, [1, 2])[:, 0].mean()
    split = background_split(logits[:, [0, 3]], future, every, temperature=1.0)
    torch.testing.assert_close(whole, together + split)


def test_the_split_hand_table():
    cosines = torch.tensor([[[0.9, 0.2], [0.5, 0.6]]])
    future, valid = torch.tensor([[False, True]]), torch.ones(1, 2, dtype=torch.bool)
    wanted = (math.log(1 + math.exp(-4)) + math.log(1 + math.exp(-4))) / 2
    assert float(background_split(cosines, future, valid)) == pytest.approx(wanted, rel=1e-5)
    assert background_split(cosines, future, ~valid) == 0
