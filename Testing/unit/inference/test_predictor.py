import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from monai.data.utils import compute_importance_map
from scans import ORDERS, ball, middle, stored
from torch import Tensor

from IncrementalSegLib.errors import DataError
from IncrementalSegLib.inference.postprocess import largest_component
from IncrementalSegLib.inference.predictor import UNCERTAINTY_PASSES, Predictor
from IncrementalSegLib.networks.config import SegmenterConfig
from IncrementalSegLib.networks.dropout import ChannelDropout
from IncrementalSegLib.networks.segmenter import Segmenter
from IncrementalSegLib.preprocessing.pipeline import forward
from IncrementalSegLib.preprocessing.plan import Plan
from IncrementalSegLib.progress import Share
from IncrementalSegLib.volumes.volume import Grid, Volume

LIVER, SPLEEN, CYST = "a" * 32, "b" * 32, "c" * 32
GRID = Grid((11, 22, 18), (1.5, 1.1, 2.0), (10.0, -20.0, 5.0))
CPU = torch.device("cpu")


def plan(dimension=2, **changes) -> Plan:
    values = {
        "dimension": dimension,
        "planar": False,
        "channels": 1,
        "orientation": "SPL",
        "spacing": (None, 1.2, 1.2) if dimension == 2 else (2.0, 1.2, 1.2),
        "patch": (1, 24, 24) if dimension == 2 else (8, 16, 12),
        "multiple": 4,
        "shape": (11, 20, 22),
    }
    return Plan(**(values | changes))


def segmenter(dimension=2, own_trunk=False, channels=1) -> Segmenter:
    """Return a network with random weights and statistics, whose probabilities lie on both sides of one half."""
    torch.manual_seed(3)
    model = Segmenter(SegmenterConfig(network=f"unet{dimension}d", channels=channels, widths=(4, 6, 8), dropout=0.4))
    model.add([LIVER, SPLEEN])
    model.add([CYST], own_trunk=own_trunk)
    random = torch.Generator().manual_seed(4)
    for name, value in model.state_dict().items():
        if "running_mean" in name:
            value.sub_(torch.rand(value.shape, generator=random) / 10)
        elif "running_var" in name:
            value.mul_(torch.rand(value.shape, generator=random) + 0.1)
        elif ".score.weight" in name:
            value.copy_(torch.randn(value.shape, generator=random) * 3)
    with torch.no_grad():
        logits = model.eval()(torch.randn(1, channels, *[16] * dimension, generator=random)).logits
        for row, item in enumerate(model.structures):
            model.output.part(item).score.bias[1] -= (logits[0, row, 1] - logits[0, row, 0]).median()
    return model


@pytest.fixture
def scan(rng):
    return Volume(rng.normal(100, 30, (1, *GRID.shape)).astype(np.float32), GRID)


def predictor(model: Segmenter, settings: Plan, **options) -> Predictor:
    return Predictor(model, settings, CPU, **options)


@torch.no_grad()
def score(model: Segmenter, batch: Tensor) -> Tensor:
    model.eval()
    return model.probabilities(model(batch).logits)


def test_slices_equal_a_plain_loop(scan):
    model, settings = segmenter(), plan()
    image, _, _ = forward(scan, settings)
    found = predictor(model, settings, batch=3).probabilities(image, model.structures)
    image = image.float()
    height, width = image.shape[2:]
    assert (height % 4, width % 4) != (0, 0)
    room = (-(-height // 4) * 4, -(-width // 4) * 4)
    top, left = (room[0] - height) // 2, (room[1] - width) // 2
    for depth in range(image.shape[1]):
        padded = torch.full((1, 1, *room), float(image.min()))
        padded[0, 0, top : top + height, left : left + width] = image[0, depth]
        expected = score(model, padded)[0, :, top : top + height, left : left + width]
        torch.testing.assert_close(found[:, depth], expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("shape", [(11, 22, 18), (5, 40, 30), (8, 16, 12)], ids=["usual", "flat", "one patch"])
@pytest.mark.parametrize("overlap", [0.25, 0.5])
def test_windows_equal_a_plain_loop(shape, overlap, rng):
    model, settings = segmenter(3), plan(3)
    image = torch.from_numpy(rng.normal(size=(1, *shape))).half()
    found = predictor(model, settings, batch=2, overlap=overlap).probabilities(image, model.structures)
    patch = settings.patch
    room = [max(size, side) for size, side in zip(shape, patch, strict=True)]
    inside = tuple(slice((big - size) // 2, (big - size) // 2 + size) for size, big in zip(shape, room, strict=True))
    padded = torch.full((1, *room), float(image.min()))
    padded[(slice(None), *inside)] = image.float()
    starts = []
    for size, side in zip(room, patch, strict=True):
        stride = int(side * (1 - overlap))
        starts.append(sorted({min(start, size - side) for start in range(0, size - side + stride, stride)}))
    weight = compute_importance_map(patch, mode="gaussian", sigma_scale=0.125)
    total, weights = torch.zeros(3, *room), torch.zeros(room)
    for corner in itertools.product(*starts):
        window = tuple(slice(start, start + side) for start, side in zip(corner, patch, strict=True))
        total[(slice(None), *window)] += score(model, padded[(slice(None), *window)][None])[0] * weight
        weights[window] += weight
    expected = (total / weights)[(slice(None), *inside)]
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("dimension", [2, 3])
@pytest.mark.parametrize("own_trunk", [False, True])
def test_any_subset_in_any_order_is_the_same_as_all(dimension, own_trunk, scan):
    model, settings = segmenter(dimension, own_trunk), plan(dimension)
    tool = predictor(model, settings)
    everything = tool.predict(scan, probability=True)
    assert list(everything.mask) == [LIVER, SPLEEN, CYST]
    assert not everything.exclusive
    for wanted in itertools.chain.from_iterable(itertools.permutations(model.structures, n) for n in (1, 2, 3)):
        some = tool.predict(scan, wanted, probability=True)
        assert tuple(some.mask) == wanted
        for item in wanted:
            np.testing.assert_allclose(some.probability[item], everything.probability[item], atol=2e-3)
            assert (some.mask[item] != everything.mask[item]).mean() < 1e-3


def test_the_result_lies_on_the_scans_own_grid(scan):
    found = predictor(segmenter(), plan()).predict(scan, probability=True, uncertainty=True)
    for item in (LIVER, SPLEEN, CYST):
        assert found.probability[item].shape == found.mask[item].shape == GRID.shape
        assert found.probability[item].dtype == np.float16
        assert found.mask[item].dtype == np.bool_
        near_half = np.abs(found.probability[item].astype(np.float32) - 0.5) < 1e-3
        assert np.array_equal(found.mask[item] | near_half, (found.probability[item] >= 0.5) | near_half)
        assert 0.02 < found.mask[item].mean() < 0.98  # the checks above see both sides
    assert found.uncertainty.shape == GRID.shape


@pytest.mark.parametrize("dimension", [2, 3])
def test_all_48_orders_of_a_scan_give_the_same_mask_in_the_patient(dimension, scan):
    tool = predictor(segmenter(dimension), plan(dimension))
    expected = tool.predict(scan, [LIVER]).mask[LIVER].astype(np.uint8)
    assert 0.02 < expected.mean() < 0.98
    for axes, flips in ORDERS:
        array, grid = stored(scan.array[0], GRID, axes, flips)
        mask = tool.predict(Volume(array[np.newaxis], grid), [LIVER]).mask[LIVER]
        there, place = stored(expected, GRID, axes, flips)
        assert place == grid
        assert np.array_equal(mask, there), (axes, flips)


def test_pictures_with_channels(rng):
    model = segmenter(channels=3)
    settings = plan(planar=True, channels=3, spacing=(None, 1.5, 1.5))
    picture = Volume(rng.integers(0, 255, (3, 1, 30, 41)).astype(np.uint8), Grid((1, 30, 41), planar=True))
    assert predictor(model, settings).predict(picture).mask[LIVER].shape == (1, 30, 41)


def test_a_scan_that_does_not_fit_is_refused(scan):
    with pytest.raises(DataError, match="spacing"):
        predictor(segmenter(), plan()).predict(Volume(scan.array, replace(GRID, spacing=(9.0, 1.0, 1.0))))


def test_progress_reaches_the_end(scan):
    for dimension in (2, 3):
        told = []
        predictor(segmenter(dimension), plan(dimension), batch=4).predict(scan, progress=Share(told.append))
        assert told == sorted(told)
        assert told[-1] == 1.0


def test_predicting_between_training_steps_changes_no_statistics(scan):
    model = segmenter().train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    tool = predictor(model, plan())
    model.train()
    tool.predict(scan)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.fixture(scope="module")
def trained() -> Segmenter:
    """Return a network that finds a bright ball."""
    torch.manual_seed(0)
    model = Segmenter(SegmenterConfig(network="unet2d", widths=(8, 16, 16), dropout=0.3))
    model.add([LIVER])
    random = torch.Generator().manual_seed(1)
    ChannelDropout.seed(model, random)
    optimiser = torch.optim.Adam(model.parameters(), 1e-2)
    row, column = torch.meshgrid(torch.arange(32), torch.arange(32), indexing="ij")
    for _ in range(80):
        centers = torch.randint(10, 22, (2, 8, 1, 1), generator=random)
        label = (((row - centers[0]) ** 2 + (column - centers[1]) ** 2) < 49).float()
        image = label.unsqueeze(1) * 2 + torch.randn(8, 1, 32, 32, generator=random) * 0.7
        model.train()
        logits = model(image).logits[:, 0]
        loss = torch.nn.functional.cross_entropy(logits, label.long())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return model.eval()


def test_uncertainty_is_high_where_the_border_is(trained, rng):
    grid = Grid((5, 32, 32))
    truth = ball(grid, middle(grid), 8)
    scan = Volume((truth * 2 + rng.normal(0, 0.7, grid.shape)).astype(np.float32)[np.newaxis], grid)
    settings = plan(spacing=(None, 1.0, 1.0), patch=(1, 32, 32))
    tool = predictor(trained, settings)
    found = tool.predict(scan, uncertainty=True)
    uncertainty = found.uncertainty
    assert uncertainty.dtype == np.float32
    assert 0 <= uncertainty.min() < uncertainty.max() <= 1
    distance = np.linalg.norm(np.indices((32, 32)) - 15.5, axis=0)
    assert 2 * (found.mask[LIVER] & truth)[2].sum() / (found.mask[LIVER] + 0 + truth)[2].sum() > 0.9
    border, inside, far = (
        uncertainty[2][where].mean() for where in (abs(distance - 8) < 1.5, distance < 4, distance > 13)
    )
    assert border > 2 * inside
    assert border > 1.5 * far


def test_uncertainty_is_a_function_of_the_seed(trained, rng):
    scan = Volume(rng.normal(0, 1, (1, 4, 32, 32)).astype(np.float32), Grid((4, 32, 32)))
    tool = predictor(trained, plan(spacing=(None, 1.0, 1.0), patch=(1, 32, 32)))
    maps = []
    for seed, noise in ((0, 0), (0, 5), (1, 0)):
        torch.manual_seed(noise)
        maps.append(tool.predict(scan, uncertainty=True, seed=seed).uncertainty)
    assert np.array_equal(maps[0], maps[1])
    assert not np.array_equal(maps[0], maps[2])
    assert tool.predict(scan).uncertainty is None


def test_only_the_largest_component_is_kept_when_asked_for(trained):
    grid = Grid((1, 40, 64))
    truth = np.hypot(np.arange(40)[:, None] - 18, np.arange(64) - 16) < 8
    speck = np.hypot(np.arange(40)[:, None] - 24, np.arange(64) - 50) < 4
    scan = Volume((2.0 * (truth | speck)).astype(np.float32)[np.newaxis, np.newaxis], grid)
    tool = predictor(trained, plan(spacing=(None, 1.0, 1.0), patch=(1, 40, 64)))
    both, one = tool.predict(scan).mask[LIVER][0], tool.predict(scan, largest=True).mask[LIVER][0]
    assert both[24, 50]
    assert both[18, 16]
    assert np.array_equal(one, largest_component(both[np.newaxis])[0])
    assert not one[24, 50]
    assert one[18, 16]


def test_uncertainty_is_the_entropy_of_the_mean_in_bits_and_the_largest_over_structures(rng):
    model, settings = segmenter(), plan(patch=(1, 16, 16))
    image = torch.from_numpy(rng.normal(size=(1, 3, 16, 16))).half()
    found = predictor(model, settings).uncertainty(image, model.structures, seed=5).total
    random = torch.Generator().manual_seed(5)
    with torch.no_grad():
        passes = list(model.monte_carlo(image.float().transpose(0, 1), UNCERTAINTY_PASSES, random))
    share = np.clip(np.mean([item.numpy() for item in passes], axis=0), 1e-6, 1 - 1e-6).astype(np.float64)
    entropy = -(share * np.log2(share) + (1 - share) * np.log2(1 - share))
    np.testing.assert_allclose(found.numpy(), entropy.max(axis=1), atol=1e-4)


@pytest.mark.parametrize("dimension", [2, 3])
def test_nothing_is_found_where_the_scan_holds_no_sample(dimension, scan):
    model = segmenter(dimension)
    array = scan.array.copy()
    array[:, :, :, 9:] = np.nan
    prediction = predictor(model, plan(dimension)).predict(scan.with_array(array), uncertainty=True)
    found = prediction.mask
    assert not prediction.uncertainty[:, :, 11:].any()  # and nobody is sent there
    assert prediction.uncertainty[:, :, :9].any()
    whole = predictor(model, plan(dimension)).predict(scan).mask
    assert any(mask[:, :, 10:].any() for mask in whole.values())
    assert not any(mask[:, :, 10:].any() for mask in found.values())


def test_nothing_is_found_where_nobody_looked_and_all_else_stays(scan):
    where = np.zeros(GRID.shape, dtype=np.bool_)
    where[:, :, 10:] = True
    found = predictor(segmenter(), plan()).predict(replace(scan, unlabelled=where)).mask
    for item, mask in predictor(segmenter(), plan()).predict(scan).mask.items():
        assert mask[where].any()
        np.testing.assert_array_equal(found[item], mask & ~where)
