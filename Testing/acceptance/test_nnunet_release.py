"""Real nnU-Net predicts with a released model what it predicted with its own, and what the model predicts here.

INCREMENTALSEG_NNUNET names a Python in whose environment nnunetv2 is installed; it need not be this one.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from nnunet_folders import LABELS, REGIONS, configuration, dataset, plans, write_trained

from IncrementalSegLib.engine.adoption.adopt import adopt_nnunet
from IncrementalSegLib.engine.learn import learn
from IncrementalSegLib.engine.models import load
from IncrementalSegLib.engine.release.nnunet import release_nnunet
from IncrementalSegLib.engine.runtime import start
from IncrementalSegLib.store.versions import open_model
from IncrementalSegLib.volumes.io import read_volume

DICE = 0.999
ENSEMBLE = 0.97  # nnU-Net rounds the scores of each fold to 16 bits, which shows in a small scan of noise
NEW = "hippocampus_096,hippocampus_097,hippocampus_099,hippocampus_101"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def nnunet():
    """Return the folder with the commands of nnU-Net."""
    python = os.environ.get("INCREMENTALSEG_NNUNET")
    if not python:
        pytest.skip("INCREMENTALSEG_NNUNET names no Python with nnunetv2")
    if subprocess.run([python, "-c", "import nnunetv2"], capture_output=True, check=False).returncode:
        pytest.skip(f"nnunetv2 cannot be imported by {python}")
    return Path(python).parent


@pytest.fixture(scope="module")
def scans(trained, shared_data, tmp_path_factory):
    """Return a folder with the ten scans that nnU-Net had not seen, named as it asks for."""
    folder = tmp_path_factory.mktemp("scans")
    for file in (trained / "predictions" / "plain").glob("*.nii.gz"):
        name = file.name.removesuffix(".nii.gz")
        shutil.copy(shared_data / "hippocampus-mr" / "images" / file.name, folder / f"{name}_0000.nii.gz")
    return folder


def predicted(nnunet, model, scans, tmp_path):
    """Release a model and let nnU-Net segment a folder of scans; return value -> mask of each case, and the labels."""
    release = release_nnunet(model, tmp_path / "results" / "Dataset901_Released")
    program, *arguments = shlex.split(
        release.command.replace("SCANS", str(scans)).replace("OUTLINES", str(tmp_path / "o"))
    )
    places = {f"nnUNet_{name}": str(tmp_path / name) for name in ("results", "raw", "preprocessed")}
    cpu = ("-device", "cpu", "-npp", "1", "-nps", "1", "--disable_tta")
    command = [shutil.which(program, path=nnunet), *arguments, *cpu]
    done = subprocess.run(command, env=os.environ | places, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    files = sorted((tmp_path / "o").glob("*.nii.gz"))
    return {file.name: sitk.GetArrayFromImage(sitk.ReadImage(str(file))) for file in files}, release


def dice(one, two):
    return 1.0 if not (one | two).any() else 2 * (one & two).sum() / (one.sum() + two.sum())


def assert_same(found, release, model, scans):
    """Assert that nnU-Net's label maps are those that the model makes here."""
    folder, runtime = open_model(model), start("cpu")
    loaded = load(folder, runtime)
    predictor = loaded.predictor(runtime)
    for name, theirs in found.items():
        masks = predictor.predict(read_volume(scans / name.replace(".nii.gz", "_0000.nii.gz"))).mask
        ours = np.zeros_like(theirs)
        for item in loaded.segmenter.structures:  # later ones over earlier ones
            ours[masks[item]] = release.labels[loaded.record.structures.by_id(item).name]
        for value in release.labels.values():
            least = DICE if release.folds == 1 else ENSEMBLE
            assert dice(ours == value, theirs == value) >= least, (name, value)


def test_released_unchanged(nnunet, trained, scans, tmp_path):
    adopt_nnunet(trained / "Dataset901_HippoAnterior", tmp_path / "model")
    found, _ = predicted(nnunet, tmp_path / "model", scans, tmp_path)
    assert len(found) == 10
    for name, array in found.items():
        theirs = sitk.GetArrayFromImage(sitk.ReadImage(str(trained / "predictions" / "plain" / name)))
        assert dice(array == 1, theirs == 1) >= DICE, name


def test_released_after_it_learned(nnunet, trained, scans, shared_data, tmp_path):
    adopt_nnunet(trained / "Dataset901_HippoAnterior", tmp_path / "model")
    learn(
        tmp_path / "model", shared_data / "hippocampus-mr", "posterior=posterior hippocampus", cases=NEW, method="mib",
        steps=4, preset="quick", exemplars="none", accept="always", device="cpu",
    )  # fmt: skip
    found, release = predicted(nnunet, tmp_path / "model", scans, tmp_path)
    assert dict(release.labels) == {"anterior": 1, "posterior": 2}
    assert_same(found, release, tmp_path / "model", scans)


@pytest.mark.parametrize(
    "kind",
    [
        {"given": configuration(2)},
        {"given": configuration(residual=True), "folds": (0, 1)},
        {"described": dataset(REGIONS, regions_class_order=[2, 1])},
        {"planned": plans(configuration(), "3d_fullres", transpose_forward=[2, 0, 1])},
        {"given": configuration(schemes=("CTNormalization",)), "described": dataset(LABELS)},
    ],
    ids=["2d", "residual folds", "regions", "transposed", "ct"],
)
def test_random_networks(kind, nnunet, rng, tmp_path):
    adopt_nnunet(write_trained(tmp_path / "trained", **kind), tmp_path / "model")
    (tmp_path / "scans").mkdir()
    image = sitk.GetImageFromArray(rng.normal(40, 30, (9, 26, 24)).astype(np.float32))
    image.SetSpacing((0.9, 1.1, 2.0))
    sitk.WriteImage(image, str(tmp_path / "scans" / "noise_0000.nii.gz"))
    found, release = predicted(nnunet, tmp_path / "model", tmp_path / "scans", tmp_path)
    assert len(found) == 1
    assert_same(found, release, tmp_path / "model", tmp_path / "scans")
