"""Class-similarity weighted distillation against the loop over voxels."""

import math

import pytest
import torch

from IncrementalSegLib.losses.similarity import similarity_weighted_distillation


@pytest.mark.parametrize("size", [(4, 5), (2, 3, 4)])
@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_it_equals_the_loop(size, temperature, generator):
    logits, teacher = (torch.randn(2, 3, *size, generator=generator) for _ in range(2))
    label = torch.randint(-1, 2, (2, *size), generator=generator)
    weights = torch.rand(2, 3, generator=generator)
    terms = []
    for item, *place in (label >= 0).nonzero().tolist():
        voxel = (item, slice(None), *place)
        p, q = ((values[voxel].double() / temperature).softmax(0).tolist() for values in (teacher, logits))
        r = weights[label[(item, *place)]].tolist()
        terms.append(-sum(a * b * math.log(c) for a, b, c in zip(p, r, q, strict=True)))
    found = similarity_weighted_distillation(logits, teacher, label, weights, temperature)
    assert found.item() == pytest.approx(temperature**2 * sum(terms) / len(terms), rel=1e-5)


def test_without_a_new_structure_it_is_zero_with_a_gradient(generator):
    logits = torch.randn(1, 3, 4, 4, generator=generator).requires_grad_()
    label = torch.full((1, 4, 4), -1)
    value = similarity_weighted_distillation(logits, logits.detach(), label, torch.ones(2, 3), 3.0)
    value.backward()
    assert value.item() == 0
    assert not logits.grad.any()
