"""Evaluating a version: numbers, names, and whether a case taught it."""

import json
import shutil

import numpy as np
import pytest
import SimpleITK as sitk
from tiny import tree

from IncrementalSegLib.engine.models import load
from IncrementalSegLib.engine.runtime import start
from IncrementalSegLib.engine.scores.evaluate import evaluate
from IncrementalSegLib.engine.segment import segment
from IncrementalSegLib.errors import (
    DataError,
    DeviceError,
    IncrementalSegError,
    ModelError,
    OptionError,
    UnknownNameError,
)
from IncrementalSegLib.sampling.datasets import open_data
from IncrementalSegLib.sampling.reading import read_case
from IncrementalSegLib.store.versions import open_model


def test_scores_are_those_of_the_prediction(taught, data):
    found = evaluate(taught, data / "both", device="cpu")
    assert (found.version, set(found.structures)) == (1, {"humerus"})
    runtime, folder = start("cpu"), open_model(taught)
    predictor = load(folder, runtime).predictor(runtime)
    (item,) = folder.record().structures.ids
    dice = []
    for case in open_data(data / "both").cases:
        volume, masks = read_case(case)
        mask, truth = predictor.predict(volume).mask[item], masks["humerus"]
        dice.append(2 * np.logical_and(mask, truth).sum() / (mask.sum() + truth.sum()))
    assert [score.dice for score in found.structures["humerus"].scores] == pytest.approx(dice)
    assert found.structures["humerus"].to_json()["dice"] == pytest.approx(np.mean(dice))


def test_json_is_what_the_command_prints(taught, data):
    printed = json.loads(json.dumps(evaluate(taught, data / "both", device="cpu").to_json(), allow_nan=False))
    wanted = {"dice", "dice_ci", "assd_mm", "hd95_mm", "cases", "seen_in_training"}
    assert printed["version"] == 1
    assert wanted <= set(printed["structures"]["humerus"])
    assert printed["structures"]["humerus"]["cases"] == 5
    assert not printed["structures"]["humerus"]["seen_in_training"]
    assert printed["warnings"] == []


def test_distances_and_volumes_of_pictures_are_said_to_be_pixels(teach, tmp_path):
    truth = np.zeros((24, 24), np.uint8)
    truth[6:14, 8:18] = 255
    for number in range(2):
        image = (truth // 2 + np.random.default_rng(number).integers(0, 40, truth.shape)).astype(np.uint8)
        sitk.WriteImage(sitk.GetImageFromArray(image), str(tmp_path / f"s{number}.png"))
        sitk.WriteImage(sitk.GetImageFromArray(truth), str(tmp_path / f"m{number}.png"))
    table = tmp_path / "t.csv"
    table.write_text("image,spot\ns0.png,m0.png\ns1.png,m1.png\n", "utf-8")
    teach(tmp_path / "model", table, "spot", exemplars="none")
    warnings = evaluate(tmp_path / "model", table, device="cpu").warnings
    assert "Pictures have no millimetres: their ASSD and HD95 are in pixels." in warnings
    warnings = segment(tmp_path / "model", [tmp_path / "s0.png"], tmp_path / "out", device="cpu").warnings
    assert "s0 is a picture without millimetres: 1000 of its pixels count as 1 ml." in warnings


class TestSeenInTraining:
    def flags(self, model, data, **more):
        found = evaluate(model, data, device="cpu", **more)
        return {
            name: [score.seen_in_training for score in item.scores] for name, item in found.structures.items()
        }, found

    def test_a_case_that_taught_is_named(self, taught, data):
        flags, found = self.flags(taught, data / "humerus")
        assert flags == {"humerus": [True] * 3}
        assert "3 of 3" in found.warnings[0]

    def test_it_is_recognised_under_another_name(self, taught, data, tmp_path):
        """By what the file holds, not by what it is called."""
        rows = ["image,patient,looked_for,label"]
        for number, source in enumerate(("humerus/imagesTr/shoulder_A_1_001", "both/imagesTr/shoulder_A_3_000")):
            image = shutil.copy(data / f"{source}.nii.gz", tmp_path / f"scan{number}.nii.gz")
            label = shutil.copy(
                data / f"{source.replace('images', 'labels')}.nii.gz", tmp_path / f"mask{number}.nii.gz"
            )
            rows.append(f"{image},patient{number},humerus,humerus={label}")
        (tmp_path / "manifest.csv").write_text("\n".join(rows) + "\n")
        flags, found = self.flags(taught, tmp_path / "manifest.csv")
        assert flags == {"humerus": [True, False]}
        assert "1 of 2" in found.warnings[0]

    def test_only_what_it_taught_until_that_version_counts(self, model, data, teach):
        teach(model, data / "both", "scapula", cases="shoulder_A_3_000,shoulder_A_3_001")
        teach(model, data / "both", "humerus", cases="shoulder_A_3_004", improve=True)
        flags, _ = self.flags(model, data / "both")
        assert flags == {"humerus": [False] * 4 + [True], "scapula": [True, True, False, False, False]}
        for version in (1, 2):
            assert self.flags(model, data / "both", version=version)[0]["humerus"] == [False] * 5

    def test_a_case_that_was_held_out_did_not_teach(self, tmp_path, data, teach):
        record = teach(tmp_path / "m", data / "both", "humerus").record
        aside = record.step["held_out"][0]["case"]
        found = evaluate(tmp_path / "m", data / "both", device="cpu").structures["humerus"].scores
        assert {score.case: score.seen_in_training for score in found} == {
            case.id: case.id != aside for case in open_data(data / "both").cases
        }


def test_names_cases_and_versions_are_chosen(model, data, teach):
    teach(model, data / "scapula", "scapula")
    found = evaluate(model, data / "both", structures="Scapula=humerus", cases="shoulder_A_3_002", device="cpu")
    assert (found.version, [score.case for score in found.structures["scapula"].scores]) == (2, ["shoulder_A_3_002"])
    assert set(evaluate(model, data / "both", device="cpu").structures) == {"humerus", "scapula"}
    assert set(evaluate(model, data / "both", device="cpu", version=1).structures) == {"humerus"}


@pytest.mark.parametrize(
    ("more", "error", "message"),
    [
        ({"structures": "clavicle"}, UnknownNameError, "'clavicle'.*humerus"),
        ({"structures": "humerus=femur"}, UnknownNameError, "'femur'"),
        ({"data": "scapula"}, DataError, r"none of the model's structures \(humerus\).*scapula.*structures="),
        ({"data": "nowhere"}, DataError, "not there"),
        ({"cases": "nobody"}, UnknownNameError, "'nobody'"),
        ({"version": 7}, UnknownNameError, "version called '7'"),
        ({"device": "gpu"}, OptionError, "'auto', 'cpu' or 'cuda'"),
        ({"model": "nowhere"}, ModelError, "no model folder"),
    ],
)
def test_what_cannot_be_evaluated_is_refused(taught, data, more, error, message):
    before = tree(taught)
    settings = {"device": "cpu"} | {key: value for key, value in more.items() if key not in ("data", "model")}
    with pytest.raises(error, match=message) as caught:
        evaluate(taught.parent / more.get("model", "model"), data / more.get("data", "both"), **settings)
    assert isinstance(caught.value, IncrementalSegError)
    assert not isinstance(caught.value, DeviceError)
    assert tree(taught) == before
