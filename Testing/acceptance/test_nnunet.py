"""A network that nnU-Net trained predicts here what it predicted there."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

from IncrementalSegLib.engine.adoption.adopt import adopt_nnunet
from IncrementalSegLib.engine.models import load
from IncrementalSegLib.engine.runtime import start
from IncrementalSegLib.store.versions import open_model
from IncrementalSegLib.volumes.io import read_volume

MOST, MEAN, DICE = 2e-2, 1e-3, 0.995


@pytest.fixture(scope="module")
def predictor(trained, tmp_path_factory):
    model = tmp_path_factory.mktemp("adopted") / "model"
    adopt_nnunet(trained / "Dataset901_HippoAnterior", model)
    runtime = start("cpu")
    return load(open_model(model), runtime).predictor(runtime)


@pytest.fixture(scope="module")
def scans(shared_data):
    return {
        path.name: path for path in (shared_data / "hippocampus-mr").rglob("*.nii.gz") if "images" in path.parent.name
    }


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(("way", "most"), [("plain", 10), ("mirror", 1)])
def test_outlines_and_probabilities_are_those_of_nnunet(way, most, trained, predictor, scans):
    files = sorted((trained / "predictions" / way).glob("*.nii.gz"))[:most]
    assert len(files) == most
    for file in files:
        found = predictor.predict(read_volume(scans[file.name]), probability=True, mirror=way == "mirror")
        (mask,), (probability,) = found.mask.values(), found.probability.values()
        theirs = sitk.GetArrayFromImage(sitk.ReadImage(str(file))) == 1
        assert 2 * (mask & theirs).sum() / (mask.sum() + theirs.sum()) >= DICE, file.name
        saved = file.with_name(file.name.replace(".nii.gz", ".npz"))
        if saved.is_file():
            with np.load(saved) as held:
                expected = held[held.files[0]].astype(np.float32)
            difference = np.abs(expected.reshape(mask.shape) - probability.astype(np.float32))
            assert difference.max() <= MOST, file.name
            assert difference.mean() <= MEAN, file.name
