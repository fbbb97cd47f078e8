"""Where a version lost most, as pictures."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from tiny import FEW

from IncrementalSegLib.engine.compare import retention
from IncrementalSegLib.engine.compare.retention import compare_pictures
from IncrementalSegLib.engine.exemplars import overview, pin
from IncrementalSegLib.engine.learn import learn
from IncrementalSegLib.engine.scores.evaluate import evaluate
from IncrementalSegLib.errors import OptionError
from IncrementalSegLib.reports.pictures import FOUND
from IncrementalSegLib.sampling.datasets import open_data
from IncrementalSegLib.sampling.reading import read_case
from IncrementalSegLib.store.versions import open_model

STEP = {"options": FEW, "preset": "quick", "device": "cpu", "seed": 1, "accept": "never"}


@pytest.fixture(scope="module")
def forgetful(small_presets, data, tmp_path_factory):
    """A model whose second version has forgotten much of the humerus; its scans may go."""
    folder = tmp_path_factory.mktemp("forgetful")
    scans = shutil.copytree(data / "both", folder / "both")
    learn(folder / "model", scans, "humerus", **STEP | {"accept": "gate"}, steps=60)
    learn(folder / "model", data / "scapula", "scapula", **STEP, method="finetune", steps=12)
    return folder


@pytest.fixture
def model(forgetful, tmp_path):
    return Path(shutil.copytree(forgetful / "model", tmp_path / "model"))


def test_each_picture_says_what_was_lost_and_where(model, forgetful, tmp_path):
    found = compare_pictures(model, tmp_path / "out", device="cpu")
    (one,) = found["pictures"]
    assert (found["version"], found["against"]) == (2, 1)
    assert (one["structure"], one["basis"]) == ("humerus", "scans")
    for version, dice in zip((1, 2), one["dice"], strict=True):
        scores = evaluate(
            model, forgetful / "both", structures="humerus", version=version, cases=one["case"], device="cpu"
        )
        assert scores.structures["humerus"].scores[0].dice == dice
    assert one["dice"][0] > one["dice"][1] + 0.05
    case = next(item for item in open_data(forgetful / "both").cases if item.id == one["case"])
    assert one["images"] == [str(path) for path in case.images]
    volume, masks = read_case(case)
    voxel = np.linalg.solve(volume.grid.matrix, np.array(one["position"]) - volume.grid.origin) / volume.grid.spacing
    assert abs(voxel[2] - round(voxel[2])) < 0.01, "it lies in a slice"
    assert round(voxel[2]) == masks["humerus"].sum(axis=(1, 2)).argmax()
    before, after = (sitk.GetArrayFromImage(sitk.ReadImage(one[side])) for side in ("before", "after"))
    assert before.shape == after.shape == (384, 384, 3)
    assert (before != after).any()
    assert (before == FOUND).all(-1).any()


def test_only_what_is_shown_is_segmented_again(model, tmp_path, monkeypatch):
    read, real = [], retention.find_retention_scans

    def noted(*args, **more):
        read.append(more["only"])
        return real(*args, **more)

    monkeypatch.setattr(retention, "find_retention_scans", noted)
    compare_pictures(model, tmp_path / "out", device="cpu")
    assert [len(keys) for keys in read] == [1]


def test_exemplars_stand_in_where_no_scan_could_judge(small_presets, data, tmp_path):
    model = tmp_path / "model"
    learn(model, data / "humerus", "humerus", **STEP | {"accept": "gate"}, steps=20)
    learn(model, data / "scapula", "scapula", **STEP, method="finetune", steps=4)
    found = compare_pictures(model, tmp_path / "out", cases=2, device="cpu")["pictures"]
    assert [(one["structure"], one["basis"]) for one in found] == [("humerus", "exemplars")] * 2
    drops = [one["dice"][0] - one["dice"][1] for one in found]
    assert drops == sorted(drops, reverse=True)
    positions = [item["position"] for item in overview(model)["exemplars"]]
    assert all(one["position"] in positions for one in found)
    assert all(Path(one[side]).is_file() for one in found for side in ("before", "after"))


def test_a_scan_that_is_gone_is_left_out(forgetful, tmp_path):
    moved = Path(shutil.copytree(forgetful, tmp_path / "moved"))
    model, history = moved / "model", moved / "model" / "versions" / "0001" / "history.json"
    assert str(forgetful) in history.read_text()
    away = forgetful / "both"
    away.rename(forgetful / "elsewhere")
    try:
        assert compare_pictures(model, tmp_path / "out", device="cpu")["pictures"] == []
    finally:
        (forgetful / "elsewhere").rename(away)


def test_what_was_not_taught_beside_older_structures_cannot_be_compared(model, tmp_path):
    for version in (1, pin(model, overview(model)["exemplars"][0]["id"]).number):
        with pytest.raises(OptionError, match=f"Version {version} was not made by teaching"):
            compare_pictures(model, tmp_path / "out", version)
    with pytest.raises(OptionError, match="number of cases is 0"):
        compare_pictures(model, tmp_path / "out", 2, cases=0)
    assert open_model(model).numbers() == [1, 2, 3]
