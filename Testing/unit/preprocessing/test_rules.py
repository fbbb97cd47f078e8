"""Scans by the rules of nnU-Net: crop, schemes, splines, and the way back."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from IncrementalSegLib.errors import DataError
from IncrementalSegLib.preprocessing.pipeline import forward, forward_mask, inverse, to_patient
from IncrementalSegLib.preprocessing.plan import Plan
from IncrementalSegLib.preprocessing.rules import Intensity, Resampling, Rules
from IncrementalSegLib.preprocessing.schemes import normalised
from IncrementalSegLib.volumes.volume import Grid, Volume

CUBIC, LINEAR = Resampling(order=3), Resampling(order=1)
NONE = Intensity(scheme="none")


def plan(spacing, orientation="DHW", intensities=(NONE,), scans=CUBIC, scores=LINEAR):
    return Plan(
        dimension=3, planar=False, channels=len(intensities), orientation=orientation, spacing=spacing, patch=(8, 8, 8),
        multiple=4, shape=(8, 8, 8), rules=Rules(intensities=intensities, scans=scans, scores=scores),
    )  # fmt: skip


def zoomed(array, size, order):
    factors = [after / before for before, after in zip(array.shape, size, strict=True)]
    found = ndimage.zoom(array.astype(float), factors, order=order, mode="nearest", grid_mode=True)
    return found.clip(array.min(), array.max())


def volume(rng, shape=(8, 10, 12), spacing=(1.0, 1.0, 1.0), channels=1):
    return Volume(rng.normal(100, 30, (channels, *shape)).astype(np.float32) + 1000, Grid(shape, spacing))


def test_splines_are_those_of_scipy_within_the_range_of_the_channel(rng):
    scan = volume(rng)
    image, _, _ = forward(scan, plan((0.8, 1.25, 0.6)))
    assert image.dtype == torch.float32
    np.testing.assert_allclose(image[0], zoomed(scan.array[0], (10, 8, 20), 3), rtol=1e-5)


def test_the_coarsest_axis_is_resampled_apart(rng):
    scan = volume(rng, spacing=(1.0, 1.0, 4.0))
    image, _, record = forward(scan, plan((2.0, 0.5, 0.5)))
    plane = np.stack([zoomed(part, (20, 24), 3) for part in scan.array[0]])
    np.testing.assert_allclose(image[0], np.repeat(plane, 2, axis=0), rtol=1e-5)
    back = inverse(image, record)
    np.testing.assert_allclose(back[0][2], zoomed(image[0, 5].numpy(), (10, 12), 1), rtol=1e-5)


@pytest.mark.parametrize(
    ("separate", "before", "after", "orders"),
    [
        (None, (4, 1, 1), (1, 1, 1), (0, 3, 3)),
        (None, (1, 1, 1), (1, 1, 4), (3, 3, 0)),
        (None, (3, 1, 1), (1, 1, 1), (3, 3, 3)),
        (None, (1, 4, 4), (1, 1, 1), (3, 3, 3)),
        (False, (4, 1, 1), (1, 1, 1), (3, 3, 3)),
        (True, (2, 1, 1), (1, 1, 1), (0, 3, 3)),
        (True, (1, 1, 1), (4, 1, 1), (3, 3, 3)),
    ],
)
def test_which_axis_is_resampled_apart(separate, before, after, orders):
    assert Resampling(order=3, separate=separate).orders(before, after) == orders


def test_a_scan_is_cropped_to_what_is_not_zero_and_put_back(rng):
    scan = volume(rng)
    scan.array[:, :2] = scan.array[:, :, -3:] = scan.array[..., :1] = 0
    image, _, record = forward(scan, plan((1.0, 1.0, 1.0), "WHD"))
    assert image.shape == (1, 11, 7, 6)
    back = inverse(image, record)
    np.testing.assert_array_equal(back[0], scan.array[0])
    mask = np.zeros(scan.grid.shape, dtype=bool)
    mask[4, 5, 6] = True
    assert forward_mask(mask, scan, plan((1.0, 1.0, 1.0), "WHD")).nonzero().tolist() == [[5, 5, 2]]
    place = np.array(to_patient(scan, plan((1.0, 1.0, 1.0), "WHD"))) @ [5, 5, 2, 1]
    np.testing.assert_allclose(place, scan.grid.position((4, 5, 6)))


def test_schemes():
    array = np.array([[[[0, 0, 2, 4, 6, 0]]]], dtype=np.int16)

    def values(**given):
        return normalised(array, [Intensity(**given)]).flatten().tolist()

    deviation = float(np.std([2, 4, 6]))
    assert values(scheme="none") == [0, 0, 2, 4, 6, 0]
    assert values(scheme="ct", mean=2, deviation=2, low=1, high=5) == [-0.5, -0.5, 0, 1, 1.5, -0.5]
    assert values(scheme="rescale") == pytest.approx([0, 0, 1 / 3, 2 / 3, 1, 0])
    assert values(scheme="rgb") == pytest.approx([0, 0, 2 / 255, 4 / 255, 6 / 255, 0])
    assert values(scheme="zscore", masked=True) == pytest.approx([0, 0, -2 / deviation, 0, 2 / deviation, 0])
    assert np.mean(values(scheme="zscore")) == pytest.approx(0, abs=1e-6)
    assert np.std(values(scheme="zscore")) == pytest.approx(1)


def test_a_hole_lies_inside_of_the_mask():
    array = np.ones((1, 5, 5, 5), dtype=np.float32)
    array[0, 2, 2, 2] = 0
    assert normalised(array, [Intensity(scheme="zscore", masked=True)])[0, 2, 2, 2] < -5


def test_colours_are_bytes():
    with pytest.raises(DataError, match="-5 to 300"):
        normalised(np.array([[[[-5.0, 300.0]]]]), [Intensity(scheme="rgb")])


def test_samples_that_are_not_finite_are_ignored(rng):
    scan = volume(rng)
    scan.array[0, 3, 4, 5] = np.nan
    image, ignore, _ = forward(scan, plan((1.0, 1.0, 1.0), intensities=(Intensity(scheme="zscore"),)))
    assert image.isfinite().all()
    assert ignore.nonzero().tolist() == [[3, 4, 5]]
