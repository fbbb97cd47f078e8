import math

import pytest
import torch

from IncrementalSegLib.prototypes.similarity import affinities, class_cosines, voxel_cosines


def vectors(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("size", [(3, 4), (2, 3, 2)])
def test_cosines_of_voxels_equal_a_loop(size):
    features, prototypes = vectors(2, 5, *size), vectors(3, 5, seed=1).double()
    found = voxel_cosines(features, prototypes)
    assert found.shape == (2, 3, *size)
    for item, row, *place in torch.ones(2, 3, *size).nonzero().tolist():
        vector = features[(item, slice(None), *place)]
        wanted = float(vector.double() @ prototypes[row] / vector.norm() / prototypes[row].norm())
        assert float(found[(item, row, *place)]) == pytest.approx(wanted, abs=1e-6)


def test_cosines_of_classes_and_of_a_class_without_voxels():
    one = torch.tensor([[3.0, 0.0], [0.0, 0.0]], requires_grad=True)
    found = class_cosines(one, torch.tensor([[1.0, 1.0], [0.0, -2.0], [5.0, 0.0]]))
    assert found[0].tolist() == pytest.approx([math.sqrt(0.5), 0.0, 1.0])
    assert found[1].tolist() == [0, 0, 0]
    found.sum().backward()
    assert torch.isfinite(one.grad).all()


def test_affinities_equal_the_hand_table():
    """Sheet: cosines 0.9 and 0.5 over 4 classes weigh 0.32 and 0.22 without temperature."""
    prototypes = torch.tensor([[0.9, math.sqrt(1 - 0.81)], *[[0.5, math.sqrt(0.75)]] * 3])
    features = torch.tensor([7.0, 0.0]).view(1, 2, 1, 1)
    known = torch.ones(4, dtype=torch.bool)
    assert affinities(features, prototypes, known).flatten().tolist() == pytest.approx([0.332, *[0.223] * 3], abs=1e-3)
    sharp = affinities(features, prototypes, known, temperature=0.1).flatten()
    assert sharp.tolist() == pytest.approx([0.948, *[0.0174] * 3], abs=1e-3)


def test_affinities_leave_out_what_has_no_prototype():
    features, prototypes = vectors(1, 4, 3, 3), vectors(3, 4, seed=1)
    found = affinities(features, prototypes, torch.tensor([True, False, True]))
    assert found[:, 1].abs().max() == 0
    torch.testing.assert_close(
        found[:, [0, 2]], affinities(features, prototypes[[0, 2]], torch.ones(2, dtype=torch.bool))
    )
    assert affinities(features, prototypes, torch.zeros(3, dtype=torch.bool)).abs().max() == 0
    alone = affinities(features, prototypes[:1], torch.ones(1, dtype=torch.bool))
    assert torch.equal(alone, torch.ones_like(alone)), "one old structure: the plain distillation"


def test_affinities_have_no_gradient_and_keep_their_precision():
    features = vectors(2, 16, 8, 8).requires_grad_()
    prototypes, known = vectors(3, 16, seed=1), torch.ones(3, dtype=torch.bool)
    wanted = affinities(features, prototypes, known)
    assert not wanted.requires_grad
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(affinities(features, prototypes, known), wanted)


def test_dead_features_are_finite():
    features = torch.zeros(1, 4, 2, 2, requires_grad=True)
    found = voxel_cosines(features, vectors(3, 4))
    found.sum().backward()
    assert found.abs().max() == 0
    assert torch.isfinite(features.grad).all()
