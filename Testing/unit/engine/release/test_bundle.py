"""A released bundle is run by MONAI with the scores of the model, and is the same model when it is adopted again."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
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
    SPACING,
    THRESHOLD,
    UNET,
    WINDOWS,
    configuration,
    metadata,
    monai_predicts,
    write_bundle,
    write_scan,
)
from nnunet_folders import write_trained

from IncrementalSegLib.engine.adoption.adopt import adopt_nnunet
from IncrementalSegLib.engine.adoption.bundle.adopt import adopt_bundle
from IncrementalSegLib.engine.documents import FORMS
from IncrementalSegLib.engine.exemplars import remove_structure
from IncrementalSegLib.engine.models import load
from IncrementalSegLib.engine.release.bundle import release_bundle
from IncrementalSegLib.engine.runtime import start
from IncrementalSegLib.errors import ModelError
from IncrementalSegLib.store.versions import open_model
from IncrementalSegLib.structures import Structure
from IncrementalSegLib.volumes.io import read_volume

pytestmark = pytest.mark.usefixtures("read_in_process")

PLAIN = UNET | {"num_res_units": 0, "norm": "instance", "bias": False}
FLAT = UNET | {"spatial_dims": 2}
SCALE = {"_target_": "ScaleIntensityd", "minv": -1.0, "maxv": 1.0}
CROP = {"_target_": "CropForegroundd", "source_key": "@image_key"}
SLICES = {"_target_": "SliceInferer", "roi_size": [16, 32], "spatial_dim": 1}
KINDS = {
    "unet": configuration(),
    "plain": configuration(PLAIN),
    "scores resampled": configuration(after=(INVERT, ARGMAX)),
    "segresnet": configuration(SEGRESNET, (*LOADING, INTENSITY, SPACING, SCALE), WINDOWS | {"mode": "gaussian"}),
    "dynunet": configuration(DYNUNET | {"deep_supervision": True}, (*LOADING, ORIENTATION, SPACING, INTENSITY, CROP)),
    "slices": configuration(FLAT, (*LOADING, ORIENTATION | {"axcodes": "LPS"}, SPACING, SCALE), SLICES),
    "stored slices": configuration(FLAT, (*LOADING, SCALE), SLICES),
    "pictures": configuration(FLAT, (*LOADING, SCALE), WINDOWS | {"roi_size": [16, 32]}),
    "sigmoids": configuration(SEGRESNET, after=(SIGMOID, INVERT | {"nearest_interp": True}, THRESHOLD)),
}


@pytest.fixture
def scan(tmp_path):
    return write_scan(tmp_path / "scan.nii.gz", (16, 30, 28))


def loaded(model):
    return load(open_model(model), start("cpu"))


def adopted(tmp_path, config, names=NAMES, model="model"):
    overlapping = any(step.get("sigmoid") for step in config["postprocessing"]["transforms"])
    described = metadata(("a", "b", "c") if overlapping else names, license="CC BY 4.0")
    adopt_bundle(write_bundle(tmp_path / "bundle", config, described), tmp_path / model)
    return tmp_path / model


@pytest.mark.parametrize("kind", KINDS)
def test_a_released_model_is_the_same_when_it_is_adopted_again(kind, tmp_path):
    model = adopted(tmp_path, KINDS[kind])
    released = release_bundle(model, tmp_path / "out").folder
    adopt_bundle(released, tmp_path / "again")
    one, two = loaded(model), loaded(tmp_path / "again")
    assert one.plan == two.plan
    assert one.record.structures.names == two.record.structures.names
    assert [item.color for item in one.record.structures] == [item.color for item in two.record.structures]
    for name, mine in one.segmenter.state_dict().items():
        if name.startswith("trunks."):
            assert torch.equal(mine, two.segmenter.state_dict()[name]), name
    before, after = (
        torch.load(folder / "models" / "model.pt", weights_only=True) for folder in (tmp_path / "bundle", released)
    )
    assert set(after) <= set(before)
    assert all(torch.equal(before[name], item) for name, item in after.items())


def test_notes_terms_and_looks_go_along(tmp_path):
    release = release_bundle(adopted(tmp_path, KINDS["unet"]), tmp_path / "my bundle")
    page = (release.folder / "docs" / "README.md").read_text("utf-8")
    for part in (release.command, "| 1 | liver |", "CC BY 4.0", "as a MONAI bundle", "adopted from bundle"):
        assert part in page
    assert "monai.bundle run" in release.command
    assert str(tmp_path) not in page + (release.folder / "docs" / "card.json").read_text("utf-8")
    described = json.loads((release.folder / "configs" / "metadata.json").read_text("utf-8"))
    assert described["license"] == "CC BY 4.0"
    assert set(described["incrementalseg"]) == {"liver", "spleen"}
    with pytest.raises(ModelError, match="already there"):
        release_bundle(tmp_path / "model", tmp_path / "my bundle")


def grow(model, name="humerus", **options):
    """Add a structure with random weights to a model, as a version of its own."""
    folder, found = open_model(model), loaded(model)
    new = Structure.create(name, 2)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        found.segmenter.add([new.id], **options)
    record = replace(
        found.record,
        parent=1,
        structures=found.record.structures.with_new([new]),
        architecture=found.segmenter.architecture(),
    )
    tensors = {kind: folder.tensors(kind) for kind in ("prototypes", "exemplars", "memory")}
    documents = {kind: folder.document(kind) for kind in FORMS if kind != "record"}
    with folder.writing():
        folder.write(record, tensors | {"weights": dict(found.segmenter.state_dict())}, documents)


@pytest.mark.parametrize("kind", ["unet", "plain", "segresnet", "dynunet", "sigmoids"])
def test_monai_runs_a_model_that_grew(kind, scan, tmp_path):
    model = adopted(tmp_path, KINDS[kind])
    grow(model)
    release = release_bundle(model, tmp_path / "out")
    overlapping = kind == "sigmoids"
    assert release.labels["humerus"] == 3
    prediction = loaded(model).predictor(start("cpu")).predict(read_volume(scan), probability=True)
    scores, labels = (monai_predicts(release.folder, scan, labels=labels) for labels in (False, True))
    assert len(scores) == len(prediction.mask) + (not overlapping)
    assert any(mask.any() for mask in prediction.mask.values())
    for number, (item, mask) in enumerate(prediction.mask.items()):
        theirs = labels[number] > 0.5 if overlapping else labels[0] == number + 1
        assert 2 * (mask & theirs).sum() >= 0.995 * (mask.sum() + theirs.sum())
        assert np.abs(prediction.probability[item] - scores[number + (not overlapping)]).mean() <= 1e-3


def test_what_monai_has_no_form_for_is_refused_with_a_way_out(tmp_path):
    model = adopted(tmp_path, KINDS["unet"])
    grow(model, overlapping=True)
    with pytest.raises(ModelError, match=r"released for MONAI: humerus may overlap .* such as mib"):
        release_bundle(model, tmp_path / "out")
    remove_structure(model, "humerus")
    remove_structure(model, "spleen")
    with pytest.raises(ModelError, match=r"has 3 scores, not 2.*Release an earlier version"):
        release_bundle(model, tmp_path / "out")
    assert release_bundle(model, tmp_path / "earlier", number=1).version == 1
    adopt_nnunet(write_trained(tmp_path / "trained"), tmp_path / "other")
    with pytest.raises(ModelError, match=r"its network is nnunet3d.*adopted from a bundle.*export"):
        release_bundle(tmp_path / "other", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_network_that_adds_up_channels_is_refused_once_it_grew(tmp_path):
    model = adopted(tmp_path, configuration(UNET | {"norm": ["group", {"num_groups": 1}]}))
    assert release_bundle(model, tmp_path / "same").version == 1
    grow(model)
    with pytest.raises(ModelError, match="normalisation group"):
        release_bundle(model, tmp_path / "out")
