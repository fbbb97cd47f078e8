"""Reading the features: maps of similarity, unknown voxels with a calibrated threshold, and structures alike."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny import FEW

from IncrementalSegLib.cli.app import main
from IncrementalSegLib.engine.learn import learn
from IncrementalSegLib.engine.models import load
from IncrementalSegLib.engine.neighbours import neighbours
from IncrementalSegLib.engine.privacy.ledger import forget
from IncrementalSegLib.engine.runtime import start
from IncrementalSegLib.engine.segment import segment
from IncrementalSegLib.errors import ModelError, OptionError, UnknownNameError
from IncrementalSegLib.networks.outputs.embedding import TEMPERATURE
from IncrementalSegLib.preprocessing.pipeline import forward
from IncrementalSegLib.progress import Share
from IncrementalSegLib.sampling.datasets import open_data
from IncrementalSegLib.store.edits import rename_structure
from IncrementalSegLib.store.versions import open_model
from IncrementalSegLib.volumes.io import read_volume

STEP = {"method": "cfil", "options": FEW, "preset": "quick", "steps": 4, "device": "cpu", "accept": "always"}


@pytest.fixture(scope="module")
def known(small_presets, data, tmp_path_factory):
    """A model that knows humerus and scapula; do not write to it."""
    model = tmp_path_factory.mktemp("alike") / "model"
    learn(model, data / "both", "humerus, scapula", **STEP)
    return model


def predictor(model):
    runtime = start("cpu")
    return load(open_model(model), runtime).predictor(runtime)


def test_the_map_is_the_cosine_with_the_direction_on_the_grid_of_the_scan(known, data, tmp_path):
    scan = open_data(data / "both").cases[0].images[0]
    result = segment(known, scan, tmp_path, device="cpu", similarity="Scapula", unknown=True)
    names = [path.name.partition("-")[2] for path in result.outputs[1:]]
    assert names == ["similarity-scapula.nrrd", "unknown.nrrd"]
    shown, volume = read_volume([result.outputs[1]]), read_volume([scan])
    assert shown.grid == volume.grid
    predict = predictor(known)
    image, _, _ = forward(volume, predict.plan)
    with torch.no_grad(), predict.autocast():
        logits = predict.model(image[:, 2].float().unsqueeze(0)).logits.float()
    expected = logits[0, 2] * TEMPERATURE  # background, humerus, scapula
    found = predict.similarities(image, predict.model.structures)
    torch.testing.assert_close(found[1, 2], expected, atol=0.02, rtol=0)
    torch.testing.assert_close(found[2, 2], logits[0].amax(0) * TEMPERATURE, atol=0.02, rtol=0)
    assert -1.01 < shown.array.min() < shown.array.max() < 1.01
    assert abs(float(shown.array.mean()) - float(found[1].mean())) < 0.05


def test_the_threshold_leaves_one_percent_of_the_held_out_voxels(known, data):
    record = open_model(known).record()
    held_out = {entry["case"] for entry in record.step["held_out"]}
    predict = predictor(known)
    (case,) = (case for case in open_data(data / "both").cases if case.id in held_out)
    largest = predict.similarities(forward(read_volume(case.images), predict.plan)[0], ())[-1]
    threshold = float(predict.model.output.known_above)
    assert float((largest < threshold).float().mean()) == pytest.approx(0.01, abs=0.005)
    assert -1 < threshold < 1


def test_what_lies_below_the_threshold_is_unknown(known, data):
    predict = predictor(known)
    volume = read_volume(open_data(data / "both").cases[0].images)
    for threshold, share in ((-1.0, 0.0), (2.0, 1.0)):
        predict.model.output.known_above.fill_(threshold)
        assert predict.predict(volume, unknown=True).unknown.mean() == share


def test_what_holds_no_sample_is_neither_similar_nor_unknown(known, data):
    predict = predictor(known)
    volume = read_volume(open_data(data / "both").cases[0].images)
    predict.model.output.known_above.fill_(1.0)
    assert predict.predict(volume, unknown=True).unknown.mean() > 0.99
    array = volume.array.astype(np.float32)
    array[..., : array.shape[-1] // 2] = np.nan
    (first, _) = predict.model.structures
    found = predict.predict(volume.with_array(array), similarity=[first], unknown=True)
    empty = np.isnan(array[0])
    inside, outside = (found.unknown[..., rows] for rows in (slice(-8, None), slice(8)))
    assert inside.mean() > 0.99
    assert not outside.any()
    assert empty[..., :8].all()
    assert not found.similarity[first][..., :8].any()
    assert found.similarity[first][..., -8:].any()


@pytest.mark.parametrize("uncertainty", [False, True])
def test_the_comparison_needs_no_pass_of_its_own(known, data, uncertainty):
    seen = []
    volume = read_volume(open_data(data / "both").cases[0].images)
    predict, passes = predictor(known), []
    predict.model.register_forward_hook(lambda *_: passes.append(1))
    predict.predict(volume)
    plain = len(passes)
    predict.predict(volume, uncertainty=uncertainty, unknown=True, progress=Share(seen.append))
    assert len(passes) == 2 * plain
    assert seen == sorted(seen)
    assert seen[-1] == pytest.approx(1.0)
    assert seen[0] == pytest.approx(1 / (11 if uncertainty else 1))


def test_another_family_and_an_unknown_name_are_refused(known, taught, data, tmp_path):
    scan = open_data(data / "both").cases[0].images[0]
    with pytest.raises(ModelError, match="output is heads, not embedding"):
        segment(taught, scan, tmp_path, device="cpu", similarity="humerus")
    with pytest.raises(UnknownNameError, match="tibia"):
        segment(known, scan, tmp_path, device="cpu", similarity="tibia")
    with pytest.raises(ModelError, match="not embedding"):
        neighbours(open_model(taught))
    assert list(tmp_path.iterdir()) == []


def test_maps_of_one_file_name_are_refused(known, data, tmp_path):
    """A file name cannot hold every sign of a structure's name."""
    model = shutil.copytree(known, tmp_path / "model")
    rename_structure(open_model(model), "humerus", "left/arm")
    rename_structure(open_model(model), "scapula", "left_arm")
    scan = open_data(data / "both").cases[0].images[0]
    with pytest.raises(OptionError, match=r"similarity-left_arm\.nrrd"):
        segment(model, scan, tmp_path / "out", device="cpu", similarity="left/arm, left_arm")
    assert not (tmp_path / "out").exists()


def test_mean_features_are_read_by_the_network_that_made_them(known, data, tmp_path, caplog):
    """A later step changes the network, and has no scans of the earlier structures."""
    model = shutil.copytree(known, tmp_path / "model")
    folder = open_model(model)
    (before,) = neighbours(folder)
    rename_structure(folder, "humerus", "arm")
    assert neighbours(folder) == [replace(before, one="arm")]
    learn(model, data / "scapula", "scapula", improve=True, **STEP | {"steps": 8})
    (after,) = neighbours(folder)
    assert (before.versions, after.versions) == ((1, 1), (1, 3))
    arm, scapula = folder.record().structures.ids
    vectors = []
    for version, structure in ((1, arm), (3, scapula)):
        output = load(folder, start("cpu"), version).segmenter.output
        vectors.append(output.vectors(folder.tensors("prototypes")[structure][None].float())[0].detach())
    assert after.cosine == pytest.approx(float(vectors[0] @ vectors[1]), abs=1e-5)
    for number in (1, 2):
        shutil.rmtree(folder.folder_of(number))
    assert neighbours(folder) == []
    assert "arm is left out: its mean features are of a version" in caplog.text


def test_a_structure_without_mean_features_is_named(known, tmp_path, caplog, capsys, monkeypatch):
    model = shutil.copytree(known, tmp_path / "model")
    folder = open_model(model)
    forget(model, folder.record().step["training"][0]["case"])
    assert neighbours(folder) == []
    assert "humerus is left out: the model holds no mean features" in caplog.text
    monkeypatch.setattr("sys.argv", ["incrementalseg", "structures", str(model), "--neighbours"])
    with pytest.raises(SystemExit):
        main()
    assert "No two structures can be compared." in capsys.readouterr().out


def test_structures_of_one_mean_are_the_nearest_neighbours(known, tmp_path, capsys, monkeypatch):
    model = shutil.copytree(known, tmp_path / "model")
    folder = open_model(model)
    means = folder.tensors("prototypes")
    first, second = folder.record().structures.ids
    (pair,) = neighbours(folder)
    assert {pair.one, pair.other} == {"humerus", "scapula"}
    assert pair.cosine < 0.9999
    folder.edit({"action": "test"}, tensors={"prototypes": means | {second: means[first].clone()}})
    assert neighbours(folder)[0] == replace(pair, cosine=pytest.approx(1), versions=(1, 2))
    monkeypatch.setattr("sys.argv", ["incrementalseg", "structures", str(model), "--neighbours", "--json"])
    with pytest.raises(SystemExit):
        main()
    assert np.isclose(json.loads(capsys.readouterr().out)["neighbours"][0]["cosine"], 1)
