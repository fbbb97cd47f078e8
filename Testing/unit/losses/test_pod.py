"""Local POD against plain loops over cells."""

import math

import pytest
import torch

from IncrementalSegLib.losses.pod import SCALES, local_pod


def everywhere(maps):
    """Return a mask of valid voxels for ``maps``, all of them."""
    return torch.ones(len(maps), *maps.shape[2:], dtype=torch.bool)


def edges(size, cells):
    """Return the cells of an axis, as even as they can be."""
    cells = min(cells, size)
    owner = [voxel * cells // size for voxel in range(size)]
    return [(owner.index(cell), size - owner[::-1].index(cell)) for cell in range(cells)]


def looped(now, before, scales=SCALES):
    """Profiles of each cell along each axis, one by one."""
    values = (now.double() ** 2 - before.double() ** 2).tolist()
    distances = []
    for item in values:
        total = 0.0
        for channel in item:
            grid = torch.tensor(channel, dtype=torch.float64)
            for scale in scales:
                cells = [edges(size, scale) for size in grid.shape]
                for places in torch.cartesian_prod(*[torch.arange(len(axis)) for axis in cells]).tolist():
                    windows = [cells[axis][place] for axis, place in enumerate(places)]
                    cell = grid[tuple(slice(*window) for window in windows)]
                    for axis in range(grid.ndim):
                        others = [other for other in range(grid.ndim) if other != axis]
                        total += float((cell.mean(dim=others) ** 2).sum())
        distances.append(math.sqrt(total))
    return sum(distances) / len(distances)


@pytest.mark.parametrize("size", [(8, 8), (4, 12), (7, 5), (3, 2), (4, 4, 8), (3, 5, 2)])
def test_it_equals_the_loop_on_any_shape(size, generator):
    """Public code cuts all axes by the last one's length and drops the rest (A0.5, 8)."""
    now, before = (torch.randn(2, 3, *size, generator=generator) for _ in range(2))
    assert local_pod(now, before, everywhere(now)).item() == pytest.approx(looped(now, before), rel=1e-5)


def test_it_equals_the_table():
    now, before = torch.tensor([[[[1.0, 3.0], [0.0, 2.0]]]]), torch.zeros(1, 1, 2, 2)
    # squares 1 9 / 0 4: along H the means 5, 2; along W 0.5, 6.5
    assert local_pod(now, before, everywhere(now), [1]).item() == pytest.approx(math.sqrt(25 + 4 + 0.25 + 42.25))
    assert local_pod(now, before, everywhere(now), [2]).item() == pytest.approx(math.sqrt(2 * (1 + 81 + 16)))


def test_equal_maps_are_zero_with_a_finite_gradient(generator):
    before = torch.randn(2, 3, 4, 4, generator=generator)
    now = before.clone().requires_grad_()
    value = local_pod(now, before, everywhere(now))
    value.backward()
    assert value.item() == 0
    assert not now.grad.isnan().any()


def test_gradients_are_right(generator):
    before = torch.randn(1, 2, 5, 4, generator=generator)
    now = torch.randn(1, 2, 5, 4, generator=generator).requires_grad_()
    local_pod(now, before, everywhere(now)).backward()
    way = torch.randn(now.shape, generator=generator)
    there, back = (local_pod(now.detach() + sign * 1e-2 * way, before, everywhere(now)).item() for sign in (1, -1))
    assert (there - back) / 2e-2 == pytest.approx((now.grad * way).sum().item(), rel=1e-2)


def test_half_precision_is_squared_in_float32():
    now = torch.full((1, 1, 4, 4), 300.0, dtype=torch.float16)  # whose square float16 cannot hold
    assert torch.isfinite(local_pod(now, torch.zeros_like(now), everywhere(now)))


@pytest.mark.parametrize("size", [(6, 8), (4, 6, 4)])
def test_padding_counts_in_no_mean(size, generator):
    """A slice that is smaller than the patch is padded; maps two levels down are a quarter as large."""
    now, before = (torch.randn(2, 3, *size, generator=generator) for _ in range(2))
    valid = torch.ones(2, *[4 * length for length in size], dtype=torch.bool)
    valid[..., 2 * size[-1] :] = False
    inside = local_pod(now, before, valid, [1])
    cropped = slice(0, size[-1] // 2)
    wanted = local_pod(now[..., cropped], before[..., cropped], everywhere(now[..., cropped]), [1])
    torch.testing.assert_close(inside, wanted)
    every = local_pod(now, before, valid)
    now[..., size[-1] // 2 :] = 1e3
    assert local_pod(now, before, valid) == every > 0
    assert local_pod(now, before, torch.zeros_like(valid)) == 0


def test_the_relative_form_does_not_depend_on_the_size_of_the_activations(generator):
    now, before = (torch.randn(2, 3, 6, 8, generator=generator) for _ in range(2))
    valid, nothing = everywhere(now), torch.zeros_like(before)
    found = local_pod(now, before, valid, relative=True)
    norm = local_pod(before, nothing, valid)
    torch.testing.assert_close(found, local_pod(now, before, valid) / norm)
    torch.testing.assert_close(local_pod(30 * now, 30 * before, valid, relative=True), found)
    assert local_pod(now, nothing, valid, relative=True) == 0, "no activations to compare with"
