import math

import pytest
import torch
from torch.nn import functional as F

from IncrementalSegLib.losses.relations import prototype_contrast, relation_distillation


def unit(count, seed=0):
    return F.normalize(torch.randn(count, 5, generator=torch.Generator().manual_seed(seed)).double(), dim=1)


def every(classes):
    return torch.ones(classes, dtype=torch.bool)


def test_relations_equal_a_loop():
    means, teacher = unit(4), unit(4, 1)
    total = 0.0
    for row in range(4):
        others = [column for column in range(4) if column != row]
        now = [math.exp(float(means[row] @ means[column]) / 0.2) for column in others]
        before = [math.exp(float(teacher[row] @ teacher[column]) / 0.5) for column in others]
        total -= sum(b / sum(before) * math.log(n / sum(now)) for n, b in zip(now, before, strict=True))
    assert float(relation_distillation(means, teacher, every(4), 0.2, 0.5)) == pytest.approx(total / 4, rel=1e-6)
    more = [torch.cat([item[:2], unit(1, 7), item[2:]]) for item in (means, teacher)]
    present = torch.tensor([True, True, False, True, True])
    assert float(relation_distillation(*more, present, 0.2, 0.5)) == pytest.approx(total / 4, rel=1e-6)


@pytest.mark.parametrize("classes", [0, 1, 2])
def test_few_classes_have_no_relations(classes):
    means = unit(5).requires_grad_()
    term = relation_distillation(means, unit(5, 1), torch.arange(5) < classes)
    term.backward()
    assert term == 0
    assert torch.isfinite(means.grad).all()


def test_relations_pull_towards_the_previous_models():
    teacher = unit(4)
    means = unit(4, 1).requires_grad_()
    optimiser = torch.optim.Adam([means], lr=0.05)
    for _ in range(300):
        optimiser.zero_grad()
        relation_distillation(F.normalize(means, dim=1), teacher, every(4), 0.2, 0.2).backward()
        optimiser.step()
    now, before = (
        ((item @ item.T / 0.2).fill_diagonal_(-1e9)).softmax(1) for item in (F.normalize(means, dim=1), teacher)
    )
    torch.testing.assert_close(now, before, atol=0.02, rtol=0)


def test_contrast_hand_table():
    prototypes = torch.eye(3, dtype=torch.float64)
    means = torch.tensor([[0.5, 0.0, 0.0], [9.0, 9.0, 9.0], [0.0, 0.1, 0.3]], dtype=torch.float64)
    wanted = [
        -math.log(math.exp(5) / (math.exp(5) + 2)),
        -math.log(math.exp(3) / (1 + math.exp(1) + math.exp(3))),
    ]
    present = torch.tensor([True, False, True])
    assert float(prototype_contrast(means, prototypes, every(3), present)) == pytest.approx(sum(wanted) / 2)


def test_contrast_leaves_out_what_has_no_prototype():
    means = unit(3).requires_grad_()
    known = torch.tensor([True, False, True])
    term = prototype_contrast(means, torch.eye(3, means.shape[1], dtype=means.dtype), known, known)
    among = means.detach()[[0, 2]] @ torch.eye(3, means.shape[1], dtype=means.dtype)[[0, 2]].T / 0.1
    torch.testing.assert_close(term.double(), F.cross_entropy(among, torch.arange(2)), atol=1e-6, rtol=1e-6)
    term.backward()
    assert torch.isfinite(means.grad).all()
    assert means.grad[1].abs().max() == 0


def test_contrast_of_nothing_is_zero():
    means = torch.zeros(3, 3, requires_grad=True)
    term = prototype_contrast(means, torch.zeros(3, 3), ~every(3), ~every(3))
    term.backward()
    assert term == 0
    assert means.grad.abs().max() == 0
