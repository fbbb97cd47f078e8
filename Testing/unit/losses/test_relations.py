import math

import pytest
import torch
from torch.nn import functional as F

from IncrementalSegLib.losses.relations import prototype_contrast, relation_distillation


def unit(count, seed=0):
    return F.normalize(torch.randn(count, 5, generator=torch.Generator().manual_seed(seed)).double(), dim=1)


def test_relations_equal_a_loop():
    means, teacher = unit(4), unit(4, 1)
    total = 0.0
    for row in range(4):
        others = [column for column in range(4) if column != row]
        now = [math.exp(float(means[row] @ means[column]) / 0.2) for column in others]
        before = [math.exp(float(teacher[row] @ teacher[column]) / 0.5) for column in others]
        total -= sum(b / sum(before) * math.log(n / sum(now)) for n, b in zip(now, before, strict=True))
    assert float(relation_distillation(means, teacher, 0.2, 0.5)) == pytest.approx(total / 4, rel=1e-6)


@pytest.mark.parametrize("classes", [0, 1, 2])
def test_few_classes_have_no_relations(classes):
    means = unit(classes).requires_grad_()
    term = relation_distillation(means, unit(classes, 1))
    term.backward()
    assert term == 0
    assert torch.isfinite(means.grad).all()


def test_relations_pull_towards_the_previous_models():
    teacher = unit(4)
    means = unit(4, 1).requires_grad_()
    optimiser = torch.optim.Adam([means], lr=0.05)
    for _ in range(300):
        optimiser.zero_grad()
        relation_distillation(F.normalize(means, dim=1), teacher, 0.2, 0.2).backward()
        optimiser.step()
    now, before = (
        ((item @ item.T / 0.2).fill_diagonal_(-1e9)).softmax(1) for item in (F.normalize(means, dim=1), teacher)
    )
    torch.testing.assert_close(now, before, atol=0.02, rtol=0)


def test_contrast_hand_table():
    prototypes = torch.eye(3, dtype=torch.float64)
    means = torch.tensor([[0.5, 0.0, 0.0], [0.0, 0.1, 0.3]], dtype=torch.float64)
    wanted = [
        -math.log(math.exp(5) / (math.exp(5) + 2)),
        -math.log(math.exp(3) / (1 + math.exp(1) + math.exp(3))),
    ]
    assert float(prototype_contrast(means, prototypes, torch.tensor([0, 2]))) == pytest.approx(sum(wanted) / 2)


def test_contrast_of_nothing_is_zero():
    nothing = torch.zeros(0, dtype=torch.long)
    assert prototype_contrast(torch.zeros(0, 3), torch.eye(3), nothing) == 0
    assert prototype_contrast(torch.zeros(0, 3), torch.zeros(0, 3), nothing) == 0
