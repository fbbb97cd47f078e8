"""A model of a bundle sees a scan as MONAI's own transforms make it, sample by sample."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest
from bundle_folders import INTENSITY, LOADING, ORIENTATION, SEGRESNET, SPACING, configuration, metadata, monai_sees

from IncrementalSegLib.engine.adoption.bundle.adopt import described
from IncrementalSegLib.engine.adoption.bundle.config import Config
from IncrementalSegLib.engine.adoption.bundle.writing import metadata_of
from IncrementalSegLib.preprocessing.pipeline import forward
from IncrementalSegLib.volumes.io import read_volume

NORMALIZE = {"_target_": "NormalizeIntensityd"}
PERCENTILES = {
    "_target_": "ScaleIntensityRangePercentilesd", "lower": 5, "upper": 90, "b_min": -1.0, "b_max": 2.0
}  # fmt: skip
WISE = {"channel_wise": True}
ONE_STEP = ({"_target_": "LoadImaged", "ensure_channel_first": True},)
LPS = ORIENTATION | {"axcodes": "LPS"}

KINDS = {
    "range": (*LOADING, INTENSITY | {"clip": False}),
    "range without b": (*LOADING, {"_target_": "ScaleIntensityRanged", "a_min": -100, "a_max": 50}),
    "range after spacing": (*LOADING, LPS, SPACING, INTENSITY | {"clip": False, "b_min": -3.0}),
    "clip before spacing": (*LOADING, INTENSITY, SPACING),
    "normalise": (*ONE_STEP, NORMALIZE),
    "nonzero": (*LOADING, ORIENTATION, NORMALIZE | {"nonzero": True}, SPACING),
    "nonzero after spacing": (*LOADING, ORIENTATION, SPACING, NORMALIZE | {"nonzero": True} | WISE),
    "by numbers": (*LOADING, NORMALIZE | {"subtrahend": 40, "divisor": 12.5}),
    "by numbers of channels": (*LOADING, NORMALIZE | {"subtrahend": [40], "divisor": [12.5]} | WISE),
    "percentiles": (*LOADING, PERCENTILES | {"clip": True}, SPACING | {"pixdim": 2.5}),
    "percentiles of channels": (*LOADING, PERCENTILES | WISE, {"_target_": "ScaleIntensityd", "minv": 0, "maxv": 5}),
    "some axes": (*LOADING, ORIENTATION, SPACING | {"pixdim": [0, -1, 2]}),
    "two numbers": (*LOADING, SPACING | {"pixdim": [1.3, 2]}),
    "nearly its own": (*LOADING, SPACING | {"pixdim": [1.1005, 0.9, 3]}),
    "canonical": (*LOADING, {"_target_": "Orientationd", "as_closest_canonical": True}, SPACING),
}
COS, SIN = np.cos(0.2), np.sin(0.2)
SCANS = {
    "plain": np.diag([1.1, 0.9, 2.3, 1.0]),
    "flipped": np.diag([-1.1, -0.9, 2.3, 1.0]),
    "turned": np.array([[0, 0, 2.3, 5], [-1.1, 0, 0, 3], [0, 0.9, 0, 1], [0, 0, 0, 1.0]]),
    "oblique": np.array([[1.1 * COS, -0.9 * SIN, 0, 5], [1.1 * SIN, 0.9 * COS, 0, 3], [0, 0, 2.3, 1], [0, 0, 0, 1.0]]),
}


@pytest.mark.parametrize("scan", SCANS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_scan_becomes_what_monai_makes_of_it(kind, scan, tmp_path):
    random = np.random.default_rng(3)
    array = np.kron(random.integers(-300, 400, (4, 5, 3)), np.ones((3, 3, 3))) + random.integers(-20, 20, (12, 15, 9))
    array[:, :4] = 0
    path = tmp_path / "scan.nii.gz"
    image = nibabel.Nifti1Image(array.astype(np.int16), SCANS[scan])
    nibabel.save(image, path)
    config = configuration(SEGRESNET, KINDS[kind])
    plan = described(Config(config, tmp_path / "inference.json"), metadata_of(metadata())).plan
    ours, ignored, _ = forward(read_volume(path), plan)
    theirs = monai_sees(config, path)
    assert ignored is None
    assert tuple(ours.shape) == theirs.shape
    assert np.abs(ours.numpy() - theirs).max() <= 2e-4 * max(1.0, np.abs(theirs).max())
