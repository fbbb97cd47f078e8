"""New models with the networks of nnU-Net: planned for their scans, taught, resumed and taught further."""

import numpy as np
import pytest
from tiny import changed, spelled

from IncrementalSegLib.engine.documents import plan_of
from IncrementalSegLib.engine.learn import resume
from IncrementalSegLib.engine.models import load
from IncrementalSegLib.engine.runtime import start
from IncrementalSegLib.engine.step import fitted
from IncrementalSegLib.engine.step.presets import find_preset
from IncrementalSegLib.methods.finetune import Finetune
from IncrementalSegLib.networks.config import Topology
from IncrementalSegLib.preprocessing.rules import Rules
from IncrementalSegLib.store.versions import open_model
from IncrementalSegLib.volumes.io import read_volume


def weights(model):
    folder = open_model(model)
    return spelled(folder.tensors("weights"), folder.record())


def test_a_model_is_planned_taught_taught_further_and_segments(teach, data, scans, tmp_path, caplog):
    caplog.set_level("INFO")
    first = teach(tmp_path / "m", data / "humerus", "humerus", network="nnunet3d").record
    plan = plan_of(first)
    assert isinstance(plan.rules, Rules)
    assert any("Planned by the rules of nnU-Net" in message for message in caplog.messages)
    second = teach(tmp_path / "m", data / "scapula", "scapula", method="lwfseg", accept="always").record
    assert (second.number, plan_of(second)) == (2, plan)
    loaded = load(open_model(tmp_path / "m"), start("cpu"))
    form = loaded.segmenter.config.topology
    assert isinstance(form, Topology)
    assert form.deep
    assert not [name for name in loaded.segmenter.state_dict() if "deep" in name]
    volume = read_volume(scans[0])
    masks = loaded.predictor(start("cpu")).predict(volume).mask
    assert {mask.shape for mask in masks.values()} == {volume.grid.shape}


def test_an_interrupted_step_goes_on_to_the_same_bits_whatever_memory_is_free(
    teach, data, interrupted, tmp_path, monkeypatch
):
    step = {"network": "nnunet2d", "steps": 3, "method": "finetune"}
    teach(tmp_path / "whole", data / "both", "humerus, scapula", **step)
    with interrupted(Finetune, 2):
        teach(tmp_path / "m", data / "both", "humerus, scapula", **step)
    monkeypatch.setattr(fitted, "free_memory", lambda: 1_000_000)
    resume(tmp_path / "m", device="cpu")
    assert changed(weights(tmp_path / "whole"), weights(tmp_path / "m")) == set()
    points = open_model(tmp_path / "m").document("curve")["points"]
    assert "deep_supervision" in points[-1], "the test has no level to supervise"


@pytest.mark.parametrize(("free", "memory"), [(None, 0.2), (1 << 40, 0.2), (100_000_000, 0.025)])
def test_the_budget_is_not_more_than_the_free_memory(free, memory, monkeypatch, caplog):
    monkeypatch.setattr(fitted, "free_memory", lambda: free)
    preset = fitted.within_memory(find_preset("quick", 3), start("cpu"))
    assert np.isclose(preset.memory, memory)
    assert ("0.025 GB of memory that are free now, not for 0.2 GB" in caplog.text) == (memory < 0.2)
