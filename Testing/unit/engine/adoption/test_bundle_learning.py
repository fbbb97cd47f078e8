"""An adopted bundle learns a structure; what it knew is guaranteed, or shares one softmax with the new one."""

from __future__ import annotations

import numpy as np
import pytest
from bundle_folders import (
    DYNUNET,
    LOADING,
    ORIENTATION,
    SEGRESNET,
    SIGMOID,
    SPACING,
    THRESHOLD,
    UNET,
    configuration,
    metadata,
    write_bundle,
)

from IncrementalSegLib.engine.adoption.bundle.adopt import adopt_bundle
from IncrementalSegLib.engine.learn import learn
from IncrementalSegLib.engine.models import load
from IncrementalSegLib.engine.runtime import start
from IncrementalSegLib.sampling.phantom import write_phantom_dataset
from IncrementalSegLib.store.versions import open_model
from IncrementalSegLib.volumes.io import read_volume

NORMALIZE = {"_target_": "NormalizeIntensityd"}
BEFORE = (*LOADING, ORIENTATION, SPACING | {"pixdim": [2.0, 2.0, 2.0]}, NORMALIZE)
FEW = {"steps": 2, "preset": "quick", "device": "cpu", "accept": "always", "options": {"passes": 2}}


@pytest.fixture
def taught(tmp_path, read_in_process):
    """Return a function that adopts a bundle and teaches it the humerus of made-up shoulders."""
    write_phantom_dataset(tmp_path / "data", 3, scanner="A", structures=["humerus"], seed=1, size=(8, 32, 32))

    def teach(network, method, **changes):
        names = ("a", "b", "c") if "after" in changes else ("background", "a", "b")
        bundle = write_bundle(tmp_path / "bundle", configuration(network, BEFORE, **changes), metadata(names))
        adopt_bundle(bundle, tmp_path / "model")
        return learn(tmp_path / "model", tmp_path / "data", "humerus", method=method, **FEW).record

    return teach


def both(tmp_path):
    """Return what the first and the present version predict for a scan."""
    folder, runtime = open_model(tmp_path / "model"), start("cpu")
    scan = read_volume(next(iter(sorted((tmp_path / "data").rglob("*.nii.gz")))))
    return [
        load(folder, runtime, number).predictor(runtime).predict(scan, probability=True)
        for number in (1, folder.current)
    ]


@pytest.mark.slow
@pytest.mark.parametrize("network", [UNET, SEGRESNET, DYNUNET], ids=["UNet", "SegResNet", "DynUNet"])
@pytest.mark.parametrize("method", [None, "decoder"])
def test_what_was_adopted_is_guaranteed(network, method, taught, tmp_path):
    record = taught(network, method)
    assert record.step["method"] == (method or "adapter")
    before, now = both(tmp_path)
    assert len(now.mask) == len(before.mask) + 1 == 3
    for item, mask in before.mask.items():
        assert np.array_equal(mask, now.mask[item])
        assert np.array_equal(before.probability[item], now.probability[item])


@pytest.mark.slow
@pytest.mark.parametrize("network", [UNET, SEGRESNET], ids=["UNet", "SegResNet"])
@pytest.mark.parametrize("method", ["mib", "lwfseg"])
def test_the_network_itself_learns(network, method, taught, tmp_path):
    record = taught(network, method)
    assert bool(record.architecture.get("heads")) is (method == "lwfseg")
    before, now = both(tmp_path)
    assert all((before.probability[item] != now.probability[item]).any() for item in before.mask)


@pytest.mark.slow
def test_sigmoids_get_another_one(taught):
    assert taught(SEGRESNET, "lwfseg", after=(SIGMOID, THRESHOLD)).output == "heads"
