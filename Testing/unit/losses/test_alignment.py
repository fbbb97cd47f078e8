import pytest
import torch

from IncrementalSegLib.losses.alignment import prototype_alignment


def test_hand_table():
    means = torch.tensor([[1.0, 2.0], [0.0, 0.0], [5.0, 5.0]], dtype=torch.float64)
    targets = torch.tensor([[0.0, 0.0], [3.0, 4.0], [0.0, 0.0]], dtype=torch.float64)
    assert float(prototype_alignment(means, targets, torch.tensor([True, True, True]))) == pytest.approx(80 / 3)
    assert float(prototype_alignment(means, targets, torch.tensor([True, True, False]))) == pytest.approx(30 / 3)


def test_no_class_gives_zero():
    assert prototype_alignment(torch.zeros(0, 4), torch.zeros(0, 4), torch.zeros(0, dtype=torch.bool)) == 0


def test_targets_and_absent_classes_get_no_gradient():
    means, targets = torch.ones(2, 3, requires_grad=True), torch.zeros(2, 3, requires_grad=True)
    prototype_alignment(means, targets, torch.tensor([True, False])).backward()
    assert targets.grad is None
    assert torch.equal(means.grad, torch.tensor([[1.0] * 3, [0.0] * 3]))
