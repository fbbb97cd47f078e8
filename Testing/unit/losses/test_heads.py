"""The losses of the head family against plain loops, hand-computed tables and torch.distributions."""

import math

import pytest
import torch
from torch.distributions import Categorical, kl_divergence

from IncrementalSegLib.losses.heads import cross_entropy, inverse_frequency, margin, soft_dice


@pytest.fixture
def scores(generator):
    """Logits (B, K, 2, H, W), soft targets, and about two thirds of the voxels valid."""
    logits = torch.randn(2, 3, 2, 4, 5, generator=generator) * 3
    target = torch.rand(2, 3, 4, 5, generator=generator)
    valid = torch.rand(2, 3, 4, 5, generator=generator) < 0.7
    return logits, target, valid


def looped(logits, target, valid, weights=None):
    """Eq. 2 with its minus, by head and voxel; with weights ``[sum_j t_j w_j] * [-sum_j t_j log y_j]``."""
    heads = []
    for head in range(logits.shape[1]):
        terms = []
        for item, row, column in valid[:, head].nonzero().tolist():
            y = torch.softmax(logits[item, head, :, row, column].double(), 0).tolist()
            t = float(target[item, head, row, column])
            pair = (1 - t, t)
            weight = 1.0 if weights is None else sum(t_j * float(w) for t_j, w in zip(pair, weights[head], strict=True))
            terms.append(weight * -sum(t_j * math.log(y_j) for t_j, y_j in zip(pair, y, strict=True)))
        heads.append(sum(terms) / len(terms))
    return heads


@pytest.mark.parametrize("reduction", ["sum", "mean"])
@pytest.mark.parametrize("weighted", [False, True])
def test_cross_entropy_equals_the_loop_over_voxels_and_heads(scores, reduction, weighted):
    logits, target, valid = scores
    weights = torch.tensor([[0.1, 0.9], [0.5, 0.5], [0.75, 0.25]]) if weighted else None
    heads = looped(logits, target, valid, weights)
    expected = sum(heads) / (1 if reduction == "sum" else len(heads))
    found = cross_entropy(logits, target, valid, weights, reduction)
    assert found.item() == pytest.approx(expected, rel=1e-5)


def test_sum_is_heads_times_mean(scores):
    one, other = cross_entropy(*scores, reduction="sum"), cross_entropy(*scores, reduction="mean")
    assert one.item() == pytest.approx(3 * other.item(), rel=1e-6)


def test_distillation_is_the_cross_entropy_of_distributions(scores):
    logits, teacher, _ = scores
    everywhere = torch.ones_like(teacher, dtype=torch.bool)
    p = Categorical(probs=torch.stack([1 - teacher, teacher], -1).double())
    y = Categorical(logits=logits.movedim(2, -1).double())
    expected = (p.entropy() + kl_divergence(p, y)).mean(dim=(0, 2, 3)).sum()
    assert cross_entropy(logits, teacher, everywhere, reduction="sum").item() == pytest.approx(
        expected.item(), rel=1e-5
    )


def test_distillation_is_least_where_student_and_teacher_agree(scores):
    _, teacher, valid = scores
    log_odds = torch.logit(teacher)
    student = torch.stack([torch.zeros_like(log_odds), log_odds], 2).requires_grad_()
    cross_entropy(student, teacher, valid).backward()
    assert student.grad.abs().max() < 1e-6


def test_hard_targets_equal_torch(scores):
    logits, target, _ = scores
    hard = (target > 0.5).long()
    everywhere = torch.ones_like(hard, dtype=torch.bool)
    expected = torch.nn.functional.cross_entropy(logits.movedim(2, 1), hard)
    assert cross_entropy(logits, hard, everywhere).item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize("loss", [cross_entropy, soft_dice])
def test_invalid_voxels_have_no_effect_and_no_gradient(scores, loss):
    logits, target, valid = scores
    hard = (target > 0.5).to(torch.uint8)
    values, gradients = [], []
    for label in (hard, torch.where(valid, hard, 1 - hard)):
        leaf = logits.clone().requires_grad_()
        value = loss(leaf, label, valid)
        value.backward()
        values.append(value.detach())
        gradients.append(leaf.grad)
    assert torch.equal(*values)
    assert torch.equal(*gradients)
    outside = ~valid.unsqueeze(2).expand_as(logits)
    assert not gradients[0][outside].any()
    assert gradients[0][~outside].any()


@pytest.mark.parametrize("loss", [cross_entropy, soft_dice])
def test_nothing_valid_gives_zero_that_can_be_differentiated(scores, loss):
    logits, target, valid = scores
    leaf = logits.clone().requires_grad_()
    value = loss(leaf, (target > 0.5).float(), torch.zeros_like(valid))
    value.backward()
    assert value.item() == 0
    assert not leaf.grad.any()


def test_one_flag_per_item_and_head_spreads_over_voxels(scores):
    logits, target, _ = scores
    flags = torch.tensor([[True, False, True], [True, True, False]])
    everywhere = flags.view(2, 3, 1, 1).expand_as(target)
    for loss in (cross_entropy, soft_dice):
        assert torch.equal(loss(logits, target, flags.view(2, 3, 1, 1)), loss(logits, target, everywhere))


# Probabilities are exact: logit of 0.8 is log(4).
@pytest.mark.parametrize(
    ("probability", "label", "valid", "dice"),
    [
        ([0.8, 0.8, 0.2, 0.2], [1, 1, 0, 0], [1, 1, 1, 1], 2 * 1.6 / (2.0 + 2)),
        ([0.8, 0.8, 0.8, 0.8], [1, 0, 0, 0], [1, 1, 1, 1], 2 * 0.8 / (3.2 + 1)),
        ([0.8, 0.8, 0.8, 0.8], [1, 0, 0, 0], [1, 1, 0, 0], 2 * 0.8 / (1.6 + 1)),
        ([0.5, 0.5, 0.5, 0.5], [1, 1, 1, 1], [1, 1, 1, 1], 2 * 2.0 / (2.0 + 4)),
        ([0.2, 0.2, 0.2, 0.2], [0, 0, 0, 0], [1, 1, 1, 1], 0.0),
    ],
)
def test_soft_dice_equals_the_table(probability, label, valid, dice):
    odds = torch.logit(torch.tensor(probability)).view(1, 1, 2, 2)
    logits = torch.stack([torch.zeros_like(odds), odds], 2)
    found = soft_dice(logits, torch.tensor(label).view(1, 1, 2, 2), torch.tensor(valid).view(1, 1, 2, 2).bool())
    assert found.item() == pytest.approx(1 - dice, abs=5e-5)  # MONAI adds 1e-5 above and below


def test_soft_dice_is_over_the_batch_and_leaves_out_what_nobody_looked_for():
    odds = torch.logit(torch.tensor([[0.8, 0.2], [0.2, 0.8]])).view(2, 1, 1, 2)
    logits = torch.stack([torch.zeros_like(odds), odds], 2)
    label = torch.tensor([[1, 0], [0, 0]]).view(2, 1, 1, 2)
    everywhere = torch.ones(2, 1, 1, 2, dtype=torch.bool)
    alone = soft_dice(logits, label, everywhere)
    assert alone.item() == pytest.approx(1 - 2 * 0.8 / (2.0 + 1), abs=5e-5)
    two = torch.cat([logits, logits], 1), torch.cat([label, label], 1)
    assert torch.equal(soft_dice(*two, torch.cat([everywhere, ~everywhere], 1)), alone)


def test_margin_is_the_logit_of_the_foreground_in_float32(scores):
    logits = scores[0].bfloat16()
    found = margin(logits)
    assert found.dtype == torch.float32
    expected = torch.softmax(logits.float(), dim=2)[:, :, 1]
    torch.testing.assert_close(torch.sigmoid(found), expected)


def test_large_logits_stay_finite():
    logits = torch.tensor([[-200.0, 200.0]]).view(1, 1, 2, 1, 1).requires_grad_()
    nowhere = torch.zeros(1, 1, 1, 1)
    value = cross_entropy(logits, nowhere, torch.ones_like(nowhere, dtype=torch.bool))
    value.backward()
    assert value.item() == pytest.approx(400)
    assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize(
    ("counts", "weights"),
    [((900, 100), (0.1, 0.9)), ((50, 50), (0.5, 0.5)), ((100, 300), (0.75, 0.25))],
)
def test_inverse_frequency_equals_the_table(counts, weights):
    assert inverse_frequency(torch.tensor([counts]).float()).tolist()[0] == pytest.approx(weights)


def test_inverse_frequency_of_an_absent_structure_is_finite():
    found = inverse_frequency(torch.tensor([[1000.0, 0.0]]))
    assert torch.isfinite(found).all()
    assert found.sum().item() == pytest.approx(1)
