"""The history goes with the newest version, whatever becomes of the older ones."""

from __future__ import annotations

import shutil

import pytest

from IncrementalSegLib.engine.history import History
from IncrementalSegLib.engine.scores.evaluate import evaluate
from IncrementalSegLib.engine.segment import segment
from IncrementalSegLib.errors import OptionError
from IncrementalSegLib.store.versions import open_model


def test_deleting_an_old_version_forgets_nothing(model, data, teach):
    teach(model, data / "scapula", "scapula", method="lwfseg")
    folder = open_model(model)
    before = History.of(folder)
    assert [step["number"] for step in before.steps] == [1, 2]
    shutil.rmtree(model / "versions" / "0001")
    assert History.of(folder) == before
    found = evaluate(model, data / "humerus", device="cpu").structures["humerus"]
    assert found.seen_in_training == 3


def test_the_next_step_has_the_next_number_and_keeps_what_was_held_out(tmp_path, data, teach):
    first = teach(tmp_path / "m", data / "both", "humerus", seed=0).record
    aside = {entry["sha256"] for entry in first.step["held_out"]}
    again = teach(tmp_path / "m", data / "both", "humerus", improve=True, seed=1, method="lwfseg").record
    assert again.step["number"] == 2
    assert {entry["sha256"] for entry in again.step["held_out"]} == aside
    history = History.of(open_model(tmp_path / "m"))
    assert history.held_out == aside
    assert not history.trained & history.held_out
    (judge,) = history.steps[0]["held_out"]
    assert judge["images"][0].endswith(".nii.gz")


@pytest.mark.parametrize("output", ["scans", "scans/a.nii.gz"])
def test_a_result_never_replaces_its_scan(model, data, tmp_path, output):
    (tmp_path / "scans").mkdir()
    scan = tmp_path / "scans" / "a.nii.gz"
    shutil.copy(next((data / "humerus" / "imagesTr").iterdir()), scan)
    before = scan.read_bytes()
    with pytest.raises(OptionError, match="would overwrite an input file"):
        segment(model, scan, tmp_path / output, format="nii.gz", device="cpu")
    assert scan.read_bytes() == before


def test_millilitres_of_one_scan_are_a_number_also_with_uncertainty(model, data, tmp_path):
    scan = next((data / "humerus" / "imagesTr").iterdir())
    result = segment(model, scan, tmp_path / "out", uncertainty=True, device="cpu")
    assert len(result.outputs) == 2
    assert isinstance(result.to_json()["structures"]["humerus"]["ml"], float)
