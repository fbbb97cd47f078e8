from __future__ import annotations

import itertools
import json
import math
import time

import numpy as np
import pytest
import torch
from monai import metrics
from scipy import ndimage

from IncrementalSegLib.errors import DataError, GeometryError
from IncrementalSegLib.evaluation.metrics import CaseScore, score, summarise

RNG = np.random.default_rng


def surface_by_loop(mask, spacing):
    """Return the positions in mm of the voxels with a face neighbour outside, voxel by voxel."""
    points = []
    for voxel in map(tuple, np.argwhere(mask)):
        for axis, way in itertools.product(range(3), (-1, 1)):
            if mask.shape[axis] == 1:
                continue
            near = list(voxel)
            near[axis] += way
            outside = not 0 <= near[axis] < mask.shape[axis]
            if outside or not mask[tuple(near)]:
                points.append(tuple(index * step for index, step in zip(voxel, spacing, strict=True)))
                break
    return points


def distances_by_loop(mask, other, spacing):
    here, there = surface_by_loop(mask, spacing), surface_by_loop(other, spacing)
    return [min(math.dist(point, target) for target in there) for point in here]


@pytest.mark.parametrize(
    ("shape", "spacing"),
    [
        ((6, 7, 5), (1.0, 1.0, 1.0)),
        ((5, 8, 7), (4.0, 0.7, 0.3)),
        ((1, 12, 10), (9.0, 0.5, 2.0)),
        ((2, 5, 1), (1, 2, 3)),
    ],
)
def test_agrees_with_a_plain_loop(shape, spacing):
    for seed in range(4):
        prediction, truth = (RNG((seed, side)).random(shape) < 0.45 for side in range(2))
        there = distances_by_loop(prediction, truth, spacing)
        back = distances_by_loop(truth, prediction, spacing)
        result = score(prediction, truth, spacing)
        both = sum(1 for a, b in zip(prediction.flat, truth.flat, strict=True) if a and b)
        assert result.dice == pytest.approx(2 * both / (int(prediction.sum()) + int(truth.sum())))
        assert result.assd_mm == pytest.approx(sum(there + back) / len(there + back))
        assert result.hd95_mm == pytest.approx(max(np.percentile(there, 95), np.percentile(back, 95)))


@pytest.mark.filterwarnings("ignore:.*always_return_as_numpy:FutureWarning")  # MONAI warns of its own call
@pytest.mark.parametrize(
    ("shape", "spacing"), [((16, 24, 20), (4.0, 0.7, 0.7)), ((12, 30, 12), (1.0, 1.0, 2.5)), ((40, 30), (0.5, 2.0))]
)
def test_agrees_with_monai(shape, spacing):
    """Another implementation of the same definitions, on blobs that touch the border and have several parts."""
    options = {"include_background": True, "spacing": spacing}
    for seed in range(5):
        noise = [ndimage.gaussian_filter(RNG((seed, side)).normal(size=shape), 2) for side in range(2)]
        prediction, truth = (mask > np.quantile(mask, 0.7) for mask in (noise[0] + noise[1], noise[1]))
        pair = [torch.from_numpy(mask)[None, None] for mask in (prediction, truth)]
        found = score(prediction, truth, spacing)
        assert 0.1 < found.dice < 0.95
        assert found.dice == pytest.approx(metrics.compute_dice(*pair).item())
        assd = metrics.compute_average_surface_distance(*pair, symmetric=True, **options).item()
        hd95 = metrics.compute_hausdorff_distance(*pair, percentile=95, **options).item()
        assert (found.assd_mm, found.hd95_mm) == pytest.approx((assd, hd95), rel=1e-5)  # theirs are float32


def test_shifted_cube_has_the_distance_of_the_shift():
    truth = np.zeros((12, 12, 12), dtype=bool)
    truth[2:6, 3:9, 3:9] = True
    prediction = np.zeros_like(truth)
    prediction[8:12, 3:9, 3:9] = True
    result = score(prediction, truth, (5.0, 1.0, 1.0), case="a")
    assert (result.dice, result.patient) == (0.0, "a")
    assert result.hd95_mm == pytest.approx(30.0)  # six slices of 5 mm between the far faces
    assert score(truth, truth, (5.0, 1.0, 1.0)).assd_mm == 0.0


def test_a_single_voxel_image_is_scored():
    assert score(np.ones((1, 1, 1), bool), np.ones((1, 1, 1), bool), (1, 1, 1)).hd95_mm == 0.0


@pytest.mark.parametrize(
    ("in_truth", "in_prediction", "dice", "flag"),
    [(0, 0, None, "correctly_absent"), (0, 3, 0.0, "falsely_present"), (3, 0, 0.0, "missed")],
)
def test_empty_masks_have_defined_values(in_truth, in_prediction, dice, flag):
    truth, prediction = np.zeros((1, 4, 4), bool), np.zeros((1, 4, 4), bool)
    truth.flat[:in_truth] = prediction.flat[:in_prediction] = True
    result = score(prediction, truth, (1, 1, 1))
    assert (result.dice, result.assd_mm, result.hd95_mm) == (dice, None, None)
    flags = {name: getattr(result, name) for name in ("correctly_absent", "falsely_present", "missed")}
    assert [name for name, value in flags.items() if value] == [flag]


def test_wrong_input_is_refused():
    mask = np.ones((2, 3, 4), bool)
    with pytest.raises(GeometryError, match=r"\(2, 3, 4\).*\(2, 3, 5\)"):
        score(mask, np.ones((2, 3, 5), bool), (1, 1, 1))
    for spacing in ((1, 1), (1, 0, 1), (1, math.nan, 1)):
        with pytest.raises(GeometryError, match="spacing"):
            score(mask, mask, spacing)
    with pytest.raises(DataError, match="uint8"):
        score(mask.astype(np.uint8), mask, (1, 1, 1))


def made(dice, case, **changes):
    values = {"assd_mm": 1.0, "hd95_mm": 2.0, "voxels_truth": 9, "voxels_predicted": 9} | changes
    return CaseScore(case=case, patient=changes.pop("patient", case), dice=dice, **values)


def test_summary_counts_what_it_leaves_out():
    gone = {"assd_mm": None, "hd95_mm": None}
    scores = [
        made(0.9, "a"),
        made(0.6, "b", assd_mm=3.0, hd95_mm=4.0, seen_in_training=True),
        made(0.0, "missed", voxels_predicted=0, **gone),
        made(0.0, "false", voxels_truth=0, **gone),
        made(None, "absent", voxels_truth=0, voxels_predicted=0, **gone),
    ]
    result = summarise(scores, RNG(0)).to_json()
    assert json.loads(json.dumps(result)) == result
    assert [case["case"] for case in result.pop("per_case")] == ["a", "b", "missed", "false", "absent"]
    assert result == {
        "dice": pytest.approx(0.375),
        "dice_ci": None,
        "assd_mm": 2.0,
        "hd95_mm": 3.0,
        "cases": 4,
        "seen_in_training": 1,
        "missed": 1,
        "correctly_absent": 1,
        "falsely_present": 1,
    }


def test_interval_needs_five_cases_and_no_case_at_all_is_no_error():
    five = summarise([made(value / 10, str(value)) for value in range(4, 9)], RNG(0))
    assert five.dice_ci is not None
    assert five.dice_ci[0] < 0.6 < five.dice_ci[1]
    nothing = summarise([], RNG(0))
    assert (nothing.dice, nothing.dice_ci, nothing.assd_mm, nothing.cases) == (None, None, None, 0)


def test_a_full_volume_takes_few_distance_transforms():
    z, y, x = np.ogrid[:21, :320, :256]
    truth = ((z - 10) / 9) ** 2 + ((y - 160) / 120) ** 2 + ((x - 128) / 100) ** 2 < 1
    prediction = RNG(0).random(truth.shape) < 0.5  # an untrained network
    scoring = seconds(lambda: score(prediction, truth, (4.0, 0.6, 0.6)))
    assert scoring < 12 * seconds(lambda: ndimage.distance_transform_edt(truth))  # about 3 times


def seconds(work):
    start = time.process_time()
    work()
    return time.process_time() - start
