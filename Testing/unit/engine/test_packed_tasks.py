"""PackNet through the engine: earlier tasks are retrieved by their scans, or given, and stay as they were."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch
from tiny import FEW, small_quick

from IncrementalSegLib.engine.correct import correct, keep_corrections
from IncrementalSegLib.engine.exemplars import remove_structure
from IncrementalSegLib.engine.learn import learn
from IncrementalSegLib.engine.models import load
from IncrementalSegLib.engine.packages.transfer import export_package, import_package
from IncrementalSegLib.engine.remember import remember_again
from IncrementalSegLib.engine.runtime import start
from IncrementalSegLib.engine.scores.evaluate import evaluate
from IncrementalSegLib.engine.segment import segment
from IncrementalSegLib.errors import MissingNeedError, OptionError
from IncrementalSegLib.sampling.phantom import write_phantom_dataset
from IncrementalSegLib.store.versions import open_model
from IncrementalSegLib.structures import Structure
from IncrementalSegLib.volumes.io import read_volume
from IncrementalSegLib.volumes.seg_nrrd import write_seg_nrrd

LEARN = {"options": FEW, "preset": "quick", "network": "unet2d", "device": "cpu", "accept": "always"}
LATER = {name: value for name, value in LEARN.items() if name != "network"}
SIZE = (6, 32, 32)


@pytest.fixture(scope="module")
def scanners(tmp_path_factory):
    """The humerus on scanner A, and on scanner B with a contrast of its own; and the scapula on B."""
    folder = tmp_path_factory.mktemp("scanners")
    for name, scanner, structure, seed in (
        ("A", "A", "humerus", 1),
        ("B", "B", "humerus", 2),
        ("C", "B", "scapula", 3),
    ):
        write_phantom_dataset(folder / name, 4, scanner=scanner, structures=[structure], seed=seed, size=SIZE)
    return folder


@pytest.fixture(scope="module")
def first(scanners, tmp_path_factory):
    """A model that knows the humerus on scanner A; do not write to it."""
    model = tmp_path_factory.mktemp("packed") / "model"
    with small_quick():
        learn(model, scanners / "A", "humerus", method="packnet", steps=60, **LEARN)
    return model


@pytest.fixture
def model(first, tmp_path, small_presets):
    """A copy of it that may be changed."""
    return shutil.copytree(first, tmp_path / "model")


def scans(folder):
    return sorted((folder / "imagesTr").iterdir())


def maps(model, scan, number=None, task=None):
    """Return the probabilities of the humerus, and its mask."""
    loaded = load(open_model(model), start("cpu"), number)
    humerus = loaded.record.structures.named("humerus").id
    found = loaded.predictor(start("cpu")).predict(read_volume(scan), probability=True, task=task)
    return found.probability[humerus], found.mask[humerus]


def same(one, two):
    return all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))


def round_on(model, scan, tmp_path, **more):
    """Do a round of a session with a stroke on the humerus and one on the background."""
    pytest.importorskip("skimage")
    grid = read_volume(scan).grid
    masks = {name: np.zeros(grid.shape, bool) for name in ("humerus", "background")}
    masks["humerus"][2, 10:14, 10:14] = masks["background"][0, :4] = True
    strokes = tmp_path / "strokes.seg.nrrd"
    write_seg_nrrd(strokes, masks, grid, [Structure(name, name, 1, (255, 0, 0)) for name in masks])
    correct(
        model, scan, strokes, tmp_path / "out.seg.nrrd", method="packnet", overwrite=True, device="cpu",
        **({"steps": 4} | more),
    )  # fmt: skip


def dice(model, data):
    """Return the Dice of the humerus on labelled scans."""
    return next(iter(evaluate(model, data, device="cpu").structures.values())).dice


def test_scans_of_the_first_task_keep_their_outlines_and_finetune_changes_them(model, scanners, tmp_path):
    before = dice(model, scanners / "A")
    rival = shutil.copytree(model, tmp_path / "rival")
    learn(rival, scanners / "B", "humerus", improve=True, method="finetune-softmax", steps=30, **LATER)
    learn(model, scanners / "B", "humerus", improve=True, method="packnet", steps=30, **LATER)
    for scan in scans(scanners / "A"):
        assert same(maps(model, scan), maps(model, scan, number=1))
        assert not same(maps(rival, scan), maps(rival, scan, number=1))
    other = scans(scanners / "B")[0]
    assert not same(maps(model, other), maps(model, other, number=1)), "it has a task of its own"
    assert same(maps(model, other, task=0), maps(model, other, number=1)), "unless another one is given"
    assert dice(model, scanners / "A") == before > 0.5
    assert load(open_model(rival), start("cpu")).segmenter.tasks is None


def test_a_structure_that_came_later_has_the_network_of_its_task_in_all_scans(model, scanners, tmp_path):
    learn(model, scanners / "C", "scapula", method="packnet", steps=4, **LATER)
    loaded = load(open_model(model), start("cpu"))
    humerus, scapula = (loaded.record.structures.named(name).id for name in ("humerus", "scapula"))
    predictor, scan = loaded.predictor(start("cpu")), read_volume(scans(scanners / "A")[0])
    assert loaded.segmenter.tasks_for(torch.from_numpy(scan.array), (humerus, scapula), task=0) == (0, 1)
    found = predictor.predict(scan, probability=True, uncertainty=True)
    assert np.array_equal(found.mask[humerus], maps(model, scans(scanners / "A")[0], number=1)[1])
    assert found.mask[humerus].any()
    assert found.probability[scapula].max() > 0
    assert found.uncertainty.max() > 0
    export_package(model, tmp_path / "one.iseg")
    import_package(tmp_path / "one.iseg", tmp_path / "imported")
    assert same(maps(tmp_path / "imported", scans(scanners / "A")[0]), maps(model, scans(scanners / "A")[0]))
    remove_structure(model, "scapula")
    assert same(maps(model, scans(scanners / "A")[0]), maps(model, scans(scanners / "A")[0], number=1))


def test_each_corrected_scan_is_a_task_and_the_scans_before_keep_their_outlines(model, scanners, tmp_path):
    for scan in (*scans(scanners / "B")[:2], scans(scanners / "B")[1]):
        round_on(model, scan, tmp_path)
    result = keep_corrections(model, device="cpu")
    tasks = load(open_model(model), start("cpu"), result.record.number).segmenter.tasks
    assert tasks.task.tolist()[-2:] == [1, 2]
    assert tasks.networks.level.tolist() == [1, 2, 3]
    for scan in scans(scanners / "A"):
        assert same(maps(model, scan, result.record.number), maps(model, scan, number=1))
    taught = scans(scanners / "B")[1]
    assert not same(maps(model, taught, result.record.number), maps(model, taught, number=1))
    assert [row.after for row in result.report.rows] == [row.before for row in result.report.rows]


def test_the_first_task_may_be_what_another_method_has_taught(scanners, tmp_path, small_presets):
    model = tmp_path / "plain"
    learn(model, scanners / "A", "humerus", method="mib", steps=4, **LEARN)
    remember_again(model, scanners / "A", "packnet", options=FEW, device="cpu")
    learn(model, scanners / "B", "humerus", improve=True, method="packnet", steps=4, **LATER)
    tasks = load(open_model(model), start("cpu")).segmenter.tasks
    assert (tasks.newest, set(tasks.task.tolist())) == (1, {1})
    assert 0.3 < np.mean([float((owner == 1).float().mean()) for owner in tasks.networks.owners.values()]) < 0.7
    learn(model, scanners / "A", "humerus", improve=True, method="mib", steps=2, **LATER)
    with pytest.raises(MissingNeedError, match="those of another network"):
        learn(model, scanners / "B", "humerus", improve=True, method="packnet", steps=2, **LATER)


def test_a_task_that_is_not_there_is_refused(model, taught, scanners, tmp_path):
    scan = scans(scanners / "A")[0]
    with pytest.raises(OptionError, match="no task 2: it has 1"):
        segment(model, scan, tmp_path / "out.seg.nrrd", task=2, device="cpu")
    with pytest.raises(OptionError, match="one network for all scans"):
        segment(taught, scan, tmp_path / "out.seg.nrrd", task=1, device="cpu")
    assert segment(model, scan, tmp_path / "out.seg.nrrd", task=1, device="cpu").outputs
