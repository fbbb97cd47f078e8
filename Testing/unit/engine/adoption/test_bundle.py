"""A MONAI bundle becomes a model that predicts what MONAI predicts."""

from __future__ import annotations

import importlib.util
import json

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from bundle_folders import (
    ARGMAX,
    DYNUNET,
    INTENSITY,
    INVERT,
    LOADING,
    NAMES,
    ORIENTATION,
    SEGRESNET,
    SIGMOID,
    SOFTMAX,
    SPACING,
    SWINUNETR,
    THRESHOLD,
    UNET,
    WINDOWS,
    configuration,
    metadata,
    monai_predicts,
    monai_scores,
    write_bundle,
    write_scan,
)
from safetensors.torch import save_file
from scipy import ndimage

from IncrementalSegLib.engine.adoption.bundle.adopt import adopt_bundle
from IncrementalSegLib.engine.models import load
from IncrementalSegLib.engine.packages.transfer import export_package, import_package
from IncrementalSegLib.engine.runtime import start
from IncrementalSegLib.store.summary import read_summary
from IncrementalSegLib.store.versions import open_model
from IncrementalSegLib.volumes.io import read_volume

pytestmark = pytest.mark.usefixtures("read_in_process")

SCALE = {"_target_": "ScaleIntensityd", "minv": -1.0, "maxv": 1.0}
NORMALIZE = {"_target_": "NormalizeIntensityd", "nonzero": True, "channel_wise": True}
CROP = {"_target_": "CropForegroundd", "source_key": "@image_key", "mode": ["minimum"]}
PLAIN_UNET = UNET | {"num_res_units": 0, "act": "relu", "norm": "instance"}
FLAT_UNET = UNET | {"spatial_dims": 2}
SLICES = {"_target_": "SliceInferer", "roi_size": [16, 16], "spatial_dim": 2, "overlap": 0.25}
GAUSSIAN = WINDOWS | {"mode": "gaussian", "padding_mode": "replicate", "overlap": [0.25, 0.5, 0.25]}
NEAREST = INVERT | {"nearest_interp": True}
LARGE = WINDOWS | {"roi_size": [64, 32, 32], "overlap": 0.1}
EINOPS = pytest.mark.skipif(importlib.util.find_spec("einops") is None, reason="einops is not installed")

KINDS = {
    "spleen": configuration(),
    "plain": configuration(PLAIN_UNET, after=(INVERT, ARGMAX)),
    "whole body": configuration(
        SEGRESNET,
        (*LOADING, {"_target_": "EnsureTyped"}, ORIENTATION, SPACING, NORMALIZE, SCALE),
        GAUSSIAN,
        (SOFTMAX, ARGMAX, NEAREST),
    ),
    "pediatric": configuration(DYNUNET, (*LOADING, ORIENTATION, SPACING, INTENSITY, CROP)),
    "as stored": configuration(SEGRESNET, (*LOADING, NORMALIZE), after=(SIGMOID, INVERT, THRESHOLD)),
    "intensities first": configuration(
        before=(*LOADING, INTENSITY, ORIENTATION | {"axcodes": "PIR"}, SPACING | {"pixdim": [2.0, -1, 0.8]})
    ),
    "percentiles": configuration(
        before=(
            *LOADING,
            {
                "_target_": "ScaleIntensityRangePercentilesd",
                "lower": 1,
                "upper": 99,
                "b_min": 0,
                "b_max": 1,
                "clip": True,
            },
            SPACING | {"pixdim": 1.3, "align_corners": [True]},
        ),
        after=(SOFTMAX, NEAREST, ARGMAX),
    ),
    "ventricles": configuration(FLAT_UNET, (*LOADING, SCALE), SLICES),
    "coronal slices": configuration(FLAT_UNET, (*LOADING, ORIENTATION, SPACING, SCALE), SLICES | {"spatial_dim": 1}),
    "larger than the scan": configuration(inferer=WINDOWS | {"roi_size": [64, 16, 32], "padding_mode": "replicate"}),
    "scores of a sigmoid": configuration(SEGRESNET, after=(INVERT, SIGMOID, THRESHOLD)),
    "transformer": configuration(SWINUNETR, inferer=LARGE),
}


@pytest.fixture
def scan(tmp_path):
    """A turned CT with air on one side, on a grid of its own."""
    path = write_scan(tmp_path / "scan.nii.gz", (20, 40, 36), air=6)
    image = sitk.ReadImage(str(path))
    image.SetDirection((0, 1, 0, -1, 0, 0, 0, 0, 1))
    image.SetOrigin((10, -20, 5))
    sitk.WriteImage(image, str(path))
    return path


def loaded(model):
    return load(open_model(model), start("cpu"))


def predicted(model, scan):
    return loaded(model).predictor(start("cpu")).predict(read_volume(scan), probability=True)


def compare(folder, model, scan, overlapping=False):
    """Assert that a model predicts what MONAI predicts with a bundle, and that there is something to predict."""
    prediction, scores = predicted(model, scan), monai_predicts(folder, scan)
    labels = monai_predicts(folder, scan, labels=True)
    discrete = any("AsDiscrete" in step["_target_"] for step in _after(folder)[: _at(folder, "Invertd")])
    certain = np.ones(scores.shape[1:], bool)
    if not (overlapping or discrete):
        certain = _likely(folder, scores).sum(0) > 0.999  # next to a crop MONAI's add up to less
    sizes = []
    for number, (item, found) in enumerate(prediction.mask.items()):
        theirs = certain & (labels[number] > 0.5 if overlapping else labels[0] == number + 1)
        mask = found & certain
        sizes.append(int(theirs.sum()))
        both = 2 * (mask & theirs).sum() / max(1, mask.sum() + theirs.sum())
        assert both >= 0.995 or not (mask.any() or theirs.any()), (number, both)
        if not discrete:  # else MONAI has no scores on the scan's grid
            assert (
                np.abs(prediction.probability[item] - _likely(folder, scores)[number + (not overlapping)]).mean()
                <= 1e-3
            )
    assert sum(sizes) > 0
    assert sum(sizes) < mask.size or overlapping


def _after(folder):
    return json.loads((folder / "configs" / "inference.json").read_text("utf-8"))["postprocessing"]["transforms"]


def _at(folder, name):
    return [step["_target_"] for step in _after(folder)].index(name)


def _likely(folder, scores):
    """Return probabilities of scores to which no activation was applied."""
    named = any("Activations" in step["_target_"] for step in _after(folder))
    return scores if named else torch.from_numpy(scores.copy()).softmax(0).numpy()


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=(EINOPS, pytest.mark.slow) if kind == "transformer" else ()) for kind in KINDS]
)
def test_a_model_predicts_what_monai_predicts(kind, scan, tmp_path):
    config = KINDS[kind]
    overlapping = any(step.get("sigmoid") for step in config["postprocessing"]["transforms"])
    names = ("left", "right", "both") if overlapping else NAMES
    folder = write_bundle(tmp_path / "bundle", config, metadata(names))
    record = adopt_bundle(folder, tmp_path / "model")
    assert record.structures.names == names[not overlapping :]
    assert record.output == ("heads" if overlapping else "classes")
    compare(folder, tmp_path / "model", scan, overlapping)


def test_an_oblique_scan_is_outlined_as_by_monai(scan, tmp_path):
    image = sitk.ReadImage(str(scan))
    turn = sitk.Euler3DTransform((0, 0, 0), 0.1, 0.2, -0.15).GetMatrix()
    image.SetDirection(turn)
    sitk.WriteImage(image, str(scan))
    folder = write_bundle(tmp_path / "bundle", configuration(before=(*LOADING, ORIENTATION, SPACING, INTENSITY)))
    adopt_bundle(folder, tmp_path / "model")
    compare(folder, tmp_path / "model", scan)


def test_pictures_are_seen_as_monai_sees_them(tmp_path):
    array = ndimage.gaussian_filter(np.random.default_rng(0).normal(120, 90, (40, 52)), 1.5).clip(0, 255)
    sitk.WriteImage(sitk.GetImageFromArray(array.astype(np.uint8)), str(tmp_path / "picture.png"))
    inferer = WINDOWS | {"roi_size": [32, 16]}
    folder = write_bundle(tmp_path / "bundle", configuration(FLAT_UNET, (*LOADING, SCALE), inferer))
    assert adopt_bundle(folder, tmp_path / "model").preprocessing["planar"]
    parts = predicted(tmp_path / "model", tmp_path / "picture.png")
    theirs = torch.from_numpy(monai_scores(folder, tmp_path / "picture.png")).softmax(0).transpose(1, 2)
    for number, item in enumerate(parts.probability, start=1):
        assert np.abs(parts.probability[item][0] - np.asarray(theirs[number])).max() < 1e-3


def test_several_channels_come_from_several_files(tmp_path, scan):
    network = SEGRESNET | {"in_channels": 2}
    config = configuration(network, (LOADING[0], NORMALIZE), after=(SIGMOID, INVERT, THRESHOLD))
    folder = write_bundle(tmp_path / "bundle", config, metadata(("a", "b", "c"), channels=2))
    record = adopt_bundle(folder, tmp_path / "model")
    assert (record.preprocessing["channels"], record.step["origin"]["channels"]) == (2, ["image 0", "image 1"])


@pytest.mark.parametrize("form", ["safetensors", "model", "yaml"])
def test_other_forms_of_the_same_bundle_give_the_same_model(form, tmp_path):
    folder = write_bundle(tmp_path / "bundle")
    adopt_bundle(folder, tmp_path / "one")
    weights = torch.load(folder / "models" / "model.pt", weights_only=True)
    if form == "yaml":
        pytest.importorskip("yaml")
        (folder / "configs" / "inference.json").rename(folder / "configs" / "inference.yaml")
    elif form == "model":
        torch.save({"model": weights, "epoch": 3}, folder / "models" / "model.pt")
    else:
        (folder / "models" / "model.pt").unlink()
        save_file(weights, folder / "models" / "model.safetensors")
    adopt_bundle(folder, tmp_path / "two")
    one, two = loaded(tmp_path / "one"), loaded(tmp_path / "two")
    assert one.plan == two.plan
    for mine, other in zip(one.segmenter.state_dict().values(), two.segmenter.state_dict().values(), strict=True):
        assert torch.equal(mine, other)


def test_what_is_no_part_of_a_model_is_said(tmp_path, caplog):
    kept = {"_target_": "KeepLargestConnectedComponentd", "applied_labels": [1, 2]}
    config = configuration(after=(SOFTMAX, ARGMAX, kept, INVERT))
    adopt_bundle(write_bundle(tmp_path / "bundle", config), tmp_path / "model")
    assert "KeepLargestConnectedComponentd" in caplog.text
    assert "interpolates labels" in caplog.text
    caplog.clear()
    adopt_bundle(write_bundle(tmp_path / "plain"), tmp_path / "other")
    assert caplog.text == ""


def test_another_configuration_is_named(tmp_path):
    folder = write_bundle(tmp_path / "bundle")
    config = configuration(SEGRESNET)
    (folder / "configs" / "inference_b.json").write_text(json.dumps(config), "utf-8")
    with pytest.raises(Exception, match="do not fit"):
        adopt_bundle(folder, tmp_path / "model", config="inference_b.json")
    with pytest.raises(Exception, match="Choose among"):
        adopt_bundle(folder, tmp_path / "model", config="inference_c.json")


def test_the_model_is_passed_on_with_its_origin(tmp_path, scan):
    folder = write_bundle(tmp_path / "tiny_ct", described=metadata(license="Apache 2.0"))
    adopt_bundle(folder, tmp_path / "model")
    origin = read_summary(tmp_path / "model")["origin"]
    assert (origin["folder"], origin["configuration"]) == ("tiny_ct", "UNet in inference.json")
    assert str(tmp_path) not in json.dumps(origin)
    assert export_package(tmp_path / "model", tmp_path / "model.iseg")["license"] == "Apache 2.0"
    import_package(tmp_path / "model.iseg", tmp_path / "again")
    assert read_summary(tmp_path / "again")["origin"] == origin
    assert loaded(tmp_path / "again").plan == loaded(tmp_path / "model").plan
    mine, other = (predicted(tmp_path / name, scan).mask for name in ("model", "again"))
    assert all(np.array_equal(mine[item], other[item]) for item in mine)
