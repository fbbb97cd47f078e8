"""Steps and corrected scans are tasks of a Bayesian network, in versions, packages, sessions and under deletion."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch
from tiny import FEW

from IncrementalSegLib.engine.correct import correct, keep_corrections, undo_correction
from IncrementalSegLib.engine.learn import learn
from IncrementalSegLib.engine.models import load
from IncrementalSegLib.engine.packages.transfer import export_package, import_package
from IncrementalSegLib.engine.privacy.ledger import forget, ledger
from IncrementalSegLib.engine.runtime import start
from IncrementalSegLib.errors import ModelError
from IncrementalSegLib.networks.bayesian import layers_of
from IncrementalSegLib.store.correcting import Correcting
from IncrementalSegLib.store.manifest import fingerprint
from IncrementalSegLib.store.versions import open_model
from IncrementalSegLib.structures import Structure
from IncrementalSegLib.volumes.io import read_volume
from IncrementalSegLib.volumes.seg_nrrd import write_seg_nrrd

SETTINGS = {"preset": "quick", "steps": 2, "device": "cpu", "accept": "always"}


@pytest.fixture(scope="module")
def two_steps(data, small_presets, tmp_path_factory):
    """A model of two steps with clis; do not write to it."""
    model = tmp_path_factory.mktemp("clis") / "model"
    for structure in ("humerus", "scapula"):
        learn(model, data / structure, structure, method="clis", options=FEW, **SETTINGS)
    return model


@pytest.fixture
def model(two_steps, tmp_path):
    """A copy of it that may be changed."""
    return shutil.copytree(two_steps, tmp_path / "model")


@pytest.fixture
def round_of(model, tmp_path):
    """Return a function that does a round on a scan."""
    pytest.importorskip("skimage")

    def act(scan):
        grid = read_volume(scan).grid
        masks = {name: np.zeros(grid.shape, bool) for name in ("humerus", "background")}
        masks["humerus"][2, 3, 4] = masks["background"][0, 0, 0] = True
        strokes = tmp_path / "strokes.seg.nrrd"
        write_seg_nrrd(strokes, masks, grid, [Structure(name, name, 1, (255, 0, 0)) for name in masks])
        correct(model, scan, strokes, tmp_path / "out.seg.nrrd", method="clis", steps=2, overwrite=True, device="cpu")

    return act


def network(model, number=None):
    return load(open_model(model), start("cpu"), number).segmenter


def trained_on(model, number):
    """Return the fingerprints of the scans that a version was trained on, by step."""
    steps = open_model(model).document("history", number)["steps"]
    return [[case["sha256"] for case in step["training"]] for step in steps]


def stacks(model):
    """Return what the tasks of a session have of their own."""
    held = Correcting(model).tensors("training")
    return {name: item for name, item in held.items() if name.startswith("weights/tasks.networks.own")}


def masks_of(segmenter):
    return torch.cat([item.detach() for _, mask in layers_of(segmenter) for item in mask.parameters()])


def test_each_step_is_a_task_and_keeps_the_masks_of_the_one_before(two_steps):
    first, second = network(two_steps, 1), network(two_steps, 2)
    own, new = trained_on(two_steps, 2)
    assert (first.tasks.newest, second.tasks.newest) == (0, 1)
    assert first.tasks.scans == own
    assert second.tasks.scans == own + new
    assert second.tasks.task.tolist() == [0] * len(own) + [1] * len(new)
    with second.as_of(0):
        assert torch.equal(masks_of(second), masks_of(first))
    assert not torch.equal(masks_of(second), masks_of(first))
    kept = first.tasks.encoder.state_dict()
    assert all(torch.equal(value, kept[name]) for name, value in second.tasks.encoder.state_dict().items())


def test_the_masks_are_shared_without_a_memory(data, model):
    learn(
        model, data / "both", "humerus", improve=True, method="clis", options=FEW | {"task_memory": False}, **SETTINGS
    )
    assert network(model).tasks is None
    assert ledger(model)["versions"][-1]["embeddings"] == 0


def test_other_methods_are_tasks_too(data, model):
    learn(model, data / "both", "humerus", improve=True, method="mib", options=FEW, **SETTINGS)
    assert network(model).tasks.newest == 2


def test_a_package_holds_the_memory_and_a_wrong_one_is_refused(model, tmp_path):
    card = export_package(model, tmp_path / "one.iseg")
    assert card["patient_data"]["embeddings"] == sum(map(len, trained_on(model, 2)))
    import_package(tmp_path / "one.iseg", tmp_path / "imported")
    one, other = network(model).state_dict(), network(tmp_path / "imported").state_dict()
    assert all(torch.equal(value, other[name]) for name, value in one.items())
    folder = open_model(model)
    weights = folder.tensors("weights")
    folder.edit({"action": "pin"}, tensors={"weights": weights | {"tasks.task": weights["tasks.task"] + 1}})
    export_package(model, tmp_path / "two.iseg")
    with pytest.raises(ModelError, match="names a task that it does not hold"):
        import_package(tmp_path / "two.iseg", tmp_path / "refused")


def test_a_forgotten_scan_has_no_embedding_in_any_version(model, data):
    name = open_model(model).document("history", 1)["steps"][0]["training"][0]["case"]
    (gone, *own), new = trained_on(model, 2)
    assert [row["embeddings"] for row in forget(model, name)["versions"]] == [1, 1]
    assert network(model).tasks.scans == own + new
    assert gone not in network(model, 1).tasks.scans
    assert [row["embeddings"] for row in ledger(model)["versions"]] == [len(own), len(own + new)]


def test_each_corrected_scan_is_a_task_that_can_be_undone_and_kept(model, data, round_of):
    scans = sorted((data / "both" / "imagesTr").iterdir())[:2]
    prints = [fingerprint([scan]) for scan in scans]
    for scan in (scans[0], scans[0], scans[1]):  # rounds on one scan are one task
        round_of(scan)
    held = stacks(model)
    assert {len(stack) for stack in held.values()} == {4}
    undo_correction(model)
    assert {len(stack) for stack in stacks(model).values()} == {3}
    round_of(scans[1])
    assert all(torch.equal(stack, held[name]) for name, stack in stacks(model).items())
    keep_corrections(model, device="cpu")
    kept = network(model, 3)
    assert kept.tasks.scans[-2:] == prints
    assert kept.tasks.task.tolist()[-2:] == [2, 3]
