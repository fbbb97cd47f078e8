import numpy as np
import pytest
import torch

from IncrementalSegLib.preprocessing.intensity import Normaliser, is_hounsfield

SIDE = 40


def by_hand(values: np.ndarray) -> np.ndarray:
    clipped = np.clip(values, *np.percentile(values, (0.5, 99.5)))
    return (clipped - clipped.mean()) / clipped.std()


def outside() -> np.ndarray:
    """The corners outside of the round field of view of a scanner, (8, SIDE, SIDE)."""
    y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    return np.repeat([x**2 + y**2 > (SIDE / 2 - 1) ** 2], 8, axis=0)


@pytest.fixture
def ct(rng):
    """A body with bone in noisy air, in Hounsfield units."""
    array = rng.normal(-990, 10, (1, 8, SIDE, SIDE))
    array[0, :, 10:30, 12:32] = rng.normal(45, 20, (8, 20, 20))
    array[0, :, 18:22, 18:22] = 800
    return array.astype(np.int16)


def test_each_channel_is_clipped_to_its_percentiles_and_standardised(rng):
    image = np.stack([rng.normal(300, 50, (6, 20, 20)), rng.gamma(2, 0.1, (6, 20, 20))]).astype(np.float32)
    image[0, 0, 0, 0], image[1, 5, 5, 5] = 1e6, -1e6  # a metal artefact and a broken sample
    result = Normaliser(image)().numpy()
    for channel in range(2):
        np.testing.assert_allclose(result[channel], by_hand(image[channel].astype(np.float64)), atol=1e-3)
    assert np.abs(result).max() < 10


@pytest.mark.parametrize("scale", [1e-20, 1e-9, 1.0, 1e6, 1e30])
def test_the_unit_does_not_matter(scale, rng):
    image = rng.random((1, 6, 20, 20), np.float32) + 0.5
    torch.testing.assert_close(Normaliser(image * np.float32(scale))(), Normaliser(image)(), atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("value", [0.0, 7.1, -1024.0, 7e8, np.nan])
def test_a_constant_channel_becomes_zero(value):
    assert not Normaliser(np.full((1, 8, 9, 10), value, np.float32))().any()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
def test_broken_samples_do_not_count_and_become_the_least(rng, value):
    image = rng.normal(size=(1, 6, 20, 20))
    spoiled = image.copy()
    spoiled[:, :3] = value
    found = Normaliser(spoiled)()
    torch.testing.assert_close(found[:, 3:], Normaliser(image[:, 3:])())
    assert (found[:, :3] == found.min()).all()


def test_a_sparse_image_keeps_its_few_voxels_and_fits_float16():
    image = np.zeros((1, 40, 100, 100), np.uint16)
    image[0, 20, 50, 50:60] = 1000
    result = Normaliser(image)()
    assert result[0, 20, 50, 55] > 100 * result[0, 0, 0, 0].abs()
    assert result.half().isfinite().all()


def test_a_large_scan_is_sampled_without_repeating_its_columns(rng):
    image = rng.normal(100, 20, (1, 10, 512, 512)).astype(np.float32)
    image[..., ::2] += 300  # every n-th voxel would see columns of one kind alone
    found, expected = Normaliser(image)(4, 6).numpy(), by_hand(image[0].astype(np.float64))
    np.testing.assert_allclose(found[0], expected[4:6], atol=0.01)
    assert np.array_equal(found, Normaliser(image)(4, 6).numpy())  # and always alike


@pytest.mark.parametrize("slices", [(0, 3), (3, 8), (0, 8)])
def test_a_slab_is_normalised_like_the_whole_scan(ct, slices):
    ct[:, outside()] = 77
    normaliser = Normaliser(ct)
    torch.testing.assert_close(normaliser(*slices), normaliser()[:, slice(*slices)], rtol=0, atol=0)


def test_a_view_is_read_and_the_scan_stays_as_it_is(ct):
    before, turned = ct.copy(), np.flip(ct.transpose(0, 3, 1, 2), 2)
    expected = np.flip(Normaliser(ct)().numpy().transpose(0, 3, 1, 2), 2)
    np.testing.assert_allclose(Normaliser(turned)().numpy(), expected, atol=1e-5)
    assert np.array_equal(ct, before)


@pytest.mark.parametrize("normalisation", ["zscore", "ct"])
@pytest.mark.parametrize(
    ("value", "kind"),
    [(-3024, np.int16), (-2000, np.float32), (-1024, np.int16), (0, np.int16), (62512, np.int32), (np.nan, np.float32)],
)
def test_padding_in_the_corners_changes_nothing_in_the_body(ct, normalisation, value, kind):
    inside = ~outside()
    holes = ct.astype(np.float32)
    holes[:, outside()] = np.nan  # what is compared with: samples that are known not to count
    padded = ct.astype(kind)
    padded[:, outside()] = value
    found, expected = Normaliser(padded, normalisation)(), Normaliser(holes, normalisation)()
    np.testing.assert_allclose(found[:, inside], expected[:, inside], atol=0.02)
    assert (found[:, outside()] == found.min()).all()  # the network sees air
    assert (found[0, :, 10:30, 12:32] > found.min()).all()  # and no hole in the body


@pytest.mark.parametrize("value", [-500, 0, 600])
@pytest.mark.parametrize("border", [np.s_[:, :3], np.s_[:, :, -12:], np.s_[:, :, :, :9]], ids="DHW")
def test_a_constant_border_is_padding_whatever_its_value(ct, value, border):
    padded, holes = ct.copy(), ct.astype(np.float32)
    padded[border], holes[border] = value, np.nan
    difference = Normaliser(padded)() - Normaliser(holes)()
    assert (difference.abs() > 0.03).float().mean() < 1e-3  # tissue of that value beside the border


@pytest.mark.parametrize("normalisation", ["zscore", "ct"])
@pytest.mark.parametrize("value", [-1500, -500, 40, 3000])
def test_declared_padding_counts_in_no_statistic_and_is_air_wherever_it_lies(ct, normalisation, value):
    hidden = np.zeros(ct.shape[1:], dtype=np.bool_)
    hidden[1:3, 12:20, 14:22] = True  # within the body, as where a face or a name was covered
    ct[ct == value] += 1
    padded, holes = ct.copy(), ct.astype(np.float32)
    padded[:, hidden], holes[:, hidden] = value, np.nan
    found = Normaliser(padded, normalisation, padding=[value])()
    np.testing.assert_allclose(found.numpy(), Normaliser(holes, normalisation)().numpy(), atol=1e-5)
    assert (found[:, hidden] == found.min()).all()


def test_padding_is_declared_channel_by_channel(ct):
    both = np.concatenate([ct, ct])
    both[1, :4] = 77
    found = Normaliser(both, padding=[None, 77])()
    torch.testing.assert_close(found[:1], Normaliser(ct)())
    assert (found[1, :4] == found[1].min()).all()


def test_tissue_of_the_value_of_the_padding_stays(ct):
    ct[:, outside()] = 800  # as much as the bone
    found = Normaliser(ct)()
    assert (found[0, :, 18:22, 18:22] == found.max()).all()


def test_air_that_was_cut_off_does_not_count(rng):
    body = rng.integers(20, 200, (1, 8, SIDE, SIDE)).astype(np.uint8)
    wide = np.pad(body, ((0, 0), (0, 0), (20, 20), (20, 20)))
    np.testing.assert_allclose(Normaliser(wide)()[..., 20:-20, 20:-20].numpy(), Normaliser(body)().numpy(), atol=0.03)


def test_saturated_corners_of_a_picture_are_no_padding(rng):
    picture = np.clip(rng.normal(200, 60, (3, 1, SIDE, SIDE)), 0, 255).astype(np.uint8)
    picture[0, :, :5], picture[0, :, -5:] = 255, 255  # skin that is too bright in red alone
    assert Normaliser(picture).padding is None
    picture[0], picture[1], picture[2] = 255, 255, 255
    picture[:, :, 10:30, 10:30] = 254
    assert Normaliser(picture).padding is None


def test_hounsfield_units_are_clipped_to_a_window_that_does_not_depend_on_the_scan(ct):
    ct[0, 0, 0, :4] = [-2000, -1000, 40, 3000]
    found = Normaliser(ct, "ct")()
    np.testing.assert_allclose(found[0, 0, 0, :4], [-5, -5, 0.2, 5], atol=1e-6)
    np.testing.assert_allclose(Normaliser(ct, "ct", window=(0, 400))()[0, 0, 0, :4], [-5, -5, -4, 5], atol=1e-6)


def test_hounsfield_units_are_recognised_by_air_and_soft_tissue(ct):
    assert is_hounsfield(ct)
    padded = ct.copy()
    padded[:, outside()] = -3024
    assert is_hounsfield(padded)
    assert is_hounsfield(ct + np.float32(0.25))  # resampled


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda ct: np.clip((ct + 125) * 255 // 400, 0, 255).astype(np.uint8), id="8 bits"),
        pytest.param(lambda ct: ct + 1024, id="without its offset"),
        pytest.param(lambda ct: ct / 200, id="normalised"),
        pytest.param(np.abs, id="magnitude"),
        pytest.param(lambda ct: np.repeat(ct, 3, axis=0), id="three channels"),
        pytest.param(lambda ct: np.linspace(-4096, 4095, ct.size).reshape(ct.shape), id="phase"),
        pytest.param(lambda ct: np.full_like(ct, np.nan, dtype=float), id="NaN"),
    ],
)
def test_other_values_are_not_taken_for_hounsfield_units(ct, change):
    assert not is_hounsfield(change(ct))
