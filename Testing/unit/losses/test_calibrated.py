import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from IncrementalSegLib.losses.calibrated import calibrated_distillation, divergence
from IncrementalSegLib.losses.classes import unbiased_distillation

PROBABILITY = st.floats(1e-6, 1 - 1e-6)


def of(p, q, **options):
    """Divergence of the model's q from the previous model's p."""
    logs = [torch.tensor([[[item]]], dtype=torch.float64).log() for item in (q, p)]
    return float(divergence(*logs, **options))


def test_hand_table():
    assert of(0.5, 0.25) == pytest.approx(0.5 * math.log(2) - 0.25)
    assert of(0.5, 0.25, form="plain") == pytest.approx(0.5 * math.log(2))
    assert of(0.5, 0.25, direction="student_teacher") == pytest.approx(0.25 * math.log(0.5) + 0.25)
    assert of(0.25, 0.5, form="plain") < 0, "why the plain form is no divergence"


@given(PROBABILITY, PROBABILITY, st.sampled_from(["teacher_student", "student_teacher"]))
def test_generalised_is_never_negative_and_zero_at_equality_alone(p, q, direction):
    found = of(p, q, direction=direction)
    assert found >= -1e-15
    assert abs(of(p, p, direction=direction)) < 1e-15
    if abs(p - q) > 1e-4:
        assert found > 1e-9


@given(st.integers(0, 999))
def test_its_least_place_is_the_teacher_whatever_the_weights(seed):
    random = torch.Generator().manual_seed(seed)
    teacher = torch.randn(1, 3, 4, generator=random).log_softmax(1)
    present = teacher.clone().requires_grad_()
    weights, region = torch.rand(1, 3, 4, generator=random), torch.ones(1, 4, dtype=torch.bool)
    gradients = {}
    for form in ("generalised", "plain"):
        loss = calibrated_distillation(divergence(present, teacher, form=form), weights, region)
        (gradients[form],) = torch.autograd.grad(loss, present)
    assert gradients["generalised"].abs().max() < 1e-6
    assert gradients["plain"].abs().max() > 1e-3, "as printed, the weights pull elsewhere"


@pytest.mark.parametrize("size", [(3, 4), (2, 3, 2)])
@pytest.mark.parametrize("direction", ["teacher_student", "student_teacher"])
@pytest.mark.parametrize("form", ["generalised", "plain"])
def test_equals_a_loop(size, direction, form):
    random = torch.Generator().manual_seed(1)
    logs = [torch.randn(2, 4, *size, generator=random).double().log_softmax(1)[:, 1:] for _ in range(2)]
    weights = torch.rand(2, 3, *size, generator=random).double()
    region = torch.rand(2, *size, generator=random) < 0.5
    found = calibrated_distillation(divergence(*logs, direction, form), weights, region)
    total = 0.0
    for item, *place in region.nonzero().tolist():
        for row in range(3):
            q, p = (float(log[(item, row, *place)].exp()) for log in logs)
            p, q = (p, q) if direction == "teacher_student" else (q, p)
            term = p * math.log(p / q) + (q - p if form == "generalised" else 0)
            total += float(weights[(item, row, *place)]) * term
    assert float(found) == pytest.approx(total / int(region.sum()), rel=1e-9)


def test_an_empty_region_gives_zero_without_nan():
    present = torch.randn(1, 2, 3).requires_grad_()
    loss = calibrated_distillation(
        divergence(present, torch.zeros(1, 2, 3)), torch.ones(1, 2, 3), torch.zeros(1, 3, dtype=torch.bool)
    )
    loss.backward()
    assert loss == 0
    assert torch.equal(present.grad, torch.zeros(1, 2, 3))


def test_with_one_old_structure_it_is_the_unbiased_distillation_without_its_background():
    """One old structure weighs 1, so the plain form is its term in MiB, less the entropy of the teacher."""
    random = torch.Generator().manual_seed(2)
    logits, teacher = torch.randn(2, 3, 5, generator=random), torch.randn(2, 2, 5, generator=random)
    region = torch.ones(2, 5, dtype=torch.bool)
    logits.requires_grad_()
    present, before = logits.log_softmax(1), teacher.log_softmax(1)
    apart = divergence(present[:, [1]], before[:, [1]], form="plain")
    background = -(
        before[:, 0].exp() * torch.logsumexp(logits[:, [0, 2]], 1) - before[:, 0].exp() * logits.logsumexp(1)
    )
    mine = calibrated_distillation(apart, torch.ones(2, 1, 5), region) + background.mean()
    theirs = 2 * unbiased_distillation(logits, teacher, [1], [1], region)
    torch.testing.assert_close(*(torch.autograd.grad(term, logits, retain_graph=True)[0] for term in (mine, theirs)))
