"""Two versions on the same cases: what changed, in numbers and on a page."""

from __future__ import annotations

import numpy as np
import pytest

from IncrementalSegLib.engine.compare.scores import compare_versions
from IncrementalSegLib.engine.scores.evaluate import evaluate
from IncrementalSegLib.engine.scores.views import turned
from IncrementalSegLib.errors import OptionError, UnknownNameError
from IncrementalSegLib.preprocessing.plan import Plan
from IncrementalSegLib.store.edits import rename_structure
from IncrementalSegLib.store.versions import open_model
from IncrementalSegLib.volumes.volume import Grid, Volume


def test_the_page_holds_both_versions_and_survives_a_new_name(model, data, teach, tmp_path):
    teach(model, data / "scapula", "scapula", method="finetune")
    rename_structure(open_model(model), "humerus", "upper arm")
    names = "upper arm=humerus, scapula"
    before, found, page = compare_versions(
        model, data / "both", tmp_path / "page", structures=names, before=1, version=3, device="cpu"
    )
    text = page.read_text(encoding="utf-8")
    assert "upper arm" in text
    assert "scapula" in text
    alone = evaluate(model, data / "both", structures=names, device="cpu")
    assert found.to_json()["structures"] == alone.to_json()["structures"]
    assert (before.version, list(before.structures)) == (1, ["humerus"])
    assert "<img " in text
    assert page.name == "report.html"


def test_each_warning_stands_on_the_page_once(model, data, teach, tmp_path):
    teach(model, data / "humerus", "humerus", improve=True, method="finetune", accept="always")
    _, found, page = compare_versions(model, data / "humerus", tmp_path / "page", device="cpu")
    (warning,) = found.warnings
    assert "cases were used for training" in warning
    assert page.read_text(encoding="utf-8").count("used for training") == 1


def test_a_wrong_name_is_said_as_by_evaluate(model, data, teach, tmp_path):
    teach(model, data / "scapula", "scapula", method="finetune")
    with pytest.raises(UnknownNameError, match="humerus"):
        compare_versions(model, data / "both", tmp_path / "page", structures="humrus", device="cpu")
    assert not (tmp_path / "page").exists()


def test_a_first_version_has_nothing_before_it(model, data, tmp_path):
    with pytest.raises(OptionError, match="no version before"):
        compare_versions(model, data / "both", tmp_path / "page", device="cpu")
    assert not (tmp_path / "page").exists()


def test_pictures_are_turned_as_the_model_sees_them():
    plan = Plan(
        dimension=2, planar=False, channels=1, orientation="LIP", spacing=(None, 1.0, 1.0), patch=(1, 8, 8),
        multiple=4, shape=(2, 4, 3),
    )  # fmt: skip
    array = np.zeros((1, 4, 3, 2), dtype=np.float32)  # z, y, x of an LPS grid
    array[0, 3, 2, 1] = 1  # the most superior, posterior and left voxel
    volume = Volume(array, Grid((4, 3, 2), spacing=(0.5, 1.0, 2.0)))
    seen, spacing = turned(array, volume, plan)
    assert seen.shape == (1, 2, 4, 3)
    assert np.argwhere(seen[0]).tolist() == [[1, 0, 2]]  # left is last, superior on top, posterior right
    assert spacing == (0.5, 2.0, 1.0)
