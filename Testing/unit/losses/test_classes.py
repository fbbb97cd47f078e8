"""The losses of the class family against plain loops, hand tables and their plain forms."""

import math

import pytest
import torch
from torch.nn import functional as F

from IncrementalSegLib.losses.classes import (
    distillation,
    masked_mean,
    merged_log_softmax,
    soft_cross_entropy,
    unbiased_cross_entropies,
    unbiased_cross_entropy,
    unbiased_distillation,
)

OWN = [1, 2]
"""Columns of the old structures; 3 and 4 are new."""


@pytest.fixture(params=[(4, 5), (3, 4, 2)], ids=["2d", "3d"])
def scene(request, generator):
    """Logits of background, two old and two new structures, the teacher's, labels of the new, two thirds valid."""
    logits = torch.randn(2, 5, *request.param, generator=generator) * 3
    teacher = torch.randn(2, 3, *request.param, generator=generator) * 3
    label = torch.randint(0, 3, (2, *request.param), generator=generator)
    valid = torch.rand(2, *request.param, generator=generator) < 0.7
    return logits, teacher, torch.where(label > 0, label + 2, 0), valid


def hidden(*columns):
    flags = torch.zeros(2, 5, dtype=torch.bool)
    flags[:, [0, *columns]] = True
    return flags


def looped(logits, target, flags, valid):
    """Eq. 3 of MiB, voxel by voxel."""
    terms = []
    for item, *place in valid.nonzero().tolist():
        q = torch.softmax(logits[(item, slice(None), *place)].double(), 0)
        label = int(target[(item, *place)])
        terms.append(-math.log(float(q[label] if label else q[flags[item]].sum())))
    return sum(terms) / len(terms)


def test_unbiased_cross_entropy_equals_the_loop(scene):
    logits, _, target, valid = scene
    flags = hidden(1, 2)
    flags[1, 4] = True  # the second item was not looked through for one new structure
    found = unbiased_cross_entropy(logits, target, flags, valid)
    assert found.item() == pytest.approx(looped(logits, target, flags, valid), rel=1e-5)


def test_it_equals_the_table():
    logits = torch.log(torch.tensor([0.5, 0.2, 0.3])).view(1, 3, 1).expand(1, 3, 2)
    target = torch.tensor([[0, 2]])
    found = unbiased_cross_entropies(logits, target, torch.tensor([[True, True, False]]))
    torch.testing.assert_close(found, -torch.log(torch.tensor([[0.7, 0.3]])))


def test_nothing_hidden_is_the_cross_entropy(scene):
    logits, _, target, valid = scene
    everywhere = torch.ones_like(valid)
    plain = F.cross_entropy(logits, target)
    torch.testing.assert_close(unbiased_cross_entropy(logits, target, hidden(), everywhere), plain)
    masked = F.cross_entropy(logits, torch.where(valid, target, 255), ignore_index=255)
    torch.testing.assert_close(unbiased_cross_entropy(logits, target, hidden(), valid), masked)


def test_everything_hidden_teaches_nothing_where_nothing_is_labelled(scene):
    logits, _, target, _ = scene
    found = unbiased_cross_entropies(logits, torch.zeros_like(target), hidden(1, 2, 3, 4))
    assert found.abs().max() < 1e-5


def test_merging_keeps_the_sum_of_probabilities(scene):
    logits = scene[0]
    merged = merged_log_softmax(logits, [2, 3]).exp()
    softmax = logits.softmax(1)
    torch.testing.assert_close(merged[:, 1:], softmax[:, 2:4])
    torch.testing.assert_close(merged[:, 0], softmax[:, [0, 1, 4]].sum(1))


def test_merging_nothing_is_the_log_softmax(scene):
    torch.testing.assert_close(merged_log_softmax(scene[0], [1, 2, 3, 4]), scene[0].log_softmax(1))
    assert merged_log_softmax(scene[0], []).abs().max() < 1e-5


def test_unbiased_distillation_equals_the_loop(scene):
    logits, teacher, _, valid = scene
    terms = []
    for item, *place in valid.nonzero().tolist():
        q = torch.softmax(logits[(item, slice(None), *place)].double(), 0).tolist()
        p = torch.softmax(teacher[(item, slice(None), *place)].double(), 0).tolist()
        merged = [q[0] + q[3] + q[4], q[1], q[2]]
        terms.append(-sum(a * math.log(b) for a, b in zip(p, merged, strict=True)) / 3)
    found = unbiased_distillation(logits, teacher, OWN, OWN, valid)
    assert found.item() == pytest.approx(sum(terms) / len(terms), rel=1e-5)


def test_plain_distillation_equals_the_loop(scene):
    logits, teacher, _, valid = scene
    for warm in (1.0, 2.0):
        p, q = (teacher / warm).softmax(1).double(), (logits[:, :3] / warm).softmax(1).double()
        voxels = -(p * q.log()).sum(1)[valid]
        found = distillation(logits, teacher, OWN, OWN, valid, warm)
        assert found.item() == pytest.approx(warm**2 * voxels.mean().item() / 3, rel=1e-5)


def test_with_no_new_structure_both_distillations_are_one(scene):
    logits, teacher, _, valid = scene
    torch.testing.assert_close(
        unbiased_distillation(logits[:, :3], teacher, OWN, OWN, valid),
        distillation(logits[:, :3], teacher, OWN, OWN, valid),
    )


def test_structures_are_matched_by_column_not_by_place(scene):
    logits, teacher, _, valid = scene
    shuffled = logits[:, [0, 3, 2, 4, 1]]
    for loss in (distillation, unbiased_distillation):
        expected = loss(logits, teacher, OWN, OWN, valid)
        torch.testing.assert_close(loss(shuffled, teacher, [4, 2], OWN, valid), expected)
        torch.testing.assert_close(loss(logits, teacher[:, [0, 2, 1]], OWN, [2, 1], valid), expected)


def test_improved_structures_of_the_teacher_count_as_background(scene):
    logits, teacher, _, valid = scene
    merged = torch.stack([torch.logsumexp(teacher[:, [0, 2]], 1), teacher[:, 1]], 1)
    torch.testing.assert_close(
        unbiased_distillation(logits, teacher, [1], [1], valid), unbiased_distillation(logits, merged, [1], [1], valid)
    )


def test_distillation_is_least_where_both_agree(scene):
    _, teacher, _, valid = scene
    for loss in (distillation, unbiased_distillation):
        student = teacher.clone().requires_grad_()
        loss(student, teacher, OWN, OWN, valid).backward()
        assert student.grad.abs().max() < 1e-6
    halves = torch.cat([teacher[:, :1] - math.log(2), teacher[:, 1:], teacher[:, :1] - math.log(2)], 1)
    student = halves.requires_grad_()  # a balanced new row
    unbiased_distillation(student, teacher, OWN, OWN, valid).backward()
    assert student.grad.abs().max() < 1e-6


LOSSES = {
    "cross_entropy": lambda logits, teacher, target, valid: unbiased_cross_entropy(logits, target, hidden(1, 2), valid),
    "distillation": lambda logits, teacher, target, valid: distillation(logits, teacher, OWN, OWN, valid),
    "unbiased": lambda logits, teacher, target, valid: unbiased_distillation(logits, teacher, OWN, OWN, valid),
}


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_invalid_voxels_have_no_effect_and_no_gradient(loss, scene):
    logits, teacher, target, valid = scene
    values, gradients = [], []
    for label in (target, torch.where(valid, target, 4 - target.clamp(max=1))):
        leaf = logits.clone().requires_grad_()
        value = loss(leaf, teacher, label, valid)
        value.backward()
        values.append(value.detach())
        gradients.append(leaf.grad)
    assert torch.equal(*values)
    assert torch.equal(*gradients)
    outside = ~valid.unsqueeze(1).expand_as(logits)
    assert not gradients[0][outside].any()
    assert gradients[0][~outside].any()


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_nothing_valid_gives_zero_that_can_be_differentiated(loss, scene):
    logits, teacher, target, valid = scene
    leaf = logits.clone().requires_grad_()
    value = loss(leaf, teacher, target, torch.zeros_like(valid))
    value.backward()
    assert value.item() == 0
    assert not leaf.grad.any()


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_large_logits_and_half_precision_stay_finite(loss, scene):
    logits, teacher, target, valid = scene
    for leaf in ((logits * 200).requires_grad_(), logits.bfloat16().requires_grad_()):
        value = loss(leaf, teacher, target, valid)
        value.backward()
        assert value.dtype == torch.float32
        assert torch.isfinite(value)
        assert torch.isfinite(leaf.grad).all()


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_gradients_are_those_of_finite_differences(loss, scene):
    logits, teacher, target, valid = scene
    leaf = logits.clone().requires_grad_()
    loss(leaf, teacher, target, valid).backward()
    random = torch.Generator().manual_seed(1)
    for _ in range(3):
        way = torch.randn(logits.shape, generator=random)
        there, back = (loss(logits + sign * 1e-2 * way, teacher, target, valid).item() for sign in (1, -1))
        assert (there - back) / 2e-2 == pytest.approx((leaf.grad * way).sum().item(), rel=2e-2, abs=1e-3)


def plain_cross_entropy(logits, target, flags, valid):
    q = logits.softmax(1)
    unlabelled = (q * flags.view(*flags.shape, 1, 1)).sum(1)
    labelled = q.gather(1, target.unsqueeze(1)).squeeze(1)
    return masked_mean(-torch.where(target == 0, unlabelled, labelled).log(), valid)


def plain_distillation(logits, teacher, valid):
    q = logits.softmax(1)
    merged = torch.cat([q[:, [0, 3, 4]].sum(1, keepdim=True), q[:, 1:3]], 1)
    return soft_cross_entropy(merged.log(), teacher.softmax(1), valid) / 3


def test_the_fused_form_equals_the_plain_one(generator):
    """With logits for which the plain form, which takes logarithms of sums of probabilities, is still exact."""
    logits, teacher = torch.randn(2, 5, 32, 32, generator=generator), torch.randn(2, 3, 32, 32, generator=generator)
    target = torch.randint(0, 2, (2, 32, 32), generator=generator) * 3
    valid = torch.ones_like(target, dtype=torch.bool)
    pairs = [
        (lambda item: unbiased_cross_entropy(item, target, hidden(1, 2), valid),
         lambda item: plain_cross_entropy(item, target, hidden(1, 2), valid)),
        (lambda item: unbiased_distillation(item, teacher, OWN, OWN, valid),
         lambda item: plain_distillation(item, teacher, valid)),
    ]  # fmt: skip
    for fused, plain in pairs:
        leaves = [logits.clone().requires_grad_() for _ in range(2)]
        values = [form(leaf) for form, leaf in zip((fused, plain), leaves, strict=True)]
        torch.testing.assert_close(*values, rtol=1e-6, atol=1e-6)
        for value in values:
            value.backward()
        torch.testing.assert_close(leaves[0].grad, leaves[1].grad, rtol=1e-4, atol=1e-8)
