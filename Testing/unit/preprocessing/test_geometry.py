import numpy as np
import pytest
import torch
from monai.transforms import Resize
from scipy.ndimage import map_coordinates

from IncrementalSegLib.preprocessing import geometry
from IncrementalSegLib.preprocessing.geometry import orient, resize, resized, turn
from IncrementalSegLib.volumes.volume import Grid

RAS = (-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0)
# Columns are the file's axes: x to posterior, y to inferior, z to right, as a sagittal acquisition stores them.
SAGITTAL = (0.0, 0.0, -1.0, 1.0, 0.0, 0.0, 0.0, -1.0, 0.0)
# x to left, y to inferior, z to posterior, as a coronal acquisition stores them.
CORONAL = (1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, -1.0, 0.0)
LPS = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


# The marker is sample z = 1, y = 2, x = 3 of a 4 x 5 x 6 array; where it lands was worked out on paper.
@pytest.mark.parametrize(
    ("direction", "code", "shape", "lands"),
    [
        (LPS, "SPL", (4, 5, 6), (1, 2, 3)),
        (LPS, "LIP", (6, 4, 5), (3, 2, 2)),
        (LPS, "PIL", (5, 4, 6), (2, 2, 3)),
        (LPS, "IAR", (4, 5, 6), (2, 2, 2)),
        (RAS, "SPL", (4, 5, 6), (1, 2, 2)),
        (SAGITTAL, "SPL", (5, 6, 4), (2, 3, 2)),
        (SAGITTAL, "LIP", (4, 5, 6), (2, 2, 3)),
        (CORONAL, "PIL", (4, 5, 6), (1, 2, 3)),
        (CORONAL, "SPL", (5, 4, 6), (2, 1, 3)),
    ],
)
def test_a_marker_lands_where_it_belongs(direction, code, shape, lands):
    marked = np.zeros((1, 4, 5, 6))
    marked[0, 1, 2, 3] = 1
    turned = turn(marked, *orient(Grid((4, 5, 6), direction=direction), code))
    assert tuple(turned.shape[1:]) == shape
    assert np.argwhere(turned[0]).tolist() == [list(lands)]


def test_two_oblique_axes_never_claim_the_same_direction():
    half = np.sqrt(0.5)
    tilted = (half, half, 0.0, -half * half, half * half, half, half * half, -half * half, half)  # 45 degrees twice
    for code in ("SPL", "LIP", "PIL"):
        assert sorted(orient(Grid((3, 4, 5), direction=tilted), code)[0]) == [0, 1, 2]


@pytest.mark.parametrize("size", [(8, 12, 9), (7, 10, 6), (7, 25, 13)])
def test_enlarging_is_linear_and_keeps_the_field_of_view(size):
    array = torch.rand(1, 7, 10, 6)
    # Sample i of n lies at (i + 1/2) / n of the field of view.
    axes = [(np.arange(new) + 0.5) * old / new - 0.5 for new, old in zip(size, (7, 10, 6), strict=True)]
    expected = map_coordinates(array[0].numpy(), np.meshgrid(*axes, indexing="ij"), order=1, mode="nearest")
    np.testing.assert_allclose(resize(array, size)[0].numpy(), expected, atol=1e-5)


def test_shrinking_averages_instead_of_skipping():
    stripes = torch.tensor([0.0, 1.0, 1.0, 0.0]).repeat(8).view(1, 1, 1, 32).expand(1, 8, 8, 32)
    shrunk = resize(stripes, (8, 8, 8))
    assert (shrunk[..., 1:-1] - 0.5).abs().max() < 0.15  # between the two middle samples alone it would be 1


def test_shrinking_keeps_the_field_of_view():
    ramp = torch.linspace(0, 1, 40).view(1, 1, 1, 40).expand(1, 4, 4, 40)
    expected = ramp[0, 0, 0].view(10, 4).mean(dim=1)
    np.testing.assert_allclose(resize(ramp, (4, 4, 10))[0, 0, 0, 1:-1], expected[1:-1], atol=5e-3)


def test_the_same_size_is_left_alone():
    array = torch.rand(1, 3, 4, 5)
    assert resize(array, (3, 4, 5)) is array


@pytest.mark.parametrize("before", [(40, 30, 34), (9, 50, 21), (20, 20, 20)])
@pytest.mark.parametrize("after", [(17, 12, 34), (25, 60, 13), (20, 20, 20)])
def test_slabs_together_are_the_whole(before, after, monkeypatch):
    array = torch.rand(2, *before)
    whole = resize(array, after)
    monkeypatch.setattr(geometry, "_SLAB", 3000)
    slabs = list(resized(lambda start, stop: array[:, start:stop], 2, before, after))
    assert len(slabs) > 3
    torch.testing.assert_close(torch.cat([slab for _, slab in slabs], dim=1), whole, atol=1e-6, rtol=0)


def test_shrinking_equals_monai_away_from_the_border():
    array, size = torch.rand(1, 40, 50, 60), (20, 17, 60)
    expected = Resize(size, mode="trilinear", anti_aliasing=True)(array)
    inner = (0, slice(4, -4), slice(4, -4), slice(None))  # at the border MONAI smooths with zeros
    torch.testing.assert_close(resize(array, size)[inner], torch.as_tensor(expected)[inner], atol=1e-5, rtol=0)


def test_a_constant_scan_stays_constant_up_to_its_border():
    torch.testing.assert_close(resize(torch.full((1, 30, 31, 32), 7.0), (11, 40, 9)), torch.full((1, 11, 40, 9), 7.0))
