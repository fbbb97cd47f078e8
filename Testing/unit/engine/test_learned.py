"""A correction session on further scans: outlines and spots of the next one, and a look back at earlier ones."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from tiny import tree

from IncrementalSegLib.engine.correct import correct, corrections, keep_corrections, undo_correction
from IncrementalSegLib.engine.learned import look_back, outline
from IncrementalSegLib.engine.models import load
from IncrementalSegLib.engine.segment import segment
from IncrementalSegLib.engine.session import learner
from IncrementalSegLib.engine.step import setup
from IncrementalSegLib.errors import ModelError, OptionError
from IncrementalSegLib.methods.base.method import TrainingPhase
from IncrementalSegLib.store.summary import read_summary
from IncrementalSegLib.store.versions import open_model
from IncrementalSegLib.structures import Structure
from IncrementalSegLib.volumes.io import read_volume
from IncrementalSegLib.volumes.labels import read_label
from IncrementalSegLib.volumes.seg_nrrd import write_seg_nrrd

pytest.importorskip("skimage")
pytestmark = pytest.mark.usefixtures("small_presets")


@pytest.fixture
def scan(data, tmp_path):
    """Return a scan that taught nothing, and may be changed."""
    return Path(shutil.copy(min((data / "scapula" / "imagesTr").iterdir()), tmp_path))


@pytest.fixture
def everywhere(model, scan, tmp_path, monkeypatch):
    """Return a function that paints half a scan as a structure, and lets the model learn it with force."""
    monkeypatch.setattr(learner, "_PHASE", TrainingPhase("correct", learning_rate=4.0))

    def act():
        grid = read_volume(scan).grid
        painted = np.zeros(grid.shape, bool)
        painted[:, : grid.shape[1] // 2] = True
        strokes = tmp_path / "strokes.seg.nrrd"
        write_seg_nrrd(strokes, {"humerus": painted}, grid, [Structure("humerus", "humerus", 1, (255, 0, 0))])
        asked = {"method": "finetune", "steps": 10, "overwrite": True, "device": "cpu"}
        correct(model, scan, strokes, tmp_path / "corrected.seg.nrrd", **asked)
        return painted

    return act


def voxels(path, scan):
    return read_label(path, read_volume(scan).grid).segment("humerus")


def test_a_scan_is_outlined_as_the_session_sees_it_and_its_strokes_are_certain(model, scan, everywhere, tmp_path):
    before = tree(model)
    plain = segment(model, scan, tmp_path / "plain.seg.nrrd", device="cpu").outputs[0]
    first = outline(model, scan, tmp_path / "first", device="cpu")
    assert [path.name.partition("-uncertainty")[1] for path in first.outputs] == ["", "-uncertainty"]
    assert (voxels(first.outputs[0], scan) == voxels(plain, scan)).all()
    assert (first.rounds, tree(model)) == (0, before)
    painted = everywhere()
    second = outline(model, scan, tmp_path / "second", device="cpu")
    assert second.rounds == 1
    assert (voxels(second.outputs[0], scan) != voxels(plain, scan)).mean() > 0.1  # it has learned
    assert read_volume(second.outputs[1]).array[0][painted].max() == 0
    undo_correction(model)
    third = outline(model, scan, tmp_path / "third", device="cpu")
    assert (voxels(third.outputs[0], scan) == voxels(plain, scan)).all()


def test_an_outline_in_a_session_loads_the_model_once(model, scan, everywhere, tmp_path, monkeypatch):
    everywhere()
    loads = []

    def counted(*asked):
        loads.append(asked)
        return load(*asked)

    monkeypatch.setattr(setup, "load", counted)
    assert outline(model, scan, tmp_path / "one", device="cpu", loader=counted).rounds == 1
    assert len(loads) == 1


def test_an_outline_replaces_nothing(model, scan, tmp_path):
    (tmp_path / "there.seg.nrrd").write_text("drawn by a person")
    with pytest.raises(OptionError, match="already exists"):
        outline(model, scan, tmp_path / "there.seg.nrrd", device="cpu")


def test_looking_back_compares_with_what_was_accepted(model, scan, everywhere, tmp_path):
    assert look_back(model, device="cpu").scans == {}
    painted = everywhere()
    found = look_back(model, device="cpu")
    (name,) = found.scans
    again = voxels(outline(model, scan, tmp_path / "again", device="cpu").outputs[0], scan)
    accepted = voxels(tmp_path / "corrected.seg.nrrd", scan)
    assert (accepted | ~painted).all()
    dice = 2 * (again & accepted).sum() / (again.sum() + accepted.sum())
    assert found.scans[name]["humerus"] == pytest.approx(dice)
    first = corrections(model).scans[0]["agreement"]["humerus"]
    assert first != found.scans[name]["humerus"]


def test_a_scan_that_is_gone_or_another_now_is_one_sentence(model, scan, everywhere):
    everywhere()
    scan.write_bytes(scan.read_bytes() + b"more")
    assert "has changed" in next(iter(look_back(model, device="cpu").failed.values()))
    scan.unlink()
    assert "not there any more" in next(iter(look_back(model, device="cpu").failed.values()))


def test_a_summary_tells_of_a_session_until_it_is_kept(model, scan, everywhere):
    assert read_summary(model)["corrections"] is None
    everywhere()
    name = corrections(model).scans[0]["scan"]
    assert read_summary(model)["corrections"] == {"method": "finetune", "rounds": 1, "scans": [name]}
    result = keep_corrections(model, device="cpu", accept="never")
    assert (result.record.accepted, open_model(model).current) == (False, 1)
    assert read_summary(model)["candidates"] == [2]
    assert read_summary(model)["corrections"] == {"method": "finetune", "rounds": 1, "scans": [name]}
    open_model(model).accept(2)
    assert read_summary(model)["corrections"] is None


def test_another_version_in_use_is_said(model, scan, everywhere, tmp_path):
    everywhere()
    open_model(model).edit({"action": "nothing"})
    for act in (lambda: look_back(model, device="cpu"), lambda: outline(model, scan, tmp_path / "x", device="cpu")):
        with pytest.raises(ModelError, match="began from version 1, and version 2 is in use now"):
            act()
