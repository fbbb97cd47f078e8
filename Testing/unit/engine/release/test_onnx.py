"""A release as ONNX is enough to segment as the model does, and says what a person needs to know."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from bundle_folders import (
    ARGMAX,
    INVERT,
    LOADING,
    SEGRESNET,
    SOFTMAX,
    WINDOWS,
    configuration,
    metadata,
    write_bundle,
    write_scan,
)
from nnunet_folders import configuration as nnunet_configuration
from nnunet_folders import write_trained

from IncrementalSegLib.engine.adoption.adopt import adopt_nnunet
from IncrementalSegLib.engine.adoption.bundle.adopt import adopt_bundle
from IncrementalSegLib.engine.models import load
from IncrementalSegLib.engine.release import graph
from IncrementalSegLib.engine.release.onnx import release_onnx
from IncrementalSegLib.engine.release.recipe import steps_of, windows_of
from IncrementalSegLib.engine.runtime import start
from IncrementalSegLib.errors import MissingNeedError, ModelError
from IncrementalSegLib.store.versions import open_model
from IncrementalSegLib.volumes.io import read_volume

pytestmark = pytest.mark.usefixtures("read_in_process")

onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

SCALE = {"_target_": "ScaleIntensityd", "minv": -1.0, "maxv": 1.0}
HALF = WINDOWS | {"overlap": [0.5, 0.25, 0.5], "mode": "gaussian", "sigma_scale": 0.2}
STORED = configuration(SEGRESNET, (*LOADING, SCALE), HALF, (SOFTMAX, INVERT, ARGMAX))


@pytest.fixture
def scan(tmp_path):
    """A scan whose grid is that of the models here."""
    return write_scan(tmp_path / "scan.nii.gz", (17, 24, 30), (1.0, 1.0, 2.5), smooth=1)


def gaussian(size, centre, sigma, least, **_):
    """Return the weights of a window, voxel by voxel."""
    weights = np.ones(size)
    for place in np.ndindex(*size):
        for at, middle, side in zip(place, centre, size, strict=True):
            weights[place] *= np.exp(-0.5 * ((at - middle) / (sigma * side)) ** 2)
    return np.maximum(weights, least)


def segmented(folder, image):
    """Return the probabilities of structures for ``(C, D, H, W)``, by the files of a release alone."""
    plan = json.loads((folder / "plan.json").read_text("utf-8"))
    session = onnxruntime.InferenceSession(folder / "model.onnx")
    window = plan["windows"]
    size = window["size"]
    total, sums, weights = 0.0, np.zeros(image.shape[1:]), gaussian(**window)
    starts = []
    for side, length, share in zip(size, image.shape[1:], window["overlap"], strict=True):
        step = int(side * (1 - share))
        count = int(np.ceil((length - side) / step)) + 1
        starts.append([min(number * step, length - side) for number in range(count)])
        if window["spacing"].startswith("even"):
            starts[-1] = [round((length - side) / max(1, count - 1) * number) for number in range(count)]
    for corner in itertools.product(*starts):
        place = tuple(slice(at, at + side) for at, side in zip(corner, size, strict=True))
        part = image[(slice(None), *place)][None].astype(np.float32)
        (scores,) = session.run([plan["output"]["name"]], {plan["input"]["name"]: part})
        maps = np.zeros((scores.shape[1], *image.shape[1:]))
        maps[(slice(None), *place)] = scores[0] * weights
        total, sums[place] = total + maps, sums[place] + weights
    scores = torch.from_numpy(total / sums)
    assert {item["kind"] for item in plan["output"]["channels"]} == {"softmax"}
    likely = scores.softmax(0).numpy()
    return {item["name"]: likely[number] for number, item in enumerate(plan["output"]["channels"])}


def predicted(model, scan):
    found = load(open_model(model), start("cpu"))
    prediction = found.predictor(start("cpu")).predict(read_volume(scan), probability=True)
    return {found.record.structures.by_id(item).name: one for item, one in prediction.probability.items()}


def test_a_bundle_is_segmented_by_the_files_alone(scan, tmp_path):
    adopt_bundle(write_bundle(tmp_path / "bundle", STORED, metadata(license="CC BY 4.0")), tmp_path / "model")
    release = release_onnx(tmp_path / "model", tmp_path / "out")
    array = sitk.GetArrayFromImage(sitk.ReadImage(str(scan))).transpose(2, 1, 0)  # as MONAI has it
    image = (array - array.min()) / (array.max() - array.min()) * 2 - 1
    found = segmented(release.folder, image[None])
    for name, likely in predicted(tmp_path / "model", scan).items():
        assert np.abs(found[name].transpose(2, 1, 0) - likely).max() <= 1e-3  # kept in 16 bits
        assert likely.std() > 1e-3
    assert sorted(path.name for path in release.folder.iterdir()) == [
        "README.md",
        "card.json",
        "model.onnx",
        "plan.json",
    ]
    plan = json.loads((release.folder / "plan.json").read_text("utf-8"))
    model = graph_file(release.folder)
    assert json.loads(model["incrementalseg"]) == plan
    assert (plan["license"], plan["version"]) == ("CC BY 4.0", 1)
    assert plan["input"]["shape"] == ["batch", 1, 16, 16, 16]
    assert [(item["name"], item["label"]) for item in plan["structures"]] == [("liver", 1), ("spleen", 2)]
    page = (release.folder / "README.md").read_text("utf-8")
    for step in ("in the order x, y, z", "ScaleIntensity", "overlap by 0.5, 0.25, 0.5", "softmax", "CC BY 4.0"):
        assert step in page
    for path in release.folder.iterdir():
        data = path.read_bytes()
        assert b".py" not in data
        assert str(tmp_path).encode() not in data
    with pytest.raises(ModelError, match="already there"):
        release_onnx(tmp_path / "model", tmp_path / "out")


def graph_file(folder):
    """Return the texts that a graph holds."""
    return onnxruntime.InferenceSession(folder / "model.onnx").get_modelmeta().custom_metadata_map


@pytest.mark.slow
def test_a_network_of_nnunet_is_segmented_by_the_files_alone(scan, tmp_path):
    given = nnunet_configuration(schemes=("NoNormalization",))
    adopt_nnunet(write_trained(tmp_path / "trained", given), tmp_path / "model")
    release = release_onnx(tmp_path / "model", tmp_path / "out")
    found = segmented(release.folder, sitk.GetArrayFromImage(sitk.ReadImage(str(scan)))[None])
    inner = (slice(2, -2), slice(4, -4), slice(4, -4))  # nnU-Net adds in 16 bits, which are coarse in corners
    for name, likely in predicted(tmp_path / "model", scan).items():
        assert np.abs(found[name][inner] - likely[inner]).max() <= 0.01
        assert np.abs(found[name][inner] - likely[inner]).mean() <= 1e-3


@pytest.mark.slow
def test_a_model_of_our_own_is_released(model, tmp_path):
    release = release_onnx(model, tmp_path / "out", license_text="mine")
    plan = json.loads((release.folder / "plan.json").read_text("utf-8"))
    assert (release.license, plan["output"]["name"], plan["windows"]) == ("mine", "probabilities", None)
    assert plan["input"]["shape"][2:] == ["4*h", "4*w"]
    assert any("multiples of 4" in step for step in plan["steps"])
    assert "sha256" not in (release.folder / "README.md").read_text("utf-8")


def test_a_missing_package_is_named(model, tmp_path, monkeypatch):
    monkeypatch.setattr(graph, "find_spec", lambda name: None if name == "onnxscript" else name)
    with pytest.raises(MissingNeedError, match=r"onnxscript is not installed.*incrementalseg\[onnx\]"):
        release_onnx(model, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_task_memory_is_refused(teach, data, tmp_path):
    teach(tmp_path / "model", data / "humerus", "humerus", method="clis")
    with pytest.raises(ModelError, match=r"released for ONNX: its network depends on the scan.*export"):
        release_onnx(tmp_path / "model", tmp_path / "out")


@pytest.mark.parametrize("kind", ["nnunet", "bundle", "own"])
def test_every_plan_has_steps(kind, model, tmp_path):
    if kind == "nnunet":
        given = nnunet_configuration(
            schemes=("CTNormalization", "ZScoreNormalization"), use_mask_for_norm=[False, True]
        )
        described = {
            "channel_names": {"0": "CT", "1": "PET"},
            "labels": {"background": 0, "a": 1},
            "file_ending": ".nii",
        }
        adopt_nnunet(write_trained(tmp_path / "trained", given, described), tmp_path / "adopted")
    elif kind == "bundle":
        adopt_bundle(write_bundle(tmp_path / "bundle"), tmp_path / "adopted")
    model = model if kind == "own" else tmp_path / "adopted"
    plan = load(open_model(model), start("cpu")).plan
    said = " ".join(steps_of(plan, ["a"], [True]))
    parts = {
        "nnunet": (
            "clip to -100 to 200, subtract 50, divide by 40",
            "inside the non-zero region",
            "splines of order 3",
        ),
        "bundle": ("grow towards right, anterior, superior", '"a_min":-57.0', "1.5, 1.5, 2 mm", "linearly"),
        "own": ("percentiles 0.5 and 99.5", "as a whole", "the most probable one"),
    }[kind]
    for part in parts:
        assert part in said
    assert (windows_of(plan) is None) is (kind == "own")
